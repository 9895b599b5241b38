"""A channel that puts messages into a folder: for a start without a mail server, for tests, for looking back."""

from __future__ import annotations

import json
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from anomflow.mime import build_mime

if TYPE_CHECKING:
    from anomflow.messages import Message

SENDER = "anomflow@localhost"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class FileNotifier(Block):
    """Write each message as ``<message id>.eml`` (the mail) and ``<message id>.json`` (its facts) into a folder.

    The JSON file comes last: where it is, the mail is whole. The same message again replaces its own two files.
    """

    kind: ClassVar[str] = "file"
    _block_type_name: ClassVar[str] = "Anomflow messages in a folder"
    _block_type_slug: ClassVar[str] = "file"
    _description: ClassVar[str] = "Writes Anomflow's messages into a folder, as mails and as JSON."

    folder: str | None = Field(default=None, description="Folder of the messages; none: messages/ under ANOMFLOW_HOME (.anomflow).")

    @property
    def send_seconds(self) -> float:
        return 30.0

    def check_access(self) -> str:
        """Write a file into the folder and remove it; raise RefusedDeliveryError where that is not possible."""
        folder = self._find_folder()
        trial = folder / f".{secrets.token_hex(8)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trial.touch(exist_ok=False)
            trial.unlink()
        except OSError as error:
            raise RefusedDeliveryError(
                f"file: {folder} takes no files: {error.strerror or error}. Make the folder writable, or name another one."
            ) from error
        return f"may write into {folder}"

    def send(self, message: Message) -> None:
        """Write both files; raise RetryableDeliveryError where the folder takes none."""
        if not _FILE_NAME.fullmatch(message.message_id):
            raise RefusedDeliveryError(f"file: the message id {message.message_id!r} is no file name; letters, digits, . _ - are allowed.")
        folder = self._find_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_whole(folder / f"{message.message_id}.eml", build_mime(message, SENDER, ()).as_bytes())
            _write_whole(folder / f"{message.message_id}.json", _render_json(message))
        except OSError as error:
            raise RetryableDeliveryError(
                f"file: message {message.message_id} could not be written into {folder}: {error.strerror or error}. "
                "Make the folder writable, or name another one."
            ) from error

    def _find_folder(self) -> Path:
        return Path(self.folder) if self.folder else Path(os.environ.get("ANOMFLOW_HOME", ".anomflow")) / "messages"


def _render_json(message: Message) -> bytes:
    content = {
        "message_id": message.message_id,
        "metric_batch": message.metric_batch,
        "channel": "file",
        "created": message.created.isoformat(),
        "subject": message.subject,
        "text": message.text,
        "facts": message.facts,
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader or a crash sees all of it or nothing."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("xb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
