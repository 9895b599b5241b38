"""Identities: the same facts always get the same id, so that whatever is done twice is met and not doubled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALERTS: Final = UUID("5d0c3f6e-6f3b-5b0e-9f0a-2b7f0f6f4a11")
_MESSAGES: Final = UUID("a9b1c6c2-0d5e-5a7c-8a55-7c1f3a0f9e42")
_ATTEMPTS: Final = UUID("c3e8b7d4-51f9-5e2b-b1d6-90f4d2a86c73")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE: Final = 2**128


def build_alert_id(batch: str, kind: str, metric_name: str, metric_timestamp: datetime) -> str:
    """Return the id of the alert of a metric, kind and time (zoned; any zone gives the same id)."""
    microseconds = (metric_timestamp - _EPOCH) // timedelta(microseconds=1)
    return _build(_ALERTS, batch, kind, metric_name, microseconds)


def build_message_id(batch: str, alert_ids: Iterable[str]) -> str:
    """Return the id of the message that tells of these alerts, in whatever order they come."""
    return _build(_MESSAGES, batch, *sorted(alert_ids))


def build_jitter(message_id: str, channel: str, attempts: int) -> float:
    """Return a number in [0, 1) that differs between deliveries and attempts, and is the same whenever asked."""
    return UUID(_build(_ATTEMPTS, message_id, channel, attempts)).int / _RANGE


def _build(namespace: UUID, *parts: str | int) -> str:
    # JSON keeps the parts apart whatever characters they hold; escapes keep it plain ASCII.
    return str(uuid5(namespace, json.dumps(parts)))
