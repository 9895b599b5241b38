"""`enable` and `disable`: one line of a file changes, and nothing else of anything."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from anomflow.batches import load_batch, load_batches
from anomflow.batches.switching import switch_text
from anomflow.errors import SettingsError
from cli.main import build_app
from tests.examples.conftest import METRICS


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand beside a copy of the checkout's metrics folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(METRICS, "metrics", ignore=shutil.ignore_patterns("__pycache__"))
    return Path("metrics")


def anomflow(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_example_is_switched_on_and_off_by_one_line(metrics):
    path = "metrics/examples/weather/weather.yaml"
    before = read_all(metrics)
    result = anomflow("enable", "weather")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"weather is on: {path}",
        "database: duckdb; models: local",
        "channels: file",
        "next: anomflow run ingest weather, then anomflow run pipeline weather",
    ]
    after = read_all(metrics)
    assert after == {**before, path: before[path].replace(b"disable_batch: true", b"disable_batch: false")}
    assert "weather" in load_batches(metrics, {}).enabled
    assert anomflow("disable", "weather").stdout == f"weather is off: {path}\n"
    assert read_all(metrics) == before


def test_doing_it_again_changes_nothing(metrics):
    path = metrics / "examples" / "sql" / "sql.yaml"
    anomflow("enable", "sql")
    changed = path.stat().st_mtime_ns, path.read_bytes()
    assert anomflow("enable", "sql").stdout.startswith("sql is on already: metrics/examples/sql/sql.yaml\n")
    assert (path.stat().st_mtime_ns, path.read_bytes()) == changed


def test_the_variables_that_it_needs_are_told_without_their_values(metrics, monkeypatch):
    monkeypatch.setenv("POSTHOG_API_KEY", "phx-hidden")
    monkeypatch.delenv("POSTHOG_PROJECT_ID", raising=False)
    lines = anomflow("enable", "posthog").stdout.splitlines()
    assert lines[3:5] == ["environment: POSTHOG_API_KEY, which is set", "environment: POSTHOG_PROJECT_ID, which is not set"]
    assert "phx-hidden" not in "\n".join(lines)


def test_json(metrics, monkeypatch):
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    assert json.loads(anomflow("enable", "llm_cost", "--json").stdout) == {
        "batch": "llm_cost",
        "path": "metrics/examples/llm_cost/llm_cost.yaml",
        "changed": True,
        "disabled": False,
        "database": "duckdb",
        "model_store": "local",
        "channels": ["file"],
        "variables": {"OPENAI_ADMIN_KEY": False},
    }
    listed = {fact["batch"]: fact for fact in json.loads(anomflow("enable", "--list", "--json").stdout)["batches"]}
    assert (listed["llm_cost"]["disabled"], listed["posthog"]["disabled"]) == (False, True)
    assert listed["posthog"]["variables"] == ["POSTHOG_API_KEY", "POSTHOG_PROJECT_ID"]


def test_the_list_tells_what_each_example_is(metrics):
    (metrics / "mine").mkdir()
    (metrics / "mine" / "mine.yaml").write_text("metric_batch: mine\ndisable_batch: true\n")
    lines = anomflow("enable", "--list").stdout.splitlines()
    assert "off  weather           Weather now in a few cities: temperature, wind and humidity (Open-Meteo, without a key)." in lines
    assert "off  mine              " in lines
    assert [line.split()[1] for line in lines if line.startswith("on   ")] == ["machine"]  # no schedule serves a record that has ended


def test_without_examples_the_list_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics").mkdir()
    assert anomflow("enable", "--list").stdout == "no batch of metrics is off, and there are no examples\n"


@pytest.mark.parametrize("arguments", [["enable"], ["enable", "weather", "--list"]])
def test_one_names_a_batch_or_asks_for_the_list(metrics, arguments):
    result = anomflow(*arguments)
    assert result.exit_code == 2
    assert "name a batch, or give --list alone" in result.stderr


@pytest.mark.parametrize("command", ["enable", "disable"])
def test_a_wrong_name_is_told_with_the_right_one(metrics, command):
    result = anomflow(command, "wether")
    assert result.exit_code == 2
    assert "there is no batch 'wether'. Did you mean weather?" in result.stderr


def test_a_batch_that_is_wrong_is_not_switched_on(metrics):
    path = metrics / "mine.yaml"
    path.write_text("metric_batch: mine\ndisable_batch: true\n")
    result = anomflow("enable", "mine")
    assert result.exit_code == 2
    assert "metrics/mine.yaml:1: neither ingest_sql nor ingest_fn is set" in result.stderr
    assert path.read_text() == "metric_batch: mine\ndisable_batch: true\n"


def test_what_overrides_the_file_is_told(metrics, monkeypatch):
    monkeypatch.setenv("ANOMFLOW__SQL__DISABLE_BATCH", "true")
    result = anomflow("enable", "sql")
    assert result.exit_code == 1
    assert result.stderr == "error: disable_batch of sql is overridden by ANOMFLOW__SQL__DISABLE_BATCH; change it there\n"


def test_the_mode_of_a_file_stays_and_a_link_stays_a_link(metrics):
    (metrics / "mine").mkdir()
    real = Path("elsewhere.yaml")
    real.write_text("metric_batch: mine\r\ndisable_batch: true  # for now\r\ningest_sql: select 1\r\n", newline="")
    real.chmod(0o640)
    link = metrics / "mine" / "mine.yaml"
    link.symlink_to(real.resolve())
    assert anomflow("enable", "mine").exit_code == 0
    assert link.is_symlink()
    assert real.read_bytes() == b"metric_batch: mine\r\ndisable_batch: false  # for now\r\ningest_sql: select 1\r\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metric_batch: a\n", "metric_batch: a\ndisable_batch: true\n"),
        ("metric_batch: a", "metric_batch: a\ndisable_batch: true\n"),
        (
            "# first\ndb: duckdb\nmetric_batch: a  # name\nfreq: 1h\n",
            "# first\ndb: duckdb\nmetric_batch: a  # name\ndisable_batch: true\nfreq: 1h\n",
        ),
        ("metric_batch: a\ndisable_batch : False # why\n", "metric_batch: a\ndisable_batch : true # why\n"),
        ("metric_batch: a\n'disable_batch': 'false'\n", "metric_batch: a\n'disable_batch': true\n"),
        (
            "metric_batch: a\ningest_sql: |\n  select 1\n  disable_batch: false\n",
            "metric_batch: a\ndisable_batch: true\ningest_sql: |\n  select 1\n  disable_batch: false\n",
        ),
    ],
)
def test_only_the_line_of_the_switch_is_changed(text, expected):
    assert switch_text(text, "a.yaml", disabled=True) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("metric_batch: a\nvars: {x: 1}\ndisable_batch:\n  false\n", 3),
        ("{metric_batch: a}\n", 1),
        ("metric_batch: a\ndisable_batch: &off false\nvars: {x: *off}\n", 2),
        ("metric_batch: |\n  a\n", 1),
    ],
)
def test_what_takes_more_than_a_line_is_left_to_the_user(text, line):
    with pytest.raises(SettingsError, match=rf"^a\.yaml:{line}: .* here; write `disable_batch: true` yourself"):
        switch_text(text, "a.yaml", disabled=True)


def test_a_batch_of_ones_own_may_have_the_name_of_an_example_that_is_off(metrics):
    (metrics / "weather").mkdir()
    own = metrics / "weather" / "weather.yaml"
    own.write_text("metric_batch: weather\ningest_sql: select 1\n")
    assert load_batch(metrics, "weather", {}).path == own
    assert load_batches(metrics, {}).problems == ()
    anomflow("disable", "weather")
    assert own.read_text() == "metric_batch: weather\ndisable_batch: true\ningest_sql: select 1\n"


def test_two_batches_of_one_name_that_are_on_are_an_error(metrics):
    anomflow("enable", "weather")
    (metrics / "weather").mkdir()
    (metrics / "weather" / "weather.yaml").write_text("metric_batch: weather\ningest_sql: select 1\n")
    with pytest.raises(SettingsError, match="is also the name of"):
        load_batch(metrics, "weather", {})


def test_init_may_take_the_name_of_an_example_that_is_off(metrics):
    assert anomflow("init", "weather").exit_code == 0
    assert load_batch(metrics, "weather", {}).path == metrics / "weather" / "weather.yaml"
