"""`anomflow backtest`: a batch, a file, two settings side by side, a page; wrong words and wrong files are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands_run import invoke, read
from tests.cli.terminal import talk
from tests.world import World, at, series

HOSTILE = "a\x1b[31m|<b>'; drop table metrics; --"


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    world.configure()
    world.put(series("orders", 400, [350]))
    world.put(series(HOSTILE, 400, [300], seed=2))
    world.run("ingest", as_of=at(400))
    return world


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(text: str | bytes) -> str:
        path = tmp_path / "history [1]*.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return written


def rows(count: int, form: str = "{0},{1}") -> str:
    return "".join(form.format(1767225600 + 3600 * hour, 100 + hour % 24 + 500 * (hour == 250)) + "\n" for hour in range(count))


def test_a_batch_is_replayed_and_nothing_is_written(shop: World):
    before = shop.snapshot
    found = read(shop, "backtest", "shop", "--inject", "2")
    assert shop.snapshot == before
    assert (found["metrics"], found["rows"], found["scored"], found["failed"]) == (2, 800, 760, {})
    assert ("orders", "2026-01-15T14:00:00Z") in [(alert["metric_name"], alert["metric_timestamp"]) for alert in found["alerts"]]
    assert found["alerts_per_week"]["count"] == len(found["alerts"])
    assert found["anomalies_per_metric_month"]["asked"] == 2
    assert {shape["trials"] for shape in found["injected"]} == {2}
    assert found["microseconds_per_row"] > 0


def test_settings_stand_side_by_side(shop: World):
    found = read(shop, "backtest", "shop", "--inject", "0", "--set", "alert_threshold=0.5", "--days", "10")
    assert found["present"]["since"] == found["proposed"]["since"] == "2026-01-07T15:00:00Z"
    assert len(found["proposed"]["alerts"]) == len(found["appear"]) + found["stay"] > found["stay"]
    result = invoke(shop, "backtest", "shop", "--inject", "2", "--set", "alert_threshold=0.5")
    assert result.exit_code == 0, result.output
    assert "present" in result.stdout
    assert "\nappear" in result.stdout
    assert "\x1b" not in result.stdout


def test_a_page_shows_the_charts(shop: World, tmp_path: Path):
    page = tmp_path / "deep" / "page.html"
    assert invoke(shop, "backtest", "shop", "--inject", "0", "--report", str(page)).exit_code == 0
    text = page.read_text()
    assert "anomalies a metric and 30 days" in text
    assert "<b>'; drop" not in text


@pytest.mark.parametrize(
    ("head", "form"),
    [
        ("timestamp,value", "{0},{1}"),
        ("Time, Value", "{0}000,{1}"),
        ("label,metric_value,metric_timestamp", "0,{1},{0}.5"),
        ("series,value,timestamp", "orders,{1},{0}"),
    ],
)
def test_a_file_is_replayed(shop: World, write: Any, head: str, form: str):
    found = read(shop, "backtest", "--csv", write(f"{head}\n{rows(300, form)}"), "--inject", "0")
    assert (found["metrics"], found["rows"], found["rejected_rows"]) == (1, 300, 0)
    assert found["alerts"][-1]["metric_value"] == 610
    assert found["alerts"][-1]["metric_timestamp"].startswith("2026-01-11T10:00:00")


def test_rows_that_are_none_are_told_and_left_out(shop: World, write: Any):
    path = write("timestamp,value\n" + "noon,1\n,2\n" + rows(50).replace(",110", ",many") + rows(30))
    found = read(shop, "backtest", "--csv", path)
    assert (found["rows"], found["rejected_rows"]) == (49, 4)
    assert "metric_value is text that is no number" in invoke(shop, "backtest", "--csv", path).stderr


@pytest.mark.parametrize("count", [1, 19])
def test_few_rows_have_no_rate(shop: World, write: Any, count: int):
    found = read(shop, "backtest", "--csv", write(f"timestamp,value\n{rows(count)}"))
    assert (found["rows"], found["scored"], found["alerts"], found["injected"]) == (count, 0, [], [])
    assert found["alerts_per_week"]["value"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("timestamp,value\n", "there is no row"),
        ("a,b\n1,2\n", "found: a, b"),
        ("timestamp,value\n2026-01-01,many\n", "no number in it"),
        ("timestamp,value\nnoon,1\n", "no row can be used"),
        ("timestamp,value\n1,2,3,4\n", "as many cells"),
        (b"timestamp,value\n\xff\xfe,1\n", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_name(shop: World, write: Any, content: str | bytes, words: str):
    result = invoke(shop, "backtest", "--csv", write(content))
    assert result.exit_code == 1
    assert words in result.stderr
    assert "history [1]*.csv" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "name a batch, or a file by --csv"),
        (["shop", "--csv", "x.csv"], 2, "name a batch, or a file by --csv"),
        (["nobody"], 2, "there is no batch 'nobody'"),
        (["shop", "--set", "alert_treshold=1"], 2, "Did you mean alert_threshold?"),
        (["shop", "--days", "0"], 2, "--days"),
        (["shop", "--as-of", "2020-01-01"], 1, "there is no row to replay"),
        (["--csv", "/nowhere/x.csv"], 1, "cannot be read: No such file"),
    ],
)
def test_wrong_words_are_told(shop: World, words: list[str], code: int, told: str):
    result = invoke(shop, "backtest", *words)
    assert result.exit_code == code
    assert told in " ".join(result.stderr.split())


def test_a_batch_without_a_database_has_nothing_to_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: World):
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "nothing"))
    result = invoke(shop, "--json", "backtest", "shop")
    assert result.exit_code == 1
    assert "anomflow run ingest shop" in json.loads(result.stdout)["error"]["message"]
    assert not (tmp_path / "nothing").exists()


def test_a_terminal_shows_how_far_it_is(write: Any):
    assert "replaying" in talk(["backtest", "--csv", write(f"timestamp,value\n{rows(300)}")], {})
