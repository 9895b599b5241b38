"""A channel that triggers and resolves incidents of PagerDuty (Events API v2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from anomflow.alert_words import NAME_LIMIT
from anomflow.wording import clean_text, cut_text
from blocks.notifiers.details import build_details
from blocks.notifiers.http import Request
from blocks.notifiers.http_channel import JSON
from blocks.notifiers.pager import PagerChannel, Service
from blocks.notifiers.secret_fields import Address, SecretKey, reveal

if TYPE_CHECKING:
    from anomflow.messages import Message

SUMMARY_LIMIT: Final = 1024  # characters, of PagerDuty
_SERVICE: Final = Service(
    "PagerDuty",
    "Check the routing key: it is the integration key of an integration of the type Events API v2.",
    lambda answer: answer.get("status") == "success",
)


class PagerDutyNotifier(PagerChannel):
    """Trigger one incident a message, under the message's id as ``dedup_key``: a repeat joins the incident that is open.

    When all alerts of the message are resolved, the incident is resolved under the same key, unless ``resolve`` is off.
    """

    kind: ClassVar[str] = "pagerduty"
    _block_type_name: ClassVar[str] = "Anomflow PagerDuty"
    _block_type_slug: ClassVar[str] = "pagerduty"
    _description: ClassVar[str] = "Triggers incidents of PagerDuty with Anomflow's messages."

    routing_key: SecretKey = Field(description="Integration key of a service's Events API v2.")
    severity: Literal["critical", "error", "warning", "info"] = Field(
        default="error", description="Severity of the incidents; messages of the kind info alone have `info`."
    )
    base_url: Address = Field(
        default="https://events.pagerduty.com", description="Address of the API; `https://events.eu.pagerduty.com` in the EU."
    )

    def send(self, message: Message) -> None:
        """Trigger an incident; raise RetryableDeliveryError or RefusedDeliveryError where the event was not accepted."""
        self._enqueue("trigger", message.message_id, client="Anomflow", payload=self._build_payload(message))

    def send_resolution(self, message_id: str) -> None:
        """Resolve the incident of a message; one that is resolved already stays so. Raises as ``send`` does."""
        self._enqueue("resolve", message_id)

    def _enqueue(self, action: Literal["trigger", "resolve"], dedup_key: str, **more: object) -> None:
        key = reveal(self.routing_key)
        event = {"routing_key": key, "event_action": action, "dedup_key": dedup_key, **more}
        url = f"{self.base_url.rstrip('/')}/v2/enqueue"
        _SERVICE.post(self._open_link(key), Request(url, json.dumps(event).encode(), {"Content-Type": JSON}))

    def _build_payload(self, message: Message) -> dict[str, Any]:
        leads = [entry.lead for entry in message.letter.entries]
        return {
            "summary": cut_text(message.letter.title, SUMMARY_LIMIT),
            "source": message.letter.batch,
            "severity": "info" if all(lead.kind == "info" for lead in leads) else self.severity,
            "timestamp": leads[0].moment.isoformat(),
            "component": clean_text(leads[0].metric, NAME_LIMIT),
            "group": message.letter.batch,
            "class": leads[0].label,
            "custom_details": build_details(message),
        }
