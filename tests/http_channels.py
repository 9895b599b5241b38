"""The channels that post to an address: how each is built, what its service answers, what its tests read."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from http_receiver import run_http
from slack_receiver import Reply

from blocks.notifiers.discord import DiscordNotifier
from blocks.notifiers.mattermost import MattermostNotifier
from blocks.notifiers.opsgenie import OpsgenieNotifier
from blocks.notifiers.pagerduty import PagerDutyNotifier
from blocks.notifiers.teams import TeamsNotifier
from blocks.notifiers.webhook import WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from http_receiver import HttpReceiver

SECRET = "s3cretKey0123456789abcdef"


@dataclass(frozen=True)
class HttpCase:
    """A channel by its settings for a server at an address, and what its service says of a message that it takes."""

    cls: type[Any]
    build_settings: Callable[[str], dict[str, Any]]
    good: Reply
    shows_charts: bool = False

    def build(self, receiver: HttpReceiver, **changes: Any) -> Any:
        return self.cls(**{**self.build_settings(receiver.url), "timeout_seconds": 20, **changes})


CASES = {
    "discord": HttpCase(
        DiscordNotifier, lambda url: {"webhook_url": f"{url}/api/webhooks/1/{SECRET}"}, Reply(200, {"id": "1"}), shows_charts=True
    ),
    "mattermost": HttpCase(MattermostNotifier, lambda url: {"webhook_url": f"{url}/hooks/{SECRET}"}, Reply(200, "ok")),
    "opsgenie": HttpCase(
        OpsgenieNotifier,
        lambda url: {"api_key": SECRET, "base_url": url},
        Reply(202, {"result": "Request will be processed", "took": 0.1, "requestId": "43a2"}),
    ),
    "pagerduty": HttpCase(
        PagerDutyNotifier,
        lambda url: {"routing_key": SECRET, "base_url": url},
        Reply(202, {"status": "success", "message": "Event processed", "dedup_key": "x"}),
    ),
    "teams": HttpCase(
        TeamsNotifier, lambda url: {"webhook_url": f"{url}/workflows/0/triggers/manual?sig={SECRET}"}, Reply(202, ""), shows_charts=True
    ),
    "webhook": HttpCase(
        WebhookNotifier,
        lambda url: {"url": f"{url}/hooks", "secret": SECRET, "token": f"Bearer {SECRET}", "charts": True},
        Reply(200, "thanks"),
        shows_charts=True,
    ),
}


@contextmanager
def run_services(names: Iterable[str], set_variable: Callable[[str, str], None]) -> Iterator[dict[str, HttpReceiver]]:
    """Run the servers of channels and set the variables by which these find them."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(run_http(CASES[name].good)) for name in names}
        for name, receiver in running.items():
            for field, value in CASES[name].build_settings(receiver.url).items():
                set_variable(f"ANOMFLOW_{name.upper()}_{field.upper()}", str(value))
        yield running
