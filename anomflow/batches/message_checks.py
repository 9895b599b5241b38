"""Whether a batch's own message templates work, tried before an alert depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomflow.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.batches.batch import Batch


def check_messages(batch: Batch) -> Iterator[Problem]:
    """Render each message template of the batch with samples of messages, and report what fails."""
    alert = batch.spec.alert
    if alert.alert_message_subject is None and alert.alert_message_text is None and alert.alert_message_html is None:
        return
    # Most batches have none: loading settings does not wait for the import of charts and messages.
    from anomflow.message_templates import find_failures, get_key, read_templates  # noqa: PLC0415
    from anomflow.sample_letters import build_samples  # noqa: PLC0415

    for part, error in find_failures(read_templates(batch), build_samples(batch.name)):
        yield Problem(error.where or batch.path.as_posix(), error.line, f"{get_key(part)}: {error.message}", get_key(part))
