"""A channel that triggers incidents of PagerDuty (Events API v2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field

from anomflow.alert_words import NAME_LIMIT
from anomflow.wording import clean_text, cut_text
from blocks.notifiers.details import build_details
from blocks.notifiers.http import Request, check_status, parse_object
from blocks.notifiers.http_channel import JSON, HttpChannel
from blocks.notifiers.secret_fields import Address, SecretKey, reveal

if TYPE_CHECKING:
    from anomflow.messages import Message

SUMMARY_LIMIT: Final = 1024  # characters, of PagerDuty
_ADVICE: Final = "Check the routing key: it is the integration key of an integration of the type Events API v2."


class PagerDutyNotifier(HttpChannel):
    """Trigger one incident a message, under the message's id as ``dedup_key``: a repeat joins the incident that is open."""

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
        key = reveal(self.routing_key)
        link = self._open_link(key)
        event = {"routing_key": key, "event_action": "trigger", "dedup_key": message.message_id, "client": "Anomflow"}
        content = json.dumps({**event, "payload": self._build_payload(message)}).encode()
        answer = link.post(Request(f"{self.base_url.rstrip('/')}/v2/enqueue", content, {"Content-Type": JSON}))
        check_status(link, answer, _ADVICE)
        if (parse_object(answer) or {}).get("status") != "success":
            raise link.build_retryable(f"the answer is none of PagerDuty's: {answer.text}. Check base_url, and what stands between")

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
