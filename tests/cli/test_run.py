"""`anomflow run`: jobs in order, wrong words before anything starts, exit codes, JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from anomflow.spec import JOBS
from cli.main import build_app
from cli.times import parse_time
from tests.world import World, series


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    world.put(series("orders", 200, spikes=(199,)))
    world.configure()
    return world


def run(world: World, *words: str) -> Result:
    return CliRunner().invoke(build_app(), ["--metrics", str(world.folder / "metrics"), "run", *words])


def read_json(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.prefect
def test_jobs_run_in_the_order_given_and_print_json(prefect_server, shop: World):
    result = run(shop, "ingest", "train", "score", "alert", "shop", "--as-of", "2026-01-09T08:00", "--json")
    assert result.exit_code == 0, result.output
    told = read_json(result)
    assert list(told) == ["ingest", "train", "score", "alert"]
    assert {state["state"] for state in told.values()} == {"Completed"}
    assert "200 new" in told["ingest"]["message"]
    assert "1 metrics rebuilt" in told["train"]["message"]
    assert "1 messages, 1 sent" in told["alert"]["message"]
    assert list((shop.folder / "home" / "messages").glob("*.eml"))


@pytest.mark.prefect
def test_a_job_before_its_turn_has_nothing_to_work_on(prefect_server, shop: World):
    """The other way round the same jobs find nothing: the order given is the order of the runs."""
    shop.configure(batch="late")
    told = read_json(run(shop, "score", "ingest", "late", "--as-of", "2026-01-09T08:00", "--json"))
    assert "no model yet" in told["score"]["message"]
    assert "200 new" in told["ingest"]["message"]


@pytest.mark.prefect
def test_a_setting_given_by_set_wins_and_as_of_is_utc_or_zoned(prefect_server, shop: World):
    shop.configure("train_min_n: 30\n", batch="other")
    told = read_json(run(shop, "ingest", "train", "other", "--set", "train_min_n=150", "--as-of", "2026-01-05T00:00+00:00", "--json"))
    assert "97 new" in told["ingest"]["message"]  # 00:00 of the first to 00:00 of the fifth
    assert "1 metrics with too few rows" in told["train"]["message"]
    again = read_json(run(shop, "ingest", "other", "--as-of", "2026-01-05T02:00+01:00", "--json"))
    assert "1 new" in again["ingest"]["message"]


@pytest.mark.prefect
def test_a_failing_job_is_exit_code_1_and_says_why(prefect_server, shop: World):
    shop.configure(batch="broken")
    path = shop.folder / "metrics" / "broken" / "broken.yaml"
    path.write_text(path.read_text().replace("from source", "from nowhere"))
    result = run(shop, "ingest", "broken", "--json")
    assert result.exit_code == 1
    told = read_json(result)["ingest"]
    assert told["state"] == "Failed"
    assert "nowhere" in told["message"]


@pytest.mark.prefect
def test_a_failure_is_the_last_line_and_told_without_a_stack(prefect_server, shop: World, caplog: pytest.LogCaptureFixture):
    shop.configure(batch="gone")
    path = shop.folder / "metrics" / "gone" / "gone.yaml"
    path.write_text(path.read_text().replace("from source", "from nowhere"))
    result = run(shop, "ingest", "score", "gone")
    assert result.exit_code == 1
    told = result.stderr.rpartition("error: ")[2]
    assert told.startswith("ingest gone: WarehouseError: ")
    assert "nowhere" in told
    assert " | INFO " not in told
    assert any(record.levelname == "ERROR" for record in caplog.records)
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("words", [["ingst", "shop"], ["shop"], ["ingest", "shop", "alert"], ["ingest", "Score", "shop"]])
def test_a_wrong_job_is_exit_code_2_with_the_list_of_jobs(shop: World, words: list[str]):
    result = run(shop, *words)
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert all(job in told for job in JOBS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ingest", "shop", "--set", "alert_treshold=1"], "Did you mean alert_threshold?"),
        (["ingest", "shop", "--set", "train_min_n=few"], "train_min_n"),
        (["ingest", "shop", "--set", "train_min_n"], "KEY=VALUE"),
        (["ingest", "shop", "--as-of", "yesterday"], "no ISO 8601 time"),
        (["ingest", "nobody"], "nobody"),
    ],
)
def test_what_is_wrong_is_exit_code_2_before_anything_starts(world: World, words: list[str], told: str):
    world.configure(batch="untouched")
    before = sorted(world.folder.rglob("*"))
    result = run(world, *(word.replace("shop", "untouched") for word in words))
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert sorted(world.folder.rglob("*")) == before


def test_wrong_settings_are_all_told_as_json(world: World):
    world.configure("alert_treshold: 1\ntrain_min_n: few\n", batch="wrong")
    result = run(world, "ingest", "wrong", "--json")
    assert result.exit_code == 2
    assert [problem["key"] for problem in read_json(result)["problems"]] == ["alert_treshold", "train_min_n"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31 12:00:01.5", datetime(2026, 1, 31, 12, 0, 1, 500_000, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_zoned(text: str, moment: datetime):
    parsed = parse_time(text)
    assert parsed == moment
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "now", "2026-02-30", "12:00", "1769860800"])
def test_other_texts_are_no_times(text: str):
    with pytest.raises(typer.BadParameter):
        parse_time(text)
