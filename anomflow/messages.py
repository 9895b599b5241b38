"""What a notification says, as a value that every channel can deliver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Image:
    """A picture of a message: its file name, what it shows, PNG bytes."""

    name: str
    title: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class Message:
    """A notification of one batch: subject, plain text, HTML with ``cid:<image name>`` references, pictures, facts.

    ``facts`` holds a JSON-ready mapping of each alert; ``created`` is UTC.
    """

    message_id: str
    metric_batch: str
    subject: str
    text: str
    html: str
    images: tuple[Image, ...]
    facts: tuple[dict[str, object], ...]
    created: datetime
