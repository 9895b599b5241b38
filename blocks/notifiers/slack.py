"""A channel that posts to Slack, with a bot's token (charts in the message's thread) or an incoming webhook (no charts)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from anomflow.slack_text import FALLBACK_LIMIT, escape, render_slack
from anomflow.wording import clean_text, cut_text
from blocks.notifiers.environment import EnvironmentBlock
from blocks.notifiers.http import HttpLink, Request
from blocks.notifiers.secret_fields import SHORTEST_KEY, reveal
from blocks.notifiers.slack_answers import LayoutRefusedError, read_webhook_answer
from blocks.notifiers.slack_api import JSON, SlackApi

if TYPE_CHECKING:
    from anomflow.messages import Message

NO_CHARTS = "Charts come with a bot token; an incoming webhook takes none."
# No markup, no mention and no preview is made of what is not marked as such.
PLAIN = {"mrkdwn": False, "parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}


class SlackNotifier(EnvironmentBlock):
    """Post each message to a channel of Slack, its charts as replies in its thread.

    Slack knows no key by which it would drop a repeated message. One that is sent again after an unknown outcome
    carries the same id, in its last line and (with a token) in its metadata: event type ``anomflow_message``, payload
    ``message_id``. A chart that cannot be uploaded is named and costs the message nothing.
    """

    kind: ClassVar[str] = "slack"
    _block_type_name: ClassVar[str] = "Anomflow Slack"
    _block_type_slug: ClassVar[str] = "slack"
    _description: ClassVar[str] = "Posts Anomflow's messages to a channel of Slack."

    token: SecretStr | None = Field(default=None, description="Token of a bot (xoxb-...) with the scopes chat:write and files:write.")
    channel: str | None = Field(default=None, min_length=1, description="Channel that a bot posts to: its id, or #name.")
    webhook_url: SecretStr | None = Field(default=None, description="Address of an incoming webhook, instead of a token and a channel.")
    base_url: str = Field(
        default="https://slack.com/api/", pattern=r"^https?://[^\s?#]+$", description="Address of Slack's API, or of a gateway."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=300, description="Time limit of posting a message, and again of uploading its charts, in seconds."
    )
    ca_file: str | None = Field(
        default=None,
        description="File (PEM) of authorities to check the certificate against; none: SSL_CERT_FILE, else the system's, and certifi's.",
    )

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if (self.token is None) == (self.webhook_url is None):
            raise ValueError("give either token (with channel) or webhook_url")
        if self.token is not None and self.channel is None:
            raise ValueError("a token needs channel: the id of a channel, or #name")
        if self.webhook_url is not None and urlsplit(self.webhook_url.get_secret_value()).scheme not in ("http", "https"):
            raise ValueError("webhook_url is no address; it starts with https://hooks.slack.com/")
        return self

    @property
    def send_seconds(self) -> float:
        """Bound one ``send``: the message, its charts, and as much again for finding the hosts' addresses."""
        return 3 * self.timeout_seconds

    def check_access(self) -> str:
        """Ask Slack whom the token belongs to (``auth.test``); a webhook can only be tried by a message. Raises as ``send`` does."""
        if not self.token:
            return "an incoming webhook is set; whether Slack knows it only a message can tell (--send-test)"
        told = self._open_api(self._open_link()).test_token()
        return f"Slack knows the token as {told}; whether it may post to {clean_text(str(self.channel))} only a message can tell"

    def send(self, message: Message) -> str | None:
        """Post one message, and name the charts that could not be uploaded.

        Raises RetryableDeliveryError or RefusedDeliveryError where the message was not accepted. One whose layout Slack
        refuses is posted as plain text.
        """
        link = self._open_link()
        try:
            posted, note = self._post(link, self._build_blocks(message)), None
        except LayoutRefusedError as error:
            posted, note = self._post_plain(link, message), f"sent as plain text, since Slack refused the blocks ({error})"
        return "; ".join(filter(None, (note, self._upload_charts(posted, message)))) or None

    def _open_link(self) -> HttpLink:
        webhook, token = reveal(self.webhook_url), reveal(self.token)
        path = urlsplit(webhook).path
        key = path.rpartition("/")[2]  # of a webhook's path, what nobody may know
        secrets = (token, webhook, path.strip("/") and path, key if len(key) >= SHORTEST_KEY else "")
        return HttpLink("slack", self.timeout_seconds, secrets, self.ca_file)

    def _open_api(self, link: HttpLink) -> SlackApi:
        return SlackApi(link, self.base_url, reveal(self.token))

    def _build_blocks(self, message: Message) -> dict[str, Any]:
        content = render_slack(message.letter, message.message_id, NO_CHARTS if message.images and self.webhook_url else "")
        return {"text": content.text, "blocks": content.blocks, "attachments": content.attachments, **self._build_metadata(message)}

    def _build_metadata(self, message: Message) -> dict[str, Any]:
        payload = {"message_id": message.message_id}
        return {"metadata": {"event_type": "anomflow_message", "event_payload": payload}} if self.token else {}

    def _post(self, link: HttpLink, content: dict[str, Any]) -> dict[str, Any]:
        """Post a message; return what the API says of it, and nothing for a webhook."""
        if self.token:
            return self._open_api(link).post({"channel": self.channel, **content, **PLAIN})
        request = Request(reveal(self.webhook_url), json.dumps({**content, **PLAIN}).encode(), {"Content-Type": JSON})
        read_webhook_answer(link, link.post(request))
        return {}

    def _post_plain(self, link: HttpLink, message: Message) -> dict[str, Any]:
        try:
            return self._post(link, {"text": escape(cut_text(message.text, FALLBACK_LIMIT))})
        except LayoutRefusedError as error:
            raise link.build_refused(f"neither the blocks nor the plain text of the message were accepted: {error}") from None

    def _upload_charts(self, posted: dict[str, Any], message: Message) -> str | None:
        """Upload with a time limit of its own; the message stays accepted whatever becomes of its charts."""
        if not posted or not message.images:
            return None
        return self._open_api(self._open_link()).upload_charts(posted, message.images)
