"""A channel that posts to Microsoft Teams, through the webhook of a workflow."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field

from anomflow.teams_card import render_card
from blocks.notifiers.http import Answer, Request
from blocks.notifiers.http_channel import JSON, HttpChannel, build_check, post_sparing
from blocks.notifiers.secret_fields import SecretAddress, find_secrets, reveal

if TYPE_CHECKING:
    from anomflow.messages import Message

_ADVICE: Final = "Check the address, and that the workflow is turned on and takes requests from anyone, or make a new one."


class TeamsNotifier(HttpChannel):
    """Post each message as one Adaptive Card to a channel or chat of Teams, with its chart where Teams' limit lets it.

    Teams knows no key by which it would drop a repeated message; the card's last line carries the message's id.
    """

    kind: ClassVar[str] = "teams"
    _block_type_name: ClassVar[str] = "Anomflow Microsoft Teams"
    _block_type_slug: ClassVar[str] = "teams"
    _description: ClassVar[str] = "Posts Anomflow's messages to a channel or chat of Microsoft Teams."

    webhook_url: SecretAddress = Field(description="Address of the workflow that posts what its webhook receives.")

    def send(self, message: Message) -> str | None:
        """Post one card; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        url = reveal(self.webhook_url)
        link = self._open_link(*find_secrets(url))
        card = render_card(message.letter, message.message_id)
        cards = [card, *([render_card(message.letter, message.message_id, charts=False)] if card.has_charts else [])]
        requests = tuple(Request(url, each.content, {"Content-Type": JSON}) for each in cards)
        return post_sparing(link, requests, build_check(link, _ADVICE), _read_answer)


def _read_answer(answer: Answer) -> Answer:
    """Take the status of a failure from the text: the connectors of Office report one with the status 200."""
    if not (answer.is_good and "delivery failed" in answer.text):
        return answer
    status = re.search(r"HTTP error (\d{3})", answer.text)
    return replace(answer, status=int(status.group(1)) if status else 500)
