"""A channel that creates and closes alerts of Opsgenie (Alert API v2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import quote

from pydantic import Field

from anomflow.wording import cut_text
from blocks.notifiers.details import build_details
from blocks.notifiers.http import Request
from blocks.notifiers.http_channel import JSON
from blocks.notifiers.pager import PagerChannel, Service
from blocks.notifiers.secret_fields import Address, SecretKey, reveal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.messages import Message

MESSAGE_LIMIT: Final = 130  # characters, of Opsgenie, as the others
DESCRIPTION_LIMIT: Final = 15_000
DETAILS_LIMIT: Final = 8000
TAGS: Final = 20
TAG_LIMIT: Final = 50
_SERVICE: Final = Service(
    "Opsgenie",
    "Check the key: it is the API key of an integration of the type API that may create and update alerts.",
    lambda answer: "requestId" in answer,
)


class OpsgenieNotifier(PagerChannel):
    """Create one alert a message, under the message's id as alias: a repeat is counted by the alert that is open.

    When all alerts of the message are resolved, the alert is closed under the same alias, unless ``resolve`` is off.
    """

    kind: ClassVar[str] = "opsgenie"
    _block_type_name: ClassVar[str] = "Anomflow Opsgenie"
    _block_type_slug: ClassVar[str] = "opsgenie"
    _description: ClassVar[str] = "Creates alerts of Opsgenie with Anomflow's messages."

    api_key: SecretKey = Field(description="API key of an integration of the type API.")
    priority: Literal["P1", "P2", "P3", "P4", "P5"] = Field(
        default="P3", description="Priority of the alerts; messages of the kind info alone have P5."
    )
    base_url: Address = Field(
        default="https://api.opsgenie.com", description="Address of the API; `https://api.eu.opsgenie.com` in the EU."
    )

    def send(self, message: Message) -> None:
        """Create an alert; raise RetryableDeliveryError or RefusedDeliveryError where it was not accepted."""
        self._post("/v2/alerts", self._build_alert(message))

    def send_resolution(self, message_id: str) -> None:
        """Close the alert of a message; one that is closed already stays so. Raises as ``send`` does."""
        note = "All alerts of the message are resolved."
        self._post(f"/v2/alerts/{quote(message_id, safe='')}/close?identifierType=alias", {"source": "Anomflow", "note": note})

    def _post(self, path: str, content: Mapping[str, Any]) -> None:
        key = reveal(self.api_key)
        headers = {"Content-Type": JSON, "Authorization": f"GenieKey {key}"}
        _SERVICE.post(self._open_link(key), Request(f"{self.base_url.rstrip('/')}{path}", json.dumps(content).encode(), headers))

    def _build_alert(self, message: Message) -> dict[str, Any]:
        leads = [entry.lead for entry in message.letter.entries]
        tags = dict.fromkeys(cut_text(tag, TAG_LIMIT) for lead in leads for tag in lead.tags)
        return {
            "message": cut_text(message.letter.title, MESSAGE_LIMIT),
            "alias": message.message_id,
            "description": cut_text(message.text, DESCRIPTION_LIMIT),
            "details": _cut_details(build_details(message)),
            "tags": list(tags)[:TAGS],
            "entity": message.letter.batch,
            "source": "Anomflow",
            "priority": "P5" if all(lead.kind == "info" for lead in leads) else self.priority,
        }


def _cut_details(details: dict[str, str]) -> dict[str, str]:
    """Keep the first details whose characters Opsgenie takes together; the description has all of them."""
    kept: dict[str, str] = {}
    left = DETAILS_LIMIT
    for label, text in details.items():
        left -= len(label) + len(text)
        if left < 0:
            break
        kept[label] = text
    return kept
