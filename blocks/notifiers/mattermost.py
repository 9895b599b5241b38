"""A channel that posts to Mattermost, through an incoming webhook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field

from anomflow.markdown_text import escape_for_mattermost, render_part, render_rest
from anomflow.outline import build_outline, fit_outline
from blocks.notifiers.http import Request, check_status
from blocks.notifiers.http_channel import JSON, HttpChannel
from blocks.notifiers.secret_fields import SecretAddress, find_secrets, reveal

if TYPE_CHECKING:
    from anomflow.messages import Message
    from anomflow.outline import Outline

SIZE_LIMIT: Final = 14_000  # bytes; older servers take 16,383 characters in a post
_ADVICE: Final = "Check the webhook, that incoming webhooks are enabled, and the channel."


class MattermostNotifier(HttpChannel):
    """Post each message with an attachment a metric, its course as a line of characters; no text mentions anybody.

    Incoming webhooks take no files, and know no key by which they would drop a repeated message; the last line carries
    the message's id.
    """

    kind: ClassVar[str] = "mattermost"
    _block_type_name: ClassVar[str] = "Anomflow Mattermost"
    _block_type_slug: ClassVar[str] = "mattermost"
    _description: ClassVar[str] = "Posts Anomflow's messages to a channel of Mattermost."

    webhook_url: SecretAddress = Field(description="Address of an incoming webhook.")
    channel: str | None = Field(
        default=None, min_length=1, max_length=100, description="Another channel than the webhook's own, by its name in addresses."
    )

    def send(self, message: Message) -> None:
        """Post one message; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        url = reveal(self.webhook_url)
        link = self._open_link(*find_secrets(url))
        content = fit_outline(
            lambda shown: build_outline(message.letter, message.message_id, shown),
            self._write_content,
            lambda content: len(content) <= SIZE_LIMIT,
        )
        answer = link.post(Request(url, content, {"Content-Type": JSON}))
        check_status(link, answer, _ADVICE)
        if answer.text != "ok":
            raise link.build_retryable(f"the answer is none of Mattermost's: {answer.text}. Check the webhook, and what stands between")

    def _write_content(self, outline: Outline) -> bytes:
        attachments = render_attachments(outline)
        channel = {"channel": self.channel} if self.channel else {}
        content = {**channel, "text": f"**{escape_for_mattermost(outline.title)}**", "attachments": attachments}
        return json.dumps(content, ensure_ascii=False).encode()


def render_attachments(outline: Outline) -> list[dict[str, Any]]:
    """Render a message as attachments, one a metric in the colour of its kind, and one for all the rest."""
    metrics = [
        {
            "color": part.colour,
            "text": "\n".join(filter(None, (_render_title(part.title), render_part(part, escape_for_mattermost, with_course=True)))),
        }
        for part in outline.parts
    ]
    rest = "\n".join(filter(None, (render_rest(outline, escape_for_mattermost), *map(escape_for_mattermost, outline.remarks))))
    return [*metrics, {"text": rest}]


def _render_title(title: str) -> str:
    return f"**{escape_for_mattermost(title)}**" if title else ""
