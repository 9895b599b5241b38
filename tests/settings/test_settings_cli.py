from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from anomflow.batches import load_batch
from anomflow.batches.documents import parse_document
from cli.main import build_app

WriteFiles = Callable[[dict[str, str]], Path]

GOOD = {"sales/sales.yaml": "metric_batch: sales\nscore_max_n: 5\n", "sales/sales.sql": "select 1"}
BAD = {"users/users.yaml": "metric_batch: users\nalert_treshold: 1\n", "users/users.sql": "select 1"}


def run(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(build_app(), list(arguments), env=env)


def test_validate_counts_what_is_fine(write_metrics: WriteFiles) -> None:
    write_metrics(GOOD)

    result = run("validate")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 batch fine, 0 errors, 0 warnings\n", "")


def test_validate_names_what_is_wrong_and_fails(write_metrics: WriteFiles) -> None:
    write_metrics(GOOD | BAD)

    result = run("validate")

    assert result.exit_code == 2
    assert result.stderr == "error: metrics/users/users.yaml:2: alert_treshold is not a setting. Did you mean alert_threshold?\n"
    assert result.stdout == "1 batch fine, 1 error, 0 warnings\n"


@pytest.mark.parametrize(("names", "code"), [(["sales"], 0), (["users"], 2), (["sales", "users"], 2), (["nobody"], 2)])
def test_validate_looks_only_at_the_batches_asked_for(names: list[str], code: int, write_metrics: WriteFiles) -> None:
    write_metrics(GOOD | BAD)

    assert run("validate", *names).exit_code == code


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--metrics", "metrics", "validate"],
        ["validate", "--json", "--metrics=metrics"],
        ["--metrics", "metrics", "validate", "--json"],
    ],
)
def test_global_options_may_stand_anywhere(arguments: list[str], write_metrics: WriteFiles) -> None:
    write_metrics(GOOD | BAD)

    result = run(*arguments)

    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "batches": {"sales": {"path": "metrics/sales/sales.yaml", "disabled": False}},
        "problems": [
            {
                "severity": "error",
                "where": "metrics/users/users.yaml",
                "line": 2,
                "key": "alert_treshold",
                "message": "alert_treshold is not a setting. Did you mean alert_threshold?",
            }
        ],
    }


def test_warnings_do_not_fail(write_metrics: WriteFiles) -> None:
    write_metrics({"sales.yaml": "metric_batch: sales\ningest_sql: select 1\nalert_recent_n: 2\n"})

    result = run("validate")

    assert result.exit_code == 0
    assert result.stderr.startswith("warning: metrics/sales.yaml:3: alert_recent_n has no effect")
    assert result.stdout == "1 batch fine, 0 errors, 1 warning\n"


def test_show_prints_yaml_that_loads_as_the_same_batch(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"sales/sales.yaml": 'metric_batch: sales\nfreq: 10min\ningest_sql: |\n  select\n\n    "a: #b"\n', **BAD})
    before = load_batch(folder, "sales", {})

    result = run("show", "sales")
    (folder / "sales" / "sales.yaml").write_text(result.stdout, encoding="utf-8")

    assert result.exit_code == 0
    assert load_batch(folder, "sales", {}).spec == before.spec


def test_show_says_where_each_value_came_from(write_metrics: WriteFiles) -> None:
    write_metrics({**GOOD, "defaults/defaults.yaml": "db: sqlite\nmetric_tags: {a: {x: y}}\n"})

    result = run("show", "sales", "--origin", "--set", "shards=2", env={"ANOMFLOW__SALES__METRIC_TAGS": "{b: {x: z}}"})

    lines = result.stdout.splitlines()
    assert "metric_batch: sales  # metrics/sales/sales.yaml:1" in lines
    assert "db: sqlite  # metrics/defaults/defaults.yaml:1" in lines
    assert "shards: 2  # --set shards" in lines
    assert "train_min_n: 20  # default" in lines
    assert "# metrics/defaults/defaults.yaml:2, ANOMFLOW__SALES__METRIC_TAGS" in lines
    assert parse_document(result.stdout, "shown").layer.values["metric_tags"] == {"a": {"x": "y"}, "b": {"x": "z"}}


