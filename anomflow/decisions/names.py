"""Which metrics a list of names and patterns selects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from anomflow.spec import BatchSpec


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a name is in a list; ``*`` in an entry stands for any text, everything else for itself."""
    return any(re.fullmatch(_pattern(pattern), name, re.DOTALL) for pattern in patterns)


def find_tags(name: str, tags: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Merge the tags of every name and pattern that matches a metric; those of its own name win, else the later ones."""
    found = [of_pattern for pattern, of_pattern in tags.items() if pattern != name and matches(name, [pattern])]
    return {tag: value for of_pattern in (*found, tags.get(name, {})) for tag, value in of_pattern.items()}


def is_selected(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Tell whether a metric takes part: it is included (an empty list includes all) and not excluded."""
    return (not include or matches(name, include)) and not matches(name, exclude)


def is_trained(name: str, spec: BatchSpec) -> bool:
    """Tell whether the settings let a metric be learned."""
    return is_selected(name, spec.train.train_include_metrics, spec.train.train_exclude_metrics)


def is_scored(name: str, spec: BatchSpec) -> bool:
    """Tell whether the settings let a metric be learned and scored."""
    return is_trained(name, spec) and is_selected(name, spec.score.score_include_metrics, spec.score.score_exclude_metrics)


def select_metrics(rows: pl.DataFrame, include: Sequence[str], exclude: Sequence[str]) -> pl.DataFrame:
    """Keep the rows of the metrics that take part."""
    if not include and not exclude:
        return rows
    names = [name for name in rows["metric_name"].unique() if is_selected(name, include, exclude)]
    return rows.filter(pl.col("metric_name").is_in(names))


def _pattern(entry: str) -> str:
    return ".*".join(re.escape(part) for part in entry.split("*"))
