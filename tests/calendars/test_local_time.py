"""The season follows local time, and days unlike others are compared with their like."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from anomflow.backtest.numbers import replay_series
from anomflow.detectors import Replay, build_detector
from anomflow.model_bytes import dump, load, object_name
from anomflow.models import FittedModel

BERLIN = ZoneInfo("Europe/Berlin")
HOLIDAYS = {date(2024, 5, 1), date(2024, 5, 9), date(2024, 5, 20), date(2024, 10, 3), date(2024, 12, 25), date(2024, 12, 26)}
HOLIDAYS |= {date(2025, 1, 1), date(2025, 4, 18), date(2025, 4, 21), date(2025, 5, 1), date(2025, 5, 29), date(2025, 6, 9)}
HOLIDAYS |= {date(2024, 4, 1), date(2024, 3, 29), date(2025, 10, 3)}
WEEK = (1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.4)
FRIDAYS = [date(2023, 11, 24), date(2024, 11, 29), date(2025, 11, 28)]


def local_times(seconds: np.ndarray) -> list[datetime]:
    return [datetime.fromtimestamp(second, BERLIN) for second in seconds.tolist()]


def build_daily(days: int, first: date = date(2024, 3, 1)) -> tuple[np.ndarray, list[date]]:
    """Return the local midnights of days in Berlin, and the days."""
    dates = [first + timedelta(days=day) for day in range(days)]
    return np.array([int(datetime(day.year, day.month, day.day, tzinfo=BERLIN).timestamp()) for day in dates]), dates


def build_business(dates: list[date], seed: int, closed: float = 0.4) -> np.ndarray:
    """Return a business's days: fewer on weekends, a share of a working day's on holidays."""
    level = np.array([WEEK[day.weekday()] if day not in HOLIDAYS or day.weekday() == 6 else closed for day in dates])
    return 1000 * level * (1 + np.random.default_rng(seed).normal(0, 0.04, len(dates)))


@pytest.mark.parametrize("seed", [0, 2])
def test_a_season_follows_local_time_through_the_change_of_clocks(seed: int) -> None:
    seconds = int(datetime(2026, 2, 24, tzinfo=BERLIN).timestamp()) + np.arange(45 * 96) * 900
    hours = np.array([time.hour + time.minute / 60 for time in local_times(seconds)])
    course = 100 * np.exp(-0.5 * (hours - 9) ** 2) + 30 * np.exp(-0.5 * ((hours - 17) / 2) ** 2) + 20
    values = course + np.random.default_rng(seed).normal(0, 2, len(seconds))
    change = int(datetime(2026, 3, 29, tzinfo=BERLIN).timestamp())
    week = (seconds >= change) & (seconds < change + 7 * 86_400)

    def count(zone: str) -> int:
        return int(replay_series(seconds, values, {"timezone": zone})["alert"].to_numpy()[week].sum())

    assert count("Europe/Berlin") <= 1
    assert count("UTC") >= 5


@pytest.mark.parametrize("zone", ["Europe/London", "Africa/Abidjan"])
def test_zones_at_utc_give_the_bits_of_utc(zone: str) -> None:
    seconds = int(datetime(2026, 1, 1, tzinfo=BERLIN).timestamp()) + np.arange(600) * 3600
    values = np.random.default_rng(0).normal(size=600)
    assert replay_series(seconds, values, {"timezone": zone}).equals(replay_series(seconds, values))


@pytest.mark.parametrize("closed", [0.4, 0.55])
def test_holidays_at_the_level_of_sundays_raise_no_alerts_nor_do_the_days_after(closed: float) -> None:
    seconds, dates = build_daily(600)
    days = np.isin(np.array(dates), [day for day in HOLIDAYS if day.weekday() != 6])
    near = np.convolve(days, [0, 0, 0, 1, 1, 1, 1], "same").astype(bool)[: len(days)]
    counts = {"": 0, "DE": 0}
    elsewhere = {"": 0, "DE": 0}
    for seed in range(3):
        values = build_business(dates, seed, closed)
        for holidays in counts:
            alerts = replay_series(seconds, values, {"timezone": "Europe/Berlin", "holidays": holidays or "[]"})["alert"].to_numpy()
            counts[holidays] += int(alerts[days | near].sum())
            elsewhere[holidays] += int(alerts[~days & ~near].sum())
    assert counts[""] >= 15
    assert counts["DE"] <= 3
    assert elsewhere["DE"] <= elsewhere[""] + 6


def test_days_off_of_others_change_little_for_a_business_that_works_through() -> None:
    seconds, dates = build_daily(600)
    values = build_business(dates, 1, closed=1.0)
    alerts = replay_series(seconds, values, {"timezone": "Europe/Berlin", "holidays": "DE"})["alert"].to_numpy()
    assert not alerts[np.isin(np.array(dates), list(HOLIDAYS))].any()


@pytest.mark.parametrize("outage", [date(2025, 5, 29), date(2025, 10, 3)])
def test_an_outage_on_a_holiday_is_found(outage: date) -> None:
    seconds, dates = build_daily(600)
    values = build_business(dates, 1)
    values[dates.index(outage)] *= 0.02
    said = replay_series(seconds, values, {"timezone": "Europe/Berlin", "holidays": "DE"})
    assert said["alert"][dates.index(outage)]


def test_the_expected_range_of_a_holiday_holds_its_value() -> None:
    seconds, dates = build_daily(600)
    values = build_business(dates, 1)
    said = replay_series(seconds, values, {"timezone": "Europe/Berlin", "holidays": "DE-BE"})
    row = dates.index(date(2025, 5, 29))
    assert said["expected_low"][row] <= values[row] <= said["expected_high"][row]


def test_a_metric_that_was_never_negative_is_not_expected_to_be_on_a_holiday() -> None:
    seconds, dates = build_daily(600)
    counts = build_business(dates, 1, closed=0.0)
    lows = [
        replay_series(seconds, values, {"timezone": "Europe/Berlin", "holidays": "DE"})["expected_low"][200:]
        for values in (counts, counts - 500)
    ]
    assert lows[0].min() == 0.0
    assert lows[1].min() < -500.0


def test_a_special_day_is_compared_with_the_earlier_ones_of_its_name() -> None:
    seconds, dates = build_daily(800, date(2023, 10, 1))
    values = build_business(dates, 3, closed=1.0)
    for day in FRIDAYS:
        values[dates.index(day)] *= 2.5
    named = replay_series(seconds, values, {"timezone": "Europe/Berlin", "special_days": {"black_friday": FRIDAYS}})
    plain = replay_series(seconds, values, {"timezone": "Europe/Berlin"})
    last = dates.index(FRIDAYS[-1])
    assert plain["alert"][last]
    assert not named["alert"][last]
    values[last] *= 0.1
    failed = replay_series(seconds, values, {"timezone": "Europe/Berlin", "special_days": {"black_friday": FRIDAYS}})
    assert failed["alert"][last]


OPTIONS = {"timezone": "Europe/Berlin", "holidays": ["DE"], "special_days": {"sale": [19_850, 19_900, 20_100]}}


@pytest.mark.parametrize(("step", "rows", "cuts"), [(3600, 2400, [50, 700, 1900, 1901]), (86_400, 700, [25, 60, 401, 402, 640])])
def test_pieces_through_a_store_give_the_bits_of_one_replay(step: int, rows: int, cuts: list[int]) -> None:
    detector = build_detector("multiview", OPTIONS)
    seconds = datetime(2024, 2, 28, 23, tzinfo=BERLIN).timestamp() + np.arange(rows) * float(step)
    values = np.random.default_rng(0).normal(100, 5, rows) + 30 * np.sin(seconds / 86_400 * 2 * np.pi)

    def bits(state: Any) -> bytes:
        return dump(FittedModel("multiview", {}, "f", {}, {"m": state}, OPTIONS))

    whole, last = detector.advance(None, seconds, values)
    state, parts = None, []
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        part, state = detector.advance(state, seconds[start:end], values[start:end])
        content = bits(state)
        state = load(content, object_name(content)).states["m"]
        parts.append(part)
    pieces = Replay.join(parts)
    assert all(getattr(pieces, field.name).tobytes() == getattr(whole, field.name).tobytes() for field in fields(Replay))
    assert bits(state) == bits(last)
    assert np.any(last.memory["moved"] != 0)
    changed = np.concatenate([values[: rows // 2], values[rows // 2 :] * 3])
    assert detector.advance(None, seconds, changed)[0].anomaly[: rows // 2].tobytes() == whole.anomaly[: rows // 2].tobytes()


@pytest.mark.parametrize(("step", "rows"), [(300, 6000), (3600, 3000), (86_400, 800)])
def test_the_expected_range_holds_99_of_100_usual_rows(step: int, rows: int) -> None:
    seconds = 1_704_067_200 + np.arange(rows) * step
    noise = np.random.default_rng(4).normal(size=(3, rows))
    course = 10 * np.sin(seconds / 86_400 * 2 * np.pi / (1 if step < 86_400 else 7))
    shares = []
    for values in (noise[0], course + noise[1], np.exp(noise[2] / 2)):
        said = replay_series(seconds, values)[rows // 4 :]
        late = values[rows // 4 :]
        shares.append(float(((said["expected_low"].to_numpy() <= late) & (late <= said["expected_high"].to_numpy())).mean()))
    assert all(0.98 <= share <= 0.997 for share in shares), shares
