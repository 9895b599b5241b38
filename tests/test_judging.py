"""Which points await a judgement, how they get it, and the rows that say so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from anomflow.frames import OBSERVATIONS, SCORES
from anomflow.frames import UTC as TIMES
from anomflow.judging import build_plan, fill_scores, find_awaiting, limit_first, null_scores, score_rows

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def points(*rows: tuple[str, int, float | None]) -> pl.DataFrame:
    schema = {"metric_name": pl.String, "metric_timestamp": TIMES, "metric_value": pl.Float64}
    return pl.DataFrame([(name, NOW + hour * HOUR, value) for name, hour, value in rows], schema=schema, orient="row")


def scores(*rows: tuple[str, int, str | None]) -> pl.DataFrame:
    schema = {"metric_name": pl.String, "metric_timestamp": TIMES, "metadata": pl.String}
    return pl.DataFrame([(name, NOW + hour * HOUR, text) for name, hour, text in rows], schema=schema, orient="row")


def ours(value: float | None) -> str:
    return json.dumps({"value": value, "model": "v1"})


@pytest.mark.parametrize(
    ("present", "metadata", "awaits"),
    [
        (1.0, None, True),
        (1.0, ours(1.0), False),
        (1.0, ours(2.0), True),
        (None, ours(None), False),
        (None, ours(1.0), True),
        (1.0, ours(None), True),
        (1e300, ours(1e300), False),
        (1.0 + 1e-12, ours(1.0), False),  # the order of a sum
        (0.0, ours(0.0), False),
        (0.0, ours(1e-12), True),
        (1.0, '{"value": 1.0}', True),  # a score of others
        (1.0, "no JSON", True),
    ],
)
def test_a_point_awaits_a_judgement_of_its_present_value(present: float | None, metadata: str | None, *, awaits: bool):
    known = scores(("a", 0, metadata)) if metadata is not None else scores()
    assert (find_awaiting(points(("a", 0, present)), known).height == 1) is awaits


def test_the_newest_of_several_scores_counts():
    known = scores(("a", 0, ours(1.0)), ("a", 0, ours(2.0)))
    assert find_awaiting(points(("a", 0, 2.0)), known).is_empty()
    assert find_awaiting(points(("a", 0, 1.0)), known).height == 1


def test_scores_of_other_metrics_and_times_say_nothing():
    known = scores(("a", 1, ours(1.0)), ("b", 0, ours(1.0)))
    assert find_awaiting(points(("a", 0, 1.0)), known).height == 1


def test_late_points_and_unknown_metrics_are_replayed_in_full():
    awaiting = points(("new", 1, 1.0), ("late", -1, 1.0), ("late", 1, 1.0), ("at", 0, 1.0), ("unknown", 1, 1.0))
    plan = build_plan(awaiting, frozenset(), dict.fromkeys(["new", "late", "at"], NOW.timestamp()))
    assert plan.fresh == {"new"}
    assert plan.full == {"late", "at", "unknown"}
    assert plan.to_score.height == 5
    assert plan.null_rows.is_empty()


def test_excluded_and_missing_values_need_no_replay():
    awaiting = points(("excluded", 1, None), ("gap", 1, None), ("gap", 2, 1.0), ("inf", 1, float("inf")))
    plan = build_plan(awaiting, frozenset({"excluded"}), {"gap": NOW.timestamp(), "excluded": NOW.timestamp()})
    assert dict(plan.null_rows.select("metric_name", "reason").rows()) == {
        "excluded": "excluded",
        "gap": "not_finite",
        "inf": "not_finite",
    }
    assert plan.to_score.rows() == [("gap", NOW + 2 * HOUR, 1.0)]
    assert (plan.fresh, plan.full) == ({"gap"}, frozenset())


def test_a_missing_value_before_the_checkpoint_asks_for_no_replay():
    plan = build_plan(points(("a", -1, None), ("a", 1, 1.0)), frozenset(), {"a": NOW.timestamp()})
    assert plan.fresh == {"a"}


def test_a_first_scoring_judges_the_newest_rows_and_leaves_out_the_others():
    awaiting = points(*(("first", hour, 1.0) for hour in (2, 0, 1)), *(("known", hour, 1.0) for hour in range(3)))
    judged, left_out = limit_first(awaiting, frozenset({"known"}), 2)
    assert judged.filter(metric_name="first")["metric_timestamp"].to_list() == [NOW + 2 * HOUR, NOW + HOUR]
    assert judged.filter(metric_name="known").height == 3
    assert left_out.rows() == [("first", NOW, 1.0)]


def test_frames_are_filled_to_the_columns_of_scores():
    assert fill_scores(points(("a", 0, 1.0))).schema == pl.Schema(SCORES)
    null = null_scores(points(("a", 0, 1.0)), "before_start")
    assert (null["reason"].item(), null["anomaly_score"].item(), null["metric_value"].item()) == ("before_start", None, 1.0)
    assert null_scores(points().with_columns(reason=pl.lit("x"))).schema == pl.Schema(SCORES)


def test_a_score_row_says_which_value_was_judged_and_how():
    judged = fill_scores(
        points(("a\n'", 0, 7.0)).with_columns(anomaly=pl.lit(2.0), state=pl.lit(1.25), anomaly_score=pl.lit(0.80004), surprise=pl.lit(3.5))
    )
    rows = score_rows(judged, "shop", "v1", 4)
    assert rows.schema == pl.Schema(OBSERVATIONS.columns)
    row = rows.row(0, named=True)
    assert (row["metric_type"], row["metric_value"], row["metric_name"]) == ("score", 0.8, "a\n'")
    facts = json.loads(row["metadata"])
    assert (facts["value"], facts["A"], facts["S"], facts["surprise"]) == (7.0, 2.0, 1.25, 3.5)
    assert (facts["model"], facts["reason"]) == ("v1", None)


def test_what_is_written_needs_no_second_judgement():
    judged = points(("a", 0, 0.1 + 0.2), ("a", 1, None), ("a", 2, 1e308), ("a", 3, -5e-324))
    written = score_rows(fill_scores(judged), "shop", "v1", 4)
    assert find_awaiting(judged, written).is_empty()
