"""Backtests as sections of the interactive page, and as a document for an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anomflow.backtest.summary import build_histories, sum_up
from anomflow.backtest.words import describe_summary
from anomflow.charts import build_chart
from anomflow.report import ReportSection, build_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from anomflow.backtest.run import Backtest

CHARTS: Final = 20  # of a section: the metrics with the most alerts


def build_page(backtests: Mapping[str, Backtest], created: datetime) -> str:
    """Return the page (HTML) with a section for each backtest, under its title."""
    return build_report([_build_section(title, backtest) for title, backtest in backtests.items()], created)


def _build_section(title: str, backtest: Backtest) -> ReportSection:
    charts = [build_chart(name, history) for name, history in build_histories(backtest, CHARTS).items()]
    remark = "; ".join(f"{label}: {text}" for label, text in describe_summary(sum_up(backtest)))
    return ReportSection(title, charts, backtest.opened, remark)
