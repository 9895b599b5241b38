"""A message as a mail: plain text and HTML as alternatives, pictures inside the HTML's part."""

from __future__ import annotations

import hashlib
import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from anomflow.sparkline import to_ascii
from anomflow.wording import clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomflow.messages import Message

DOMAIN: Final = "anomflow.invalid"  # of Message-IDs; RFC 2606 keeps it from ever being a host
_SUBJECT_LIMIT = 250


def build_mime(message: Message, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Return the mail of a message; the same message, sender and recipients give the same bytes.

    The Message-ID is made of the message's id, so that a mail sent again is recognised; the date is when the message
    was created. Sparklines of the plain part are ASCII. Raises ValueError for a malformed address.
    """
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = clean_text(message.subject, _SUBJECT_LIMIT)
    mail["From"] = sender
    if recipients:
        mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(message.created)
    mail["Message-ID"] = f"<{_clean_id(message.message_id)}@{DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Anomflow-Batch"] = clean_text(message.metric_batch)
    mail["X-Anomflow-Message"] = _clean_id(message.message_id)
    mail.set_content(to_ascii(message.text))
    mail.add_alternative(message.html, subtype="html")
    _add_pictures(mail, message)
    _name_boundaries(mail, message)
    return mail


def _clean_id(message_id: str) -> str:
    """Keep what may stand in a Message-ID; ids of Anomflow (UUIDs) stay as they are."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", message_id)


def _add_pictures(mail: EmailMessage, message: Message) -> None:
    _, html = mail.iter_parts()
    if isinstance(html, EmailMessage):
        for image in message.images:
            html.add_related(image.png, "image", "png", cid=f"<{image.name}>", filename=image.name, disposition="inline")


def _name_boundaries(mail: EmailMessage, message: Message) -> None:
    """Derive boundaries from the message's id; ``=_`` occurs in no quoted-printable or base64 text, so they are safe."""
    for depth, part in enumerate(part for part in mail.walk() if part.is_multipart()):
        token = hashlib.sha256(f"{message.message_id} {depth}".encode()).hexdigest()[:32]
        part.set_boundary(f"=_{token}")
