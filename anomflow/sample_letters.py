"""Messages as they may come, to try a batch's own templates on before an alert depends on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from anomflow.alert_words import KINDS, build_view
from anomflow.letters import Entry, Image, Letter
from anomflow.message_templates import Drafted
from anomflow.message_text import render_text
from anomflow.messages import render_subject

_MOMENT: Final = datetime(2026, 1, 2, 3, tzinfo=UTC)
_SENT: Final = _MOMENT + timedelta(minutes=12)
_NUMBERS: Final = {"metric_value": 3.2, "expected_low": 10.0, "expected_high": 14.0, "surprise": 4.5}
_WITHOUT: Final = dict.fromkeys(_NUMBERS)  # a freshness alert has no numbers at all


def build_samples(batch: str) -> dict[str, Drafted]:
    """Return a message of each kind, one with and one without numbers, chart and tags, and one of many metrics, by name."""
    kinds = {kind: _draft(batch, (_build_entry(batch, kind, _NUMBERS),)) for kind in KINDS}
    bare = _draft(batch, (_build_entry(batch, "freshness", _WITHOUT, is_bare=True),))
    return {**kinds, "freshness without numbers": bare, "several metrics": _draft_many(batch)}


def _draft_many(batch: str) -> Drafted:
    entries = (*(_build_entry(batch, kind, _NUMBERS) for kind in KINDS), _build_entry(batch, "freshness", _WITHOUT, is_bare=True))
    return _draft(batch, entries, ("further", "metrics"))


def _draft(batch: str, entries: tuple[Entry, ...], listed: tuple[str, ...] = ()) -> Drafted:
    letter = Letter(f"{batch}: {entries[0].lead.headline}", batch, _SENT, entries, listed, 3 if listed else 0)
    return Drafted(letter, "00000000-0000-0000-0000-000000000000", {"subject": render_subject(letter), "text": render_text(letter)})


def _build_entry(batch: str, kind: str, numbers: dict[str, Any], *, is_bare: bool = False) -> Entry:
    alert = {
        **numbers,
        "alert_id": "00000000-0000-0000-0000-000000000000",
        "metric_batch": batch,
        "metric_name": f"sample_{kind}",
        "kind": kind,
        "metric_timestamp": _MOMENT,
        "reason": None if is_bare else "lower than at this hour of other days",
        "tags": None if is_bare else '{"team": "payments"}',
    }
    view = build_view(alert, _SENT)
    image = None if is_bare else Image("chart-1.png", f"{batch}: sample", b"")
    return Entry(view, () if is_bare else (view,), 0 if is_bare else 2, "" if is_bare else "▃▃▁\n  ^", "" if is_bare else "▃▃▁\n  ^", image)
