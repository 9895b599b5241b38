"""NAB's scoring, against tables worked out by hand and against all thresholds tried one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.nab_scoring import Scored, score_alerts, score_nab, score_nab_snoozed

WINDOW = ((4, 7),)


def fall(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


def corpus_of(scores: Any, windows: Any = WINDOW, first: int = 0) -> list[Scored]:
    return [Scored(np.asarray(scores, float), windows, first)]


@pytest.mark.parametrize(
    ("alerts", "standard", "low_fp", "low_fn"),
    [
        ([], 0, 0, 0),
        ([4], 100, 100, 100),
        ([4, 5, 6, 7], 100, 100, 100),
        ([7], 100 * (fall(-0.25) / fall(-1) + 1) / 2, 100 * (fall(-0.25) / fall(-1) + 1) / 2, 100 * (fall(-0.25) / fall(-1) + 2) / 3),
        ([0], -5.5, -11, -100 * 0.11 / 3),
        ([0, 1, 4], 100 - 11, 100 - 22, 100 - 100 * 0.22 / 3),
        ([9], 5.5 * fall(2 / 3), 11 * fall(2 / 3), 11 * fall(2 / 3) / 3),
        ([20], -5.5, -11, -100 * 0.11 / 3),  # further than three widths behind the window
    ],
    ids=["silent", "first row", "whole window", "last row", "before", "twice before", "just behind", "far behind"],
)
def test_alerts_score_as_worked_out_by_hand(alerts: list[int], standard: float, low_fp: float, low_fn: float) -> None:
    scored = score_alerts(corpus_of(np.zeros(21)), [np.array(alerts, np.int64)])
    assert scored == pytest.approx({"standard": standard, "low_fp": low_fp, "low_fn": low_fn})


def test_rows_of_the_probation_neither_find_nor_cost() -> None:
    scored = score_alerts(corpus_of(np.zeros(21), first=6), [np.array([0, 4, 5])])
    assert scored["standard"] == 0


def test_a_window_that_the_probation_hides_counts_as_unreachable() -> None:
    found = score_alerts(corpus_of(np.zeros(21), ((1, 2), (10, 12)), first=6), [np.array([10])])
    assert found["standard"] == pytest.approx(100 * 2 / 3)  # NAB asks for two windows and forgives one


@pytest.mark.parametrize("seed", range(4))
def test_the_best_threshold_is_that_of_all_tried_one_by_one(seed: int) -> None:
    random = np.random.RandomState(seed)
    windows = [((30, 40), (80, 81)), (), ((5, 30),)]
    corpus = [Scored(random.uniform(size=120).round(1) + 0.1 * (random.uniform(size=120) > 0.9), each, 10) for each in windows]
    thresholds = {*np.concatenate([series.scores for series in corpus]).tolist(), 2.0}
    tried = [score_alerts(corpus, [np.flatnonzero(series.scores >= least) for series in corpus]) for least in thresholds]
    assert score_nab(corpus) == pytest.approx({name: max(each[name] for each in tried) for name in tried[0]})


def test_a_snooze_spares_the_cost_of_an_incident_that_lasts() -> None:
    scores = np.zeros(300)
    scores[[100, 101, 102, 103, 104]] = 2
    scores[200] = 1
    corpus = corpus_of(scores, ((200, 209),))
    assert score_nab(corpus)["standard"] == pytest.approx(100 - 5.5 * 5)
    assert score_nab_snoozed(corpus)["standard"] == pytest.approx(100 - 5.5)
    assert score_nab_snoozed(corpus, snooze=3)["standard"] == pytest.approx(100 - 5.5 * 2)


def test_rows_without_a_score_never_alert_while_others_have_one() -> None:
    scores = np.full(50, -np.inf)
    scores[20] = 0.1
    assert score_nab(corpus_of(scores, ((20, 24),)))["standard"] == pytest.approx(100)
