"""Publish Prefect artifacts: the charts of a batch, the metrics that failed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from anomflow.charts import build_chart, render_png, render_svg
from anomflow.wording import clean_text, render_count
from tasks.effects import effect

if TYPE_CHECKING:
    import polars as pl

# Every keyed artifact is stored up to three times, and lists carry it whole.
MAX_BYTES: Final = 1_000_000
MAX_LISTED: Final = 500


def artifact_key(*parts: str) -> str:
    """Return a key of the characters that Prefect allows; the same parts give the same key, whose versions it groups.

    Where other characters had to give way, a hash of what they were keeps `a_b` and `a-b` apart.
    """
    asked = "-".join(parts)
    key = re.sub(r"[^a-z0-9]+", "-", asked.lower()).strip("-")
    return key if key == asked else f"{key}-{sha256(asked.encode()).hexdigest()[:6]}".strip("-")


def escape_markdown(text: str) -> str:
    """Return text from data so that markdown shows it as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>~-])", r"\\\1", clean_text(text))


@effect("publish charts")
def publish_charts(batch: str, histories: Mapping[str, pl.DataFrame], method: str) -> int:
    """Publish charts as one markdown artifact and return how many went in; outside a run nothing is drawn."""
    if FlowRunContext.get() is None or not histories:
        return 0
    parts: list[str] = []
    size = 0
    for name, history in histories.items():
        part = f"## {escape_markdown(name)}\n\n![{artifact_key(name)}]({_data_uri(name, history, method)})\n"
        size += len(part.encode()) + 1
        if size > MAX_BYTES:
            break
        parts.append(part)
    create_markdown_artifact("\n".join(parts), key=artifact_key("charts", batch), description=f"Metrics of {escape_markdown(batch)}")
    return len(parts)


def _data_uri(name: str, history: pl.DataFrame, method: str) -> str:
    chart = build_chart(name, history)
    kind, content = ("png", render_png(chart, 1.0)) if method == "markdown-png" else ("svg+xml", render_svg(chart).encode())
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@effect("publish failures")
def publish_failures(batch: str, job: str, failures: Mapping[str, str]) -> None:
    """Publish the metrics that failed, with their reasons, as one artifact."""
    if FlowRunContext.get() is None:
        return
    lines = [f"| {escape_markdown(name)} | {escape_markdown(reason)} |" for name, reason in list(failures.items())[:MAX_LISTED]]
    more = [f"\n{len(failures) - MAX_LISTED} more"] if len(failures) > MAX_LISTED else []
    text = "\n".join(["| metric | reason |", "|---|---|", *lines, *more])
    create_markdown_artifact(
        text, key=artifact_key("failures", job, batch), description=f"{render_count(len(failures), 'metric')} failed in {job}"
    )
