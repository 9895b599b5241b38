"""What runs tell Prefect: requests, lines, task runs, artifacts."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

if TYPE_CHECKING:
    from prefect.client.schemas.objects import Artifact

HTTP = "httpx"  # tells each request and its answer
LOGGERS = ("", "prefect", "prefect.flow_runs", "prefect.task_runs", HTTP)


class Heard(logging.Handler):
    """What was logged while it listened; ``react`` is told each line."""

    def __init__(self, react: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.react = react
        self.requests: list[str] = []
        self.lines: list[str] = []
        self.tasks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record).get("heard") is self:
            return  # by another logger above
        record.heard = self
        text = logging.Formatter().format(record)  # with its traceback
        if record.name == HTTP:
            self.requests.append(text)
            return
        self.lines.append(text)
        if record.name == "prefect.task_runs" and text.startswith("Finished in state"):
            self.tasks.append(str(vars(record).get("task_name")))
        self.react(text)

    @property
    def calls(self) -> Counter[str]:
        """Count the requests by method and path, ids left out, and those that a busy server refused and the client repeats."""
        found = [
            re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|https?://[^/]+", "", text.removeprefix("HTTP Request: "))
            for text in self.requests
            if "503 " not in text
        ]
        return Counter(found)


@contextmanager
def listen(react: Callable[[str], None] = lambda _: None) -> Iterator[Heard]:
    """Hear what is logged inside."""
    heard = Heard(react)
    client = logging.getLogger(HTTP)
    level = client.level
    client.setLevel(logging.INFO)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(heard)
    try:
        yield heard
    finally:
        client.setLevel(level)
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(heard)


def read_artifacts(key: str) -> list[Artifact]:
    """Return the versions of an artifact, oldest first."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return sorted(found, key=lambda artifact: str(artifact.created))
