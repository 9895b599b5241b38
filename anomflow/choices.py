"""Which detectors metrics were given, in words: lines for a run, facts for one metric."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from anomflow.wording import render_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from anomflow.fitting import FitReport
    from anomflow.models import Chosen

QUOTED: Final = 3


def describe_choices(held: Iterable[Chosen], reports: Iterable[FitReport], missing: Mapping[str, str]) -> Iterator[str]:
    """Yield what a training run says of the choices: how many metrics each detector has, and the candidates that failed now."""
    counts = Counter(chosen.label for chosen in held)
    if counts:
        yield "detectors: " + ", ".join(f"{count} {label}" for label, count in counts.most_common())
    for label, reason in missing.items():
        yield f"{label} is no candidate: {reason}"
    failed: dict[str, list[str]] = {}
    for name, chosen in (pair for report in reports for pair in report.chosen.items()):
        for label, reason in chosen.evidence.get("failed", {}).items():
            failed.setdefault(label, []).append(f"{name!r}: {reason}")
    for label, reasons in sorted(failed.items()):
        yield f"candidate {label} failed on {render_count(len(reasons), 'metric')} ({'; '.join(reasons[:QUOTED])})"


def describe_choice(chosen: Chosen) -> str:
    """Return which detector a metric was given and why, as a line."""
    if not chosen.rows:
        return f"{chosen.label}; too few rows to compare it with others"
    compared = chosen.evidence.get("compared", {})
    parts = [f"{label} {gain['gain']:+.3f} (standard error {gain['error']:.3f}){_tell_alarms(gain)}" for label, gain in compared.items()]
    parts += [f"{label} failed: {reason}" for label, reason in chosen.evidence.get("failed", {}).items()]
    return f"{chosen.label}, chosen by {chosen.rows} rows; against the default: {', '.join(parts)}" if parts else chosen.label


def _tell_alarms(gain: Mapping[str, list[int]]) -> str:
    before, after = gain["alarms"]
    return f", {after} alerts against {before}"
