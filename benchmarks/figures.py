"""The figures of one detector over one corpus, as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.corpus import ANOMALOUS, IGNORED
from benchmarks.events import Count, Events, count_alerts, find_events, poisson_interval, sweep
from benchmarks.judging import ASKED
from benchmarks.nab_scoring import Scored, score_alerts, score_nab, score_nab_snoozed
from benchmarks.vus import auc_pr, find_period, vus_pr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.corpus import Labelled
    from benchmarks.judging import Judged, Told

MONTH: Final = 30 * 86_400.0
BUDGETS: Final = (0.5, 1.0, 2.0)


def build_figures(pairs: Sequence[tuple[Labelled, Judged]]) -> dict[str, Any]:
    """Measure a detector that judged these series; figures that need events are null where there is none."""
    events = [find_events(series.labels[series.first :]) for series, _ in pairs]
    has_events = any(found.runs for found in events)
    has_windows = any(last >= series.first for series, _ in pairs for _, last in series.windows)
    return {
        "series": len(pairs),
        "rows": sum(len(series.values) for series, _ in pairs),
        "events": sum(len(found.runs) for found in events),
        "metric_months": _measure_months(pairs, events),
        "microseconds_a_row": 1e6 * sum(judged.cpu for _, judged in pairs) / max(sum(len(series.values) for series, _ in pairs), 1),
        "nab": _measure_nab(pairs) if has_windows else None,
        "state": _measure_state(pairs) if has_events else None,
        "best": _measure_best(pairs, events) if has_events else None,
        "default": _measure_alerts(pairs, events, [judged.by_default for _, judged in pairs]),
        "asked": measure_asked(pairs),
        "groups": {group: measure_asked(part) for group, part in _group(pairs).items()},
    }


def measure_asked(pairs: Sequence[tuple[Labelled, Judged]]) -> dict[str, Any] | None:
    """Return false alarms in 30 days for each rate that can be asked for, None for a detector that knows none."""
    if not all(judged.asked for _, judged in pairs):
        return None
    events = [find_events(series.labels[series.first :]) for series, _ in pairs]
    return {f"{rate:g}": _measure_alerts(pairs, events, [judged.asked[rate] for _, judged in pairs]) for rate in ASKED}


def _group(pairs: Sequence[tuple[Labelled, Judged]]) -> dict[str, list[tuple[Labelled, Judged]]]:
    """Return the series by the part of their names before a slash: NAB's folders, the kinds of noise."""
    groups: dict[str, list[tuple[Labelled, Judged]]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].name.partition("/")[0], []).append(pair)
    return groups


def _measure_months(pairs: Sequence[tuple[Labelled, Judged]], events: Sequence[Events]) -> float:
    return sum(found.evaluated * series.step for (series, _), found in zip(pairs, events, strict=True)) / MONTH


def _measure_nab(pairs: Sequence[tuple[Labelled, Judged]]) -> dict[str, Any]:
    corpus = [Scored(judged.onset, series.windows, series.first) for series, judged in pairs]
    told = [judged.by_default.told for _, judged in pairs]
    return {"each_row": score_nab(corpus), "snoozed": score_nab_snoozed(corpus), "default": score_alerts(corpus, told)}


def _measure_state(pairs: Sequence[tuple[Labelled, Judged]]) -> dict[str, float]:
    """Return the means over series with events; rows that are not evaluated are left out."""
    volumes, areas = [], []
    for series, judged in pairs:
        rows = np.flatnonzero(series.labels != IGNORED)
        rows = rows[rows >= series.first]
        labels = series.labels[rows] == ANOMALOUS
        if labels.any():
            volumes.append(vus_pr(labels, judged.state[rows], find_period(series.values)))
            areas.append(auc_pr(labels, judged.state[rows]))
    return {"vus_pr": float(np.mean(volumes)), "auc_pr": float(np.mean(areas))}


def _measure_best(pairs: Sequence[tuple[Labelled, Judged]], events: Sequence[Events]) -> dict[str, Any]:
    """Return the best F1 that one threshold for all series reaches, and the recall within budgets of false alarms."""
    counts = sweep([(found, judged.onset[series.first :]) for (series, judged), found in zip(pairs, events, strict=True)])
    threshold, best = max(counts, key=lambda pair: pair[1].f1)
    rows = sum(found.evaluated for found in events)
    within = {
        f"{budget:g}": max((count.recall for _, count in counts if 1000 * count.false <= budget * rows), default=0.0) for budget in BUDGETS
    }
    return {"threshold": threshold, **_describe(best), "recall_at_false_alarms_per_1000_rows": within}


def _measure_alerts(pairs: Sequence[tuple[Labelled, Judged]], events: Sequence[Events], alerts: Sequence[Told]) -> dict[str, Any]:
    total = Count()
    for (series, _), found, told in zip(pairs, events, alerts, strict=True):
        shifted = [rows[rows >= series.first] - series.first for rows in (told.told, told.reached)]
        total += count_alerts(found, *shifted)
    months = _measure_months(pairs, events)
    low, high = poisson_interval(total.false, months)
    rate: Mapping[str, float] = {"false_alarms_a_month": total.false / months if months else 0.0, "low": low, "high": high}
    return {**_describe(total), **rate}


def _describe(count: Count) -> dict[str, Any]:
    return {"false": count.false, "found": count.found, "precision": count.precision, "recall": count.recall, "f1": count.f1}
