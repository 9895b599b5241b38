"""`anomflow init`: asked question by question in a terminal, by flags elsewhere; what it writes validates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from anomflow.batches import load_batch
from cli.main import build_app
from tests.cli.terminal import talk


def init(metrics: Path, *words: str) -> Result:
    return CliRunner().invoke(build_app(), ["--metrics", str(metrics), "init", *words])


def test_the_wizard_asks_checks_each_answer_shows_the_file_and_writes_it(tmp_path: Path):
    answers = {
        "Name (letters, digits, _ . -): ": "../evil\n",
        "is no name for a batch": "web-shop\n",
        "Rows come from (sql, python, or `like BATCH`) [sql]: ": "cobol\n",
        "is none of sql, python, like BATCH": "python\n",
        "[duckdb]: ": "sqlite\n",
        "When to ingest (cron) [*/10 * * * *]: ": "0 * * * *\n",
        "Aggregate rows to buckets of (10min, 1h, 1d, none) [none]: ": "an hour\n",
        "is not a duration": "1h\n",
        "[file]: ": "\n",
        "Write it? [Y/n]: ": "y\n",
    }
    shown = talk(["--metrics", str(tmp_path / "metrics"), "init"], answers)
    assert "freq: " in shown
    spec = load_batch(tmp_path / "metrics", "web-shop", {}).spec
    assert (spec.common.db, spec.ingest.ingest_cron_schedule, spec.features.freq.total_seconds()) == ("sqlite", "0 * * * *", 3600)  # type: ignore[union-attr]
    assert (tmp_path / "metrics" / "web-shop" / "web-shop.py").is_file()


def test_the_wizard_writes_nothing_when_told_not_to(tmp_path: Path):
    answers = {
        "Name (letters, digits, _ . -): ": "sales\n",
        "[sql]: ": "\n",
        "[duckdb]: ": "\n",
        "[*/10 * * * *]: ": "\n",
        "[none]: ": "\n",
        "[file]: ": "\n",
        "Write it? [Y/n]: ": "n\n",
    }
    assert "Aborted" in talk(["--metrics", str(tmp_path / "metrics"), "init"], answers)
    assert not (tmp_path / "metrics").exists()


def test_without_a_terminal_a_name_is_needed(tmp_path: Path):
    result = init(tmp_path)
    assert result.exit_code == 2
    assert "Missing argument 'BATCH'" in result.stderr


def test_flags_say_the_same(tmp_path: Path):
    words = ["--db", "sqlite", "--cron", "0 * * * *", "--freq", "1d", "--channel", "console,file"]
    assert init(tmp_path, "sales", *words).exit_code == 0
    spec = load_batch(tmp_path, "sales", {}).spec
    assert (spec.common.db, spec.alert.alert_methods) == ("sqlite", ("console", "file"))


def test_a_batch_starts_from_the_source_of_another(tmp_path: Path):
    init(tmp_path, "sales", "--python")
    (tmp_path / "sales" / "sales.py").write_text("def ingest():\n    return []\n")
    assert init(tmp_path, "orders", "--like", "sales").exit_code == 0
    assert (tmp_path / "orders" / "orders.py").read_text() == "def ingest():\n    return []\n"


def test_what_the_source_of_another_batch_needs_comes_along(tmp_path: Path):
    init(tmp_path, "sales", "--python")
    (tmp_path / "sales" / "sales.py").write_text("def ingest(places):\n    return []\n")
    (tmp_path / "sales" / "sales.yaml").write_text(
        "metric_batch: sales\ntimezone: Europe/Rome\ningest_fn_args: {places: [köln, cork, no, 10:30]}\n"
    )
    result = init(tmp_path, "orders", "--like", "sales", "--freq", "1d")
    assert result.exit_code == 0, result.output
    spec = load_batch(tmp_path, "orders", {}).spec
    assert (spec.common.timezone, spec.ingest.ingest_fn_args) == ("Europe/Rome", {"places": ["köln", "cork", "no", "10:30"]})


def test_a_batch_that_cannot_be_read_is_no_start(tmp_path: Path):
    init(tmp_path, "sales", "--python")
    (tmp_path / "sales" / "sales.yaml").write_text("metric_batch: sales\ningest_fn_args: {\n")
    result = init(tmp_path, "orders", "--like", "sales")
    assert (result.exit_code, (tmp_path / "orders").exists()) == (2, False)
    assert "sales/sales.yaml is no valid YAML" in result.stderr.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cron", "every day"], "sales/sales.yaml:"),
        (["--freq", "fortnight"], "is not a duration"),
        (["--db", "oracle7/"], ""),
        (
            ["--db", "postgers/prod"],
            "known: bigquery, clickhouse, duckdb",
        ),
        (["--channel", "emial"], "Did you mean"),
        (["--like", "nobody"], "there is no batch 'nobody'"),
    ],
)
def test_wrong_flags_write_nothing(tmp_path: Path, words: list[str], told: str):
    result = init(tmp_path / "metrics", "sales", *words)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert not (tmp_path / "metrics").exists()


@pytest.mark.parametrize("hostile", ['a"\n# b: c', "x: y", "{{ boom }}", "'", "[]"])
def test_a_hostile_flag_is_a_value_and_never_yaml(tmp_path: Path, hostile: str):
    result = init(tmp_path, "sales", "--channel", hostile, "--json")
    problems = json.loads(result.stdout).get("problems", [])
    files = list(tmp_path.rglob("*.yaml"))
    assert bool(problems) != bool(files)
