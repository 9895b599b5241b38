"""A page that shows charts and alerts of several batches, interactive, in one file, without a network.

The page holds Vega itself. Its content security policy forbids every request, and lets no script run but those of the
page (by their hashes); expressions of charts are interpreted, not evaluated.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jinja2

from anomflow.alert_words import AlertView, build_view
from anomflow.charts import PNG_POINTS, Chart, build_spec
from anomflow.wording import clean_text, render_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

ALERTS_SHOWN: Final = 500  # of a batch, the newest


@dataclass(frozen=True)
class ReportSection:
    """What the report shows of one batch: charts in their order, alerts (columns of ``frames.ALERTS``), a remark."""

    metric_batch: str
    charts: Sequence[Chart]
    alerts: pl.DataFrame
    remark: str = ""


@dataclass(frozen=True)
class _AlertRow:
    view: AlertView
    status: str


@dataclass(frozen=True)
class _Part:
    """One section as the template reads it."""

    name: str
    remark: str
    specs: tuple[dict[str, Any], ...]
    titles: tuple[str, ...]
    rows: tuple[_AlertRow, ...]
    total: int


def build_report(sections: Sequence[ReportSection], created: datetime | None = None) -> str:
    """Return the page (HTML, about 1 MB and what the charts hold); ``created`` (UTC) is now where it is not given."""
    moment = created or datetime.now(UTC)
    scripts = _load_scripts()
    return (
        _environment()
        .get_template("report.html")
        .render(
            parts=[_build_part(section, moment) for section in sections],
            created=render_time(moment),
            scripts=scripts,
            script_hashes=" ".join(_render_hash(script) for script in scripts),
        )
    )


def _build_part(section: ReportSection, created: datetime) -> _Part:
    newest = section.alerts.sort("metric_timestamp", "alert_id", descending=True).head(ALERTS_SHOWN).to_dicts()
    return _Part(
        name=clean_text(section.metric_batch),
        remark=clean_text(section.remark, 500) if section.remark else "",
        specs=tuple(build_spec(chart, PNG_POINTS, interactive=True) for chart in section.charts),
        titles=tuple(chart.title for chart in section.charts),
        rows=tuple(_AlertRow(build_view(row, created), clean_text(row["status"], 30)) for row in newest),
        total=section.alerts.height,
    )


@cache
def _load_scripts() -> tuple[str, str]:
    """Return Vega, Vega-Lite and Vega-Embed as one script, and the script that draws with them."""
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # the stub lacks the default
    return bundle, _environment().get_template("report.js").render()


def _render_hash(script: str) -> str:
    """Name a script as a content security policy does."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("anomflow")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
