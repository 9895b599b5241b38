"""A channel that posts JSON to an address of yours, signed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from anomflow.webhook_body import BodyError, build_content, build_samples, read_key, render_body, sign
from blocks.notifiers.http import Request
from blocks.notifiers.http_channel import JSON, HttpChannel, build_check, post_sparing
from blocks.notifiers.secret_fields import OptionalSecretKey, SecretAddress, find_secrets, reveal

if TYPE_CHECKING:
    from anomflow.messages import Message

_SHORTEST_SECRET = 16
_OURS = ("host", "content-length", "content-type", "transfer-encoding", "idempotency-key", "webhook-id", "webhook-timestamp")


class WebhookNotifier(HttpChannel):
    """Post each message as one JSON object, signed as Standard Webhooks says where a secret is given.

    The headers ``webhook-id`` and ``Idempotency-Key`` hold the message's id, the same on a repeat; ``webhook-timestamp``
    is the time of the attempt.
    """

    kind: ClassVar[str] = "webhook"
    _block_type_name: ClassVar[str] = "Anomflow webhook"
    _block_type_slug: ClassVar[str] = "anomflow-webhook"  # Prefect has a block type webhook of its own
    _description: ClassVar[str] = "Posts Anomflow's messages as signed JSON to an address."

    url: SecretAddress = Field(description="Address that messages are posted to.")
    secret: SecretStr | None = Field(
        default=None, description="Secret that bodies are signed with: whsec_ and Base64, or a text of 16 characters or more."
    )
    token: OptionalSecretKey = Field(default=None, description="Value of the header that lets us in, such as `Bearer abc...`.")
    token_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,60}$", description="Name of that header.")
    template: str | None = Field(default=None, description="Jinja template of the body; none: all that is known of the message.")
    charts: bool = Field(default=False, description="Put the charts into the body, as PNG in Base64.")

    @field_validator("secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        secret = reveal(value).strip()
        try:
            key = read_key(secret)
        except ValueError:
            raise ValueError("what follows whsec_ is no Base64") from None
        if value is not None and len(key) < _SHORTEST_SECRET:
            raise ValueError(f"it is too short to protect anything; use {_SHORTEST_SECRET} bytes or more")
        return None if value is None else SecretStr(secret)

    @field_validator("token_header")
    @classmethod
    def _check_header(cls, value: str) -> str:
        if value.lower() in (*_OURS, "webhook-signature", "user-agent"):
            raise ValueError("that header has a meaning already; name another one")
        return value

    @model_validator(mode="after")
    def _check_template(self) -> Self:
        """Try the template on messages with and without numbers, none with a chart: one may be missing at any time."""
        for content in build_samples():
            render_body(content, self.template)
        return self

    def send(self, message: Message) -> str | None:
        """Post one body; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        url = reveal(self.url)
        token = reveal(self.token)
        link = self._open_link(*find_secrets(url), token, token.rpartition(" ")[2], reveal(self.secret))
        has_charts = self.charts and bool(message.images)
        try:
            bodies = [self._render(message, charts=True), *([self._render(message, charts=False)] if has_charts else [])]
        except BodyError as error:
            raise link.build_refused(f"{error}. Correct the template of the block, or the variable ANOMFLOW_WEBHOOK_TEMPLATE.") from None
        requests = tuple(Request(url, body, self._build_headers(message.message_id, body)) for body in bodies)
        return post_sparing(link, requests, build_check(link, "Check the address, token and secret, and what the receiver expects."))

    def _render(self, message: Message, *, charts: bool) -> bytes:
        return render_body(build_content(message, charts=charts and self.charts), self.template)

    def _build_headers(self, message_id: str, body: bytes) -> dict[str, str]:
        key, now = quote(message_id, safe=""), int(time.time())
        headers = {"Content-Type": JSON, "Idempotency-Key": key, "webhook-id": key, "webhook-timestamp": str(now)}
        if self.secret:
            headers["webhook-signature"] = sign(reveal(self.secret), key, now, body)
        if self.token:
            headers[self.token_header] = reveal(self.token)
        return headers
