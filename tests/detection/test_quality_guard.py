"""A guard of the default detector's quality, small enough for every check: series made here, events put into them.

The bounds lie a little below (for rates: above) what was measured when they were set. A change that breaks one makes
detection worse; measure it with ``benchmarks/quality.py`` before moving a bound.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from benchmarks.figures import build_figures
from benchmarks.injected import build_injected
from benchmarks.judging import judge_all
from benchmarks.nulls import Clock, build_nulls

CLOCKS = {"5 minutes": Clock(300.0, 288, 3000, 1), "1 hour": Clock(3600.0, 24, 2000, 2)}


@cache
def measure(clock: str, *, events: bool, detector: str = "default") -> dict[str, Any]:
    corpus = (build_injected if events else build_nulls)(CLOCKS[clock])
    return build_figures(list(zip(corpus, judge_all(corpus, detector, processes=1), strict=True)))


@pytest.mark.parametrize(("clock", "nab", "f1", "recall", "vus"), [("5 minutes", 75, 0.83, 0.62, 0.76), ("1 hour", 82, 0.75, 0.95, 0.71)])
def test_the_default_detector_finds_what_was_put_in(clock: str, nab: float, f1: float, recall: float, vus: float) -> None:
    figures = measure(clock, events=True)
    assert figures["events"] == 48
    assert figures["nab"]["snoozed"]["standard"] > nab
    assert figures["best"]["f1"] > f1
    assert figures["default"]["recall"] > recall
    assert figures["state"]["vus_pr"] > vus


def test_the_default_detector_is_far_better_than_the_baseline() -> None:
    ours, theirs = measure("5 minutes", events=True), measure("5 minutes", events=True, detector="anomstack")
    assert ours["best"]["f1"] > theirs["best"]["f1"] + 0.2
    assert ours["nab"]["snoozed"]["standard"] > theirs["nab"]["snoozed"]["standard"] + 20
    assert ours["default"]["false"] < theirs["default"]["false"] / 2


@pytest.mark.parametrize(("asked", "most"), [("0.5", 2.3), ("1", 1.75), ("2", 1.5), ("4", 1.35), ("8", 1.25)])
def test_false_alarms_on_noise_stay_near_what_was_asked_for(asked: str, most: float) -> None:
    real = measure("1 hour", events=False)["asked"][asked]["false_alarms_a_month"]
    assert 0.5 * float(asked) < real < most * float(asked)