def test_show_prints_json_for_programs(write_metrics: WriteFiles) -> None:
    write_metrics(GOOD)

    shown: dict[str, Any] = json.loads(run("show", "sales", "--json").stdout)

    assert shown["batch"] == "sales"
    assert shown["settings"]["score_max_n"] == {"value": 5, "origin": "metrics/sales/sales.yaml:2"}
    assert shown["settings"]["ingest_timeout"] == {"value": "5min", "origin": "default"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "users"], "error: metrics/users/users.yaml:2: alert_treshold is not a setting."),
        (["show", "usres"], "there is no batch 'usres'. Did you mean users?"),
        (["show", "sales", "--set", "shards"], "'shards' is not KEY=VALUE"),
        (["show", "sales", "--set", "shards=x"], "error: --set shards: shards is 'x'; allowed is a whole number"),
        (["show"], "Missing argument"),
        (["--metrics", "nowhere", "show", "sales"], "nowhere: there is no such folder"),
        (["frobnicate"], "No such command"),
        (["init", "../evil"], "is no name for a batch"),
        (["init", "defaults"], "is the folder of the shared defaults"),
        (["init", "users"], "there is a batch users already, in metrics/users/users.yaml"),
    ],
)
def test_wrong_usage_and_wrong_settings_end_with_two_and_no_traceback(arguments: list[str], words: str, write_metrics: WriteFiles) -> None:
    write_metrics(GOOD | BAD)

    result = run(*arguments)

    assert result.exit_code == 2
    assert " ".join(words.split()) in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_wrong_settings_are_json_where_json_is_asked_for(write_metrics: WriteFiles) -> None:
    write_metrics(BAD)

    result = run("show", "users", "--json")

    assert result.exit_code == 2
    assert [problem["line"] for problem in json.loads(result.stdout)["problems"]] == [2]


@pytest.mark.parametrize(("options", "suffix"), [([], "sql"), (["--python"], "py")])
@pytest.mark.parametrize("name", ["orders", "web-shop.eu", "123", "true"])
def test_init_makes_a_batch_that_validates(name: str, options: list[str], suffix: str, write_metrics: WriteFiles) -> None:
    folder = write_metrics({"batch.schema.json": "{}"})

    result = run("init", name, *options)

    assert result.exit_code == 0, result.output
    assert (folder / name / f"{name}.{suffix}").is_file()
    assert (folder / name / f"{name}.yaml").read_text().startswith("# yaml-language-server: $schema=../batch.schema.json\n")
    assert run("validate").stdout == "1 batch fine, 0 errors, 0 warnings\n"


def test_init_makes_the_metrics_folder(tmp_path: Path) -> None:
    result = run("--metrics", str(tmp_path / "new"), "init", "orders", "--json")

    assert json.loads(result.stdout)["files"] == [f"{tmp_path}/new/orders/orders.yaml", f"{tmp_path}/new/orders/orders.sql"]


def test_init_overwrites_nothing(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"orders/orders.sql": "select 'mine'"})

    result = run("init", "orders")

    assert result.exit_code == 2
    assert "metrics/orders/orders.sql exists already" in " ".join(result.stderr.split())
    assert [path.name for path in (folder / "orders").iterdir()] == ["orders.sql"]
    assert (folder / "orders" / "orders.sql").read_text() == "select 'mine'"


def test_the_function_of_init_returns_the_rows_that_ingest_wants(write_metrics: WriteFiles) -> None:
    folder = write_metrics({})
    run("init", "orders", "--python")
    source = load_batch(folder, "orders", {}).function
    assert source is not None

    module: dict[str, Any] = {}
    exec(compile(source.text, source.where, "exec"), module)  # noqa: S102 - our own scaffold

    assert set(module["ingest"]()[0]) == {"metric_timestamp", "metric_name", "metric_value"}


def test_the_version_is_that_of_the_package() -> None:
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("anomflow ")


def test_the_command_starts_without_the_heavy_libraries() -> None:
    code = "import sys, cli.main; cli.main.build_app(); print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["prefect", "polars", "altair", "numpy", "pandas", "pydantic", "sqlglot", "jinja2", "duckdb"]

    result = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
