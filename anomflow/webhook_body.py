"""A message as JSON for a program: a body of ours or of a template, and its signature.

Signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com): receivers find libraries for it in most languages.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from anomflow.frames import ALERTS

if TYPE_CHECKING:
    from anomflow.messages import Message

ALERTS_SHOWN: Final = 500
SECRET_MARK: Final = "whsec_"  # noqa: S105 - the mark of a secret, not one
SIZE_LIMIT: Final = 5_000_000  # characters of a body that a template makes


class BodyError(ValueError):
    """Report a template that makes no JSON."""


def build_content(message: Message, *, charts: bool) -> dict[str, Any]:
    """Return what a body holds and a template may use; ``charts`` are Base64 of PNG, empty where they are not wanted."""
    pictures = message.images if charts else ()
    return {
        "id": message.message_id,
        "batch": message.metric_batch,
        "created": message.created.isoformat(),
        "subject": message.subject,
        "text": message.text,
        "alerts": list(message.facts[:ALERTS_SHOWN]),
        "alerts_total": len(message.facts),
        "charts": [{"name": image.name, "title": image.title, "png": b64encode(image.png).decode()} for image in pictures],
    }


def build_samples() -> list[dict[str, Any]]:
    """Return contents as they may come, to try a template on before an alert depends on it; one alert has no numbers."""
    moment = "2026-01-02T03:00:00+00:00"
    texts = {name: moment if dtype.is_temporal() else "sample" for name, dtype in ALERTS.columns.items()}
    names = {"tags": {"team": "sample"}, "headline": "sample is low", "explain": "anomflow explain sample sample"}
    numbers = [name for name, dtype in ALERTS.columns.items() if dtype.is_numeric()]
    alerts: list[dict[str, Any]] = [{**texts, **dict.fromkeys(numbers, value), **names} for value in (1.5, None)]
    words = {"id": "sample", "batch": "sample", "created": moment, "subject": "sample", "text": "sample"}
    return [{**words, "alerts": [alert], "alerts_total": 1, "charts": []} for alert in alerts]


def render_body(content: dict[str, Any], template: str | None) -> bytes:
    """Write the body in ASCII; raise BodyError for a template that fails or makes no JSON."""
    if template is None:
        return json.dumps(content).encode()
    text = _render(template, content)
    try:
        return json.dumps(json.loads(text)).encode()
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno} of what it makes)" if isinstance(error, json.JSONDecodeError) else ""
        raise BodyError(f"template makes no JSON{where}; write values without quotes around them: {{{{ subject }}}}") from None


def _render(template: str, content: dict[str, Any]) -> str:
    # Each value is written as JSON by itself: no text of the data can leave its place.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, finalize=_write_json)
    parts: list[str] = []
    length = 0
    try:
        for part in environment.from_string(template).generate(content):
            length += len(part)
            if length > SIZE_LIMIT:
                raise BodyError(f"template makes more than {SIZE_LIMIT:,} characters; leave charts or alerts out")
            parts.append(part)
    except (TemplateError, ArithmeticError, LookupError, TypeError, OverflowError) as error:
        raise BodyError(f"template cannot be rendered: {error}") from None
    return "".join(parts)


def _write_json(value: object) -> object:
    # What the filter tojson made is JSON already, and says so as HTML does.
    return value if isinstance(value, StrictUndefined) or hasattr(value, "__html__") else json.dumps(value)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``; ``timestamp`` is in seconds since 1970.

    Raises ValueError where what follows ``whsec_`` is no Base64.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(read_key(secret), signed, "sha256")).decode()


def read_key(secret: str) -> bytes:
    """Return the bytes of a secret: Base64 behind ``whsec_``, any other text as it is."""
    if secret.startswith(SECRET_MARK):
        return b64decode(secret.removeprefix(SECRET_MARK), validate=True)
    return secret.encode()
