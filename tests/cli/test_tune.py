"""`anomflow tune`: a setting for the alerts a week that are wanted, what it would have told, one line in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands_run import invoke, read
from tests.world import World, at, series

HOURS = 24 * 28
NOTES = "# what the shop sells\nalert_false_alarms_per_month: 50  # loud\nalert_max_age: 3d\n"
JUMPS = [300, 340, 371, 402, 433, 470, 500, 531, 555, 580, 612, 640]


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    world.put(series("orders", HOURS, JUMPS))
    return put(world, "shop")


def put(world: World, batch: str, text: str = NOTES) -> World:
    world.configure(text, batch)
    world.run("ingest", as_of=at(HOURS), batch=batch)
    return world


def find_path(shop: World, batch: str = "shop") -> Path:
    return shop.folder / "metrics" / batch / f"{batch}.yaml"


def test_what_is_proposed_gives_the_alerts_that_were_asked_for(shop: World):
    before = shop.snapshot
    found = read(shop, "tune", "shop", "--alerts-a-week", "2", "--inject", "2")
    assert shop.snapshot == before
    assert (found["asked"], found["reached"], found["changes"], found["written"]) == (2, True, True, False)
    present, proposed = found["present"]["alerts_per_week"], found["proposed"]["alerts_per_week"]
    assert proposed["low"] < proposed["value"] <= 2 < present["value"]
    assert found["present"]["alert_false_alarms_per_month"] == 50
    value = found["proposed"]["alert_false_alarms_per_month"]
    assert found["lines"] == [f"alert_false_alarms_per_month: {value:g}"]
    assert {shape["trials"] for shape in found["proposed"]["injected"]} == {2}
    assert found["metrics"][0]["metric_name"] == "orders"
    # The evidence is what a backtest with that setting says.
    again = read(shop, "backtest", "shop", "--inject", "2", "--set", found["lines"][0].replace(": ", "="))
    assert again["proposed"]["alerts_per_week"] == proposed
    assert again["proposed"]["injected"] == found["proposed"]["injected"]


def test_a_longer_snooze_is_told_as_a_backtest_tells_it(shop: World):
    found = read(shop, "tune", "shop", "--alerts-a-week", "2", "--inject", "0")
    longer = found["snoozes"][-1]
    settings = ["--set", found["lines"][0].replace(": ", "="), "--set", f"alert_snooze_n={longer['alert_snooze_n']}"]
    assert longer["alert_snooze_n"] == 50
    assert read(shop, "backtest", "shop", "--inject", "0", *settings)["proposed"]["alerts_per_week"] == longer["alerts_per_week"]


def test_the_other_model_selection_is_told_as_a_backtest_tells_it(shop: World):
    found = read(shop, "tune", "shop", "--alerts-a-week", "1000", "--inject", "0", "--models")["model_selection"]
    again = read(shop, "backtest", "shop", "--inject", "0", "--set", "model_selection=auto")["proposed"]
    assert (found["model_selection"], found["alerts_per_week"]) == ("auto", again["alerts_per_week"])


def test_people_read_both_and_the_lines_to_paste(shop: World):
    result = invoke(shop, "tune", "shop", "--alerts-a-week", "2", "--inject", "1", "--models")
    assert result.exit_code == 0, result.output
    assert "at most 2 alerts a week" in result.stdout
    assert "spike found" in result.stdout
    assert " and model_selection: auto" in result.stdout
    assert "injected anomalies found: " in result.stdout
    assert "metrics that alert most with what is proposed" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("alert_false_alarms_per_month: ")


def test_enough_is_left_as_it_is(shop: World):
    found = read(shop, "tune", "shop", "--alerts-a-week", "1000", "--inject", "0", "--write")
    assert (found["written"], found["proposed"]["alerts_per_week"]) == (False, found["present"]["alerts_per_week"])
    assert find_path(shop).read_text().endswith(NOTES)


def test_what_nothing_reaches_is_said(shop: World):
    put(shop, "low", NOTES + "tholdalert_thresholds: {orders: {upper: 0}}\ntholdalert_snooze_n: 0\n")
    result = invoke(shop, "tune", "low", "--alerts-a-week", "1", "--inject", "0")
    assert "alert_false_alarms_per_month: 0.02 (present: 50); even so there are more alerts than asked for" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--days", "10"], "10.0 days of scored rows are too few to tell alerts a week; at least 14 are needed. "),
        (["--alerts-a-week", "0.1"], "at least 70 are needed, since 0.1 a week is one in 70 days"),
        (["--as-of", "2026-01-01T10:00"], "0.0 days of scored rows"),
        (["--as-of", "2020-01-01"], "there is no row to replay"),
    ],
)
def test_too_short_a_history_is_no_evidence(shop: World, words: list[str], told: str):
    result = invoke(shop, "tune", "shop", "--inject", "0", *words)
    assert result.exit_code == 1
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("batch", "text", "replaced"),
    [
        ("rate", NOTES, "alert_false_alarms_per_month: 50  # loud"),
        ("bound", "alert_threshold: 0.7 # mine\n", "alert_threshold: 0.7 # mine"),
        ("plain", "", None),
    ],
)
def test_one_line_of_the_file_changes(shop: World, batch: str, text: str, replaced: str | None):
    put(shop, batch, text)
    before = find_path(shop, batch).read_text().splitlines()
    words = ["tune", batch, "--alerts-a-week", "0.5", "--inject", "0", "--write"]
    found = read(shop, *words)
    after = find_path(shop, batch).read_text().splitlines()
    assert found["written"]
    assert next(line for line in after if line not in before).startswith(found["lines"][0])
    assert [line for line in before if line not in after] == [line for line in [replaced] if line]
    again = read(shop, *words)
    assert (again["changes"], again["written"]) == (False, False)


def test_what_overrides_the_file_is_told(shop: World, monkeypatch: pytest.MonkeyPatch):
    put(shop, "env")
    monkeypatch.setenv("ANOMFLOW__ENV__ALERT_FALSE_ALARMS_PER_MONTH", "40")
    result = invoke(shop, "tune", "env", "--alerts-a-week", "0.5", "--inject", "0", "--write")
    assert result.exit_code == 1
    assert "is overridden by" in result.stderr
