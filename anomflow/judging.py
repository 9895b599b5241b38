"""Which points await a judgement, and the score rows that say that they got one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from anomflow.frames import SCORE, SCORES
from anomflow.ingestion import POINT

# Values are compared after the same rounding and aggregation; this much is left to the order of a sum.
RELATIVE_TOLERANCE = 1e-9

COLD_START = "cold_start"
NOT_FINITE = "not_finite"
EXCLUDED = "excluded"
BEFORE_START = "before_start"
IGNORED = "ignored_period"


# What the metadata of our scores looks like to SQL's like.
OURS = '{"value":%,"model":"%'


def read_judged(metadata: pl.Expr) -> list[pl.Expr]:
    """Return what a score row's metadata says: ``judged_value``, ``judged`` (a score of ours stands there), ``no_score_because``."""
    return [
        metadata.str.json_path_match("$.value").cast(pl.Float64, strict=False).alias("judged_value"),
        metadata.str.json_path_match("$.model").is_not_null().alias("judged"),
        metadata.str.json_path_match("$.reason").alias("no_score_because"),
    ]


def is_awaiting() -> pl.Expr:
    """Tell of a point joined to its score whether that score is missing or of another value."""
    value, old = pl.col("metric_value"), pl.col("judged_value")
    close = (value - old).abs() <= RELATIVE_TOLERANCE * value.abs()
    same = pl.when(value.is_null() | old.is_null()).then(value.is_null() & old.is_null()).otherwise(close | (value == old))
    return ~(pl.col("judged").fill_null(value=False) & same)


def find_awaiting(points: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Return the points (metric_name, metric_timestamp, metric_value) without a score of their present value.

    ``scores`` has metric_name, metric_timestamp and metadata; scores that are not ours count as absent.
    """
    ours = scores.select(*POINT, *read_judged(pl.col("metadata"))).unique(POINT, keep="last")
    return points.join(ours, on=POINT, how="left").filter(is_awaiting()).select(*POINT, "metric_value")


def find_orphans(scores: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    """Return the scored points whose row is gone, as far back as the history of their metric reaches.

    An orphan would make up for a late row where rows and scores are only counted.
    """
    first = history.group_by("metric_name").agg(pl.col("metric_timestamp").min().alias("first"))
    known = scores.join(first, on="metric_name").filter(pl.col("metric_timestamp") >= pl.col("first"))
    return known.join(history.select(POINT), on=POINT, how="anti").select(POINT)


@dataclass(frozen=True, eq=False)
class Plan:
    """How the awaiting points get their judgement: null rows right away, the rest by replay from a state or from the origin."""

    null_rows: pl.DataFrame
    to_score: pl.DataFrame
    fresh: frozenset[str]
    full: frozenset[str]


def build_plan(
    awaiting: pl.DataFrame, excluded: frozenset[str], checkpoints: Mapping[str, float], ignored: pl.Series | None = None
) -> Plan:
    """Sort awaiting points: excluded, ignored or not finite ones need no replay; late ones, and metrics without a state, a full one.

    ``ignored`` says why a period is ignored that covers a point (null: none does); it becomes the point's explanation.
    ``checkpoints`` holds the epoch seconds (inclusive) up to which a metric's state needs no more rows; a point that
    awaits its judgement there came late, or was corrected.
    """
    name = pl.col("metric_name")
    reason = (
        pl.when(name.is_in(sorted(excluded)))
        .then(pl.lit(EXCLUDED))
        .when(pl.col("explanation").is_not_null())
        .then(pl.lit(IGNORED))
        .when(~pl.col("metric_value").is_finite().fill_null(value=False))
        .then(pl.lit(NOT_FINITE))
    )
    covered = pl.lit(None, pl.String) if ignored is None else ignored
    marked = awaiting.with_columns(covered.alias("explanation")).with_columns(reason.alias("reason"))
    to_score = marked.filter(pl.col("reason").is_null()).drop("reason", "explanation")
    oldest = to_score.group_by("metric_name").agg(pl.col("metric_timestamp").min().dt.epoch("us") / 1e6)
    full = frozenset(metric for metric, first in oldest.iter_rows() if metric not in checkpoints or first <= checkpoints[metric])
    return Plan(marked.filter(pl.col("reason").is_not_null()), to_score, fresh=frozenset(oldest["metric_name"]) - full, full=full)


def limit_first(awaiting: pl.DataFrame, scored_before: frozenset[str], max_n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split the awaiting points of metrics that were never scored: the newest ``max_n`` to judge, the older ones not."""
    rank = pl.col("metric_timestamp").rank("ordinal", descending=True).over("metric_name")
    old = (rank > max_n) & ~pl.col("metric_name").is_in(sorted(scored_before))
    ranked = awaiting.with_columns(old.alias("old"))
    return ranked.filter(~pl.col("old")).drop("old"), ranked.filter("old").drop("old")


def null_scores(points: pl.DataFrame, reason: str | None = None) -> pl.DataFrame:
    """Return points as rows of SCORES without a score, for a reason (or the one in their column ``reason``)."""
    return fill_scores(points.with_columns(pl.lit(reason).alias("reason")) if reason else points)


def fill_scores(scores: pl.DataFrame) -> pl.DataFrame:
    """Return rows with all columns of SCORES in order, null where a column was not there."""
    missing = [pl.lit(None, kind).alias(name) for name, kind in SCORES.items() if name not in scores.columns]
    return scores.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in SCORES.items())


def score_rows(scores: pl.DataFrame, batch: str, version: str, decimals: int) -> pl.DataFrame:
    """Return SCORES as rows of the observations table, each with the metadata that says which value was judged, and how."""
    facts = pl.struct(
        pl.col("metric_value").alias("value"),
        pl.col("anomaly").alias("A"),
        pl.col("state").alias("S"),
        "surprise",
        "expected",
        "expected_low",
        "expected_high",
        "threshold",
        "reason",
        "explanation",
        pl.lit(version).alias("model"),
    )
    return scores.select(
        "metric_timestamp",
        pl.lit(batch).alias("metric_batch"),
        "metric_name",
        pl.lit(SCORE).alias("metric_type"),
        pl.col("anomaly_score").round(decimals).alias("metric_value"),
        facts.struct.json_encode().alias("metadata"),
    )
