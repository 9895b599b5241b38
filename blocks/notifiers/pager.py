"""What channels have in common where a message opens an incident, which ends with the message's alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from blocks.notifiers.http import check_status, parse_object
from blocks.notifiers.http_channel import HttpChannel

if TYPE_CHECKING:
    from collections.abc import Callable

    from blocks.notifiers.http import HttpLink, Request


class PagerChannel(HttpChannel):
    """A channel that opens one incident a message, under the message's id, and may resolve it."""

    resolve: bool = Field(default=True, description="Resolve a message's incident when all alerts of the message are resolved.")


@dataclass(frozen=True)
class Service:
    """A service that takes events: its name, what to check when it refuses, how its acceptance is known."""

    name: str
    advice: str
    is_taken: Callable[[dict[str, Any]], bool]

    def post(self, link: HttpLink, request: Request) -> None:
        """Post an event; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        answer = link.post(request)
        check_status(link, answer, self.advice)
        if not self.is_taken(parse_object(answer) or {}):
            raise link.build_retryable(f"the answer is none of {self.name}'s: {answer.text}. Check base_url, and what stands between")
