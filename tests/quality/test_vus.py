"""Areas under precision-recall curves; the numbers of VUS-PR come from another implementation that agrees with TSB-AD's."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.vus import auc_pr, fade, find_period, merge, vus_pr

Runs = tuple[tuple[int, int], ...]


def make(seed: int, rows: int, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros(rows, np.bool_)
    for first, last in runs:
        labels[first : last + 1] = True
    return labels, np.random.RandomState(seed).uniform(size=rows).round(2) + 0.4 * labels


@pytest.mark.parametrize(
    ("seed", "rows", "runs", "widest", "expected"),
    [
        (1, 300, ((50, 60), (200, 200)), 20, 0.42060036431545345),
        (2, 500, ((0, 4), (30, 35), (40, 44), (495, 499)), 40, 0.3355674499478909),
        (3, 260, ((100, 180),), 0, 0.7705010366709231),
        (4, 400, ((10, 12), (17, 20), (300, 310)), 7, 0.49920138929528746),
    ],
)
def test_vus_is_that_of_another_implementation(seed: int, rows: int, runs: Runs, widest: int, expected: float) -> None:
    assert vus_pr(*make(seed, rows, runs), widest) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([1, 0, 1, 0], [4, 3, 2, 1], 0.5 * 1 + 0.5 * 2 / 3),
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0),
        ([1, 0, 0, 0], [1, 1, 1, 1], 0.25),
        ([0, 1, 0, 0], [2, -np.inf, -np.inf, -np.inf], 0.25),
    ],
)
def test_average_precision_is_that_of_the_table(labels: list[int], scores: list[float], expected: float) -> None:
    assert auc_pr(np.array(labels, np.bool_), np.array(scores, np.float64)) == pytest.approx(expected)


def test_without_events_there_is_no_area() -> None:
    nothing, scores = np.zeros(50, np.bool_), np.arange(50.0)
    assert np.isnan(auc_pr(nothing, scores))
    assert np.isnan(vus_pr(nothing, scores, 10))


def test_labels_fade_out_over_half_a_window() -> None:
    assert fade(((3, 4),), 4, 9) == pytest.approx([0, 0.5**0.5, 0.75**0.5, 1, 1, 0.75**0.5, 0.5**0.5, 0, 0])
    assert fade(((3, 4),), 0, 6).tolist() == [0, 0, 0, 1, 1, 0]


def test_widened_events_that_meet_become_one() -> None:
    assert merge(((2, 3), (10, 11), (15, 19)), 4, 20) == ((0, 5), (8, 19))
    assert merge(((2, 3), (10, 11), (15, 18)), 2, 20) == ((1, 4), (9, 12), (14, 19))


def test_the_window_is_the_period_of_a_season() -> None:
    season = np.sin(2 * np.pi * np.arange(2000) / 48)
    assert find_period(season) == 48
    assert find_period(np.zeros(2000)) == find_period(np.arange(4.0)) == 125
