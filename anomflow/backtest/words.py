"""A backtest in words: lines for people, facts for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from anomflow.backtest.summary import Comparison, Summary, compare, find_course, sum_up
from anomflow.ledger.plan import FACTS
from anomflow.sparkline import render_sparkline
from anomflow.wording import render_judged, render_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import polars as pl

    from anomflow.backtest.rates import Rate
    from anomflow.backtest.run import Backtest

HEADINGS: Final = ("metric", "kind", "when (UTC)", "value", "expected", "score", "course")
SHAPE_HEADINGS: Final = ("injected", "found", "delay in rows")
_FACTS: Final = ("metric_name", "kind", "metric_timestamp", *FACTS, "reason")


def render_rate(rate: Rate) -> str:
    """Write a rate with its interval."""
    if rate.value is None:
        return "unknown: too few rows were scored"
    return f"{rate.value:.2f} (95 %: {rate.low:.2f} to {rate.high:.2f})"


def describe_summary(summary: Summary) -> list[tuple[str, str]]:
    """Return labels and what stands beside them."""
    asked = "" if summary.asked is None else f"; asked: {render_number(summary.asked)}"
    return [
        ("judged", f"{summary.rows} rows of {summary.metrics} metrics, {summary.rows - summary.scored} of them without a score"),
        ("alerts", f"{summary.a_week.count} ({summary.snoozed} more snoozed)"),
        ("a week", render_rate(summary.a_week)),
        ("anomalies a metric and 30 days", f"{render_rate(summary.a_metric_month)}{asked}"),
    ]


def describe_trials(trials: pl.DataFrame) -> list[tuple[str, str, str]]:
    """Return a row for each shape of injected anomalies."""
    return [
        (row["shape"], f"{row['found']} of {row['trials']}", "" if row["delay_rows"] is None else f"{row['delay_rows']:g}")
        for row in trials.iter_rows(named=True)
    ]


def describe_alerts(alerts: pl.DataFrame, scores: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return a row for each alert (see ``HEADINGS``), its metric's course around it as a sparkline."""
    return [_describe_alert(row, scores) for row in alerts.iter_rows(named=True)]


def _describe_alert(row: dict[str, Any], scores: pl.DataFrame) -> tuple[Any, ...]:
    course = render_sparkline(find_course(scores, row["metric_name"], row["metric_timestamp"]))
    score = "" if row["anomaly_score"] is None else f"{row['anomaly_score']:.4f}"
    value, expected = render_judged(row["metric_value"], row["expected_low"], row["expected_high"])
    return row["metric_name"], row["kind"], row["metric_timestamp"], value, expected, score, course


def order_alerts(alerts: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Return the most surprising alerts, those without a score first, oldest first; ``limit`` at most."""
    ranked = alerts.sort("surprise", "metric_timestamp", "metric_name", descending=[True, False, False], nulls_last=False)
    return ranked.head(limit).sort("metric_timestamp", "metric_name", "kind")


def list_alerts(alerts: pl.DataFrame) -> list[dict[str, Any]]:
    """Return alerts as facts, oldest first."""
    return alerts.sort("metric_timestamp", "metric_name", "kind").select(_FACTS).to_dicts()


def state_facts(backtest: Backtest) -> dict[str, object]:
    """Return all that a backtest says as JSON-ready facts (times are UTC)."""
    summary = sum_up(backtest)
    return {
        "since": backtest.since,
        "until": backtest.until,
        "metrics": summary.metrics,
        "rows": summary.rows,
        "scored": summary.scored,
        "alerts_per_week": asdict(summary.a_week),
        "anomalies_per_metric_month": {**asdict(summary.a_metric_month), "asked": summary.asked},
        "snoozed": summary.snoozed,
        "alerts": list_alerts(backtest.opened),
        "injected": summary.trials.to_dicts(),
        "failed": dict(backtest.failed),
    }


def state_comparison(present: Backtest, proposed: Backtest) -> dict[str, object]:
    """Return two backtests of the same rows, and which alerts appear and go, as JSON-ready facts."""
    found = compare(present, proposed)
    return {
        "present": state_facts(present),
        "proposed": state_facts(proposed),
        "appear": list_alerts(found.appear),
        "go": list_alerts(found.go),
        "stay": found.stay.height,
    }


def describe_both(present: Summary, proposed: Summary) -> list[tuple[str, str, str]]:
    """Return the lines of two summaries side by side: label, present, proposed; trials after the rates."""
    facts = zip(describe_summary(present), describe_summary(proposed), strict=True)
    lines = [(label, one, other) for (label, one), (_, other) in facts]
    shapes = [{shape: _tell_trials(found, delay) for shape, found, delay in describe_trials(part.trials)} for part in (present, proposed)]
    one, other = shapes
    return lines + [(f"{shape} found", one.get(shape, "not tried"), other.get(shape, "not tried")) for shape in {**one, **other}]


def _tell_trials(found: str, delay: str) -> str:
    return f"{found}, {delay} rows late" if delay else found


def render_markdown(parts: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]) -> str:
    """Return sections (title, headings, rows; cells escaped by the caller) as a document of tables."""
    return "\n\n".join("\n".join(_render_section(*part)) for part in parts if part[2])


def _render_section(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows))]


__all__ = [
    "HEADINGS",
    "SHAPE_HEADINGS",
    "Comparison",
    "describe_alerts",
    "describe_both",
    "describe_summary",
    "describe_trials",
    "list_alerts",
    "order_alerts",
    "render_markdown",
    "render_rate",
    "state_comparison",
    "state_facts",
]
