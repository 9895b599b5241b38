from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomflow.batches import FunctionSource, load_batch, load_batches
from anomflow.errors import SettingsError
from anomflow.setting_types import parse_duration

WriteFiles = Callable[[dict[str, str]], Path]

SALES = "metric_batch: sales\ningest_sql: select 1\n"


def test_both_layouts_and_both_suffixes_are_found(write_metrics: WriteFiles) -> None:
    folder = write_metrics(
        {
            "sales/sales.yaml": "metric_batch: sales\n",
            "sales/sales.sql": "select 'sales'",
            "deep/er/web.yml": "metric_batch: web\n",
            "deep/er/web.py": "def ingest(): return []\n",
            "users/config.yml": "metric_batch: users\n",
            "users/query.sql": "select 'users'",
            "iot/config.yaml": "metric_batch: iot\n",
            "iot/ingest.py": "def ingest(): return []\n",
            "top.yaml": "metric_batch: top\ningest_sql: select 1\n",
            "two/a.yaml": "metric_batch: a\ningest_sql: select 1\n",
            "two/b.yaml": "metric_batch: b\ningest_sql: select 1\n",
            "two/cities.yaml": "dublin: 1\n",
            "defaults/other.yaml": "metric_batch: not_this\n",
            ".hidden/x.yaml": "metric_batch: nor_this\n",
            "two/.swap.yaml": "metric_batch: nor_that\n",
            "examples/demo/demo.yaml": "metric_batch: demo\ningest_sql: select 1\n",
        }
    )

    loaded = load_batches(folder, {})

    assert loaded.problems == ()
    assert sorted(loaded.batches) == ["a", "b", "demo", "iot", "sales", "top", "users", "web"]
    assert {name: str(batch.origins["ingest_sql"]) for name, batch in loaded.batches.items()} | {"demo": ""} == {
        "a": "metrics/two/a.yaml:2",
        "b": "metrics/two/b.yaml:2",
        "demo": "",
        "iot": "default",
        "sales": "metrics/sales/sales.sql:1",
        "top": "metrics/top.yaml:2",
        "users": "metrics/users/query.sql:1",
        "web": "default",
    }


@pytest.mark.parametrize(("text", "found"), [("true", []), ("no", ["demo"]), ("", ["demo"])])
def test_the_examples_can_be_left_out(text: str, found: list[str], write_metrics: WriteFiles) -> None:
    folder = write_metrics({"examples/demo/demo.yaml": "metric_batch: demo\ningest_sql: select 1\n"})

    assert list(load_batches(folder, {"ANOMFLOW_IGNORE_EXAMPLES": text}).batches) == found


def test_an_unclear_wish_about_the_examples_is_an_error(write_metrics: WriteFiles) -> None:
    loaded = load_batches(write_metrics({}), {"ANOMFLOW_IGNORE_EXAMPLES": "maybe"})

    assert [problem.message for problem in loaded.errors] == ["ANOMFLOW_IGNORE_EXAMPLES is 'maybe'; allowed: true or false"]


def test_a_config_folder_has_its_preprocess_function_beside_it(write_metrics: WriteFiles) -> None:
    text = "metric_batch: users\nmodel_configs: [{model_name: KNN}]\n"
    folder = write_metrics({"users/config.yaml": text, "users/query.sql": "select 1", "users/preprocess.py": "def preprocess(x): ..."})

    choice = load_batch(folder, "users", {}).detector

    assert choice.options["hook"] == {"source": "def preprocess(x): ...", "filename": "users/preprocess.py", "line": 1}


@pytest.mark.parametrize(
    ("defaults", "batch", "variable", "override", "value", "origin"),
    [
        ("", "", None, None, 1000, "default"),
        ("score_max_n: 1", "", None, None, 1, "metrics/defaults/defaults.yaml:1"),
        ("score_max_n: 1", "score_max_n: 2", None, None, 2, "metrics/sales/sales.yaml:3"),
        ("score_max_n: 1", "score_max_n: 2", "3", None, 3, "ANOMFLOW__SALES__SCORE_MAX_N"),
        ("score_max_n: 1", "score_max_n: 2", "3", "4", 4, "--set score_max_n"),
        ("", "score_max_n: 2", None, "4", 4, "--set score_max_n"),
        ("score_max_n: 1", "", "3", None, 3, "ANOMFLOW__SALES__SCORE_MAX_N"),
    ],
)
def test_each_layer_overrides_those_before(  # noqa: PLR0917 - the columns of the table
    defaults: str, batch: str, variable: str | None, override: str | None, value: int, origin: str, write_metrics: WriteFiles
) -> None:
    folder = write_metrics({"defaults/defaults.yaml": defaults, "sales/sales.yaml": SALES + batch})
    environ = {} if variable is None else {"ANOMFLOW__SALES__SCORE_MAX_N": variable}

    loaded = load_batch(folder, "sales", environ, {} if override is None else {"score_max_n": override})

    assert loaded.spec.score.score_max_n == value
    assert str(loaded.origins["score_max_n"]) == origin


def test_mappings_merge_deep_and_lists_replace(write_metrics: WriteFiles) -> None:
    folder = write_metrics(
        {
            "defaults/defaults.yml": "tholdalert_thresholds:\n  a: {upper: 10, lower: 0}\nalert_methods: [file, email]\n",
            "sales/sales.yaml": SALES + "tholdalert_thresholds:\n  a: {upper: 20}\n  b: {lower: 1}\nalert_methods: console\n",
        }
    )

    batch = load_batch(folder, "sales", {"ANOMFLOW__SALES__THOLDALERT_THRESHOLDS": '{"b": {"upper": 5}}'})

    assert batch.spec.thresholds.tholdalert_thresholds == {"a": {"upper": 20.0, "lower": 0.0}, "b": {"lower": 1.0, "upper": 5.0}}
    assert batch.spec.alert.alert_methods == ("console",)
    assert [str(origin) for origin in batch.sources("tholdalert_thresholds")] == [
        "metrics/defaults/defaults.yml:2",
        "metrics/sales/sales.yaml:5",
        "ANOMFLOW__SALES__THOLDALERT_THRESHOLDS",
    ]


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("disable_train", "False", False),
        ("disable_train", "true", True),
        ("disable_train", "0", False),
        ("ingest_metric_rounding", "2", 2),
        ("alert_threshold", "0.9", 0.9),
        ("alert_threshold", "", None),
        ("freq", "10min", parse_duration("10min")),
        ("freq", "90", parse_duration(90)),
        ("ingest_sql", "123", "123"),
        ("db", "sqlite/main", "sqlite/main"),
        ("ingest_sql", "select '[1]: {a}'", "select '[1]: {a}'"),
        ("alert_methods", "email,slack/ops", ("email", "slack/ops")),
        ("alert_methods", '["email"]', ("email",)),
        ("train_exclude_metrics", "error: rate, b", ("error: rate", "b")),
        ("metric_tags", "{a: {owner: me}}", {"a": {"owner": "me"}}),
        ("metric_tags", "a:\n  owner: me", {"a": {"owner": "me"}}),
        ("vars", '{"n": 3, "names": ["x"]}', {"n": 3, "names": ["x"]}),
        ("alert_min_change", "10%", "10%"),
        ("alert_min_change", "5.5", 5.5),
        ("alert_direction", "up", "up"),
    ],
)
@pytest.mark.parametrize("by_environment", [True, False])
def test_texts_from_outside_are_read_by_the_type_of_the_setting(
    key: str, text: str, value: Any, by_environment: bool, write_metrics: WriteFiles
) -> None:
    folder = write_metrics({"web-shop/web-shop.yaml": SALES.replace("sales", "web-shop.eu")})
    environ = {f"ANOMFLOW__WEB_SHOP_EU__{key.upper()}": text} if by_environment else {}

    batch = load_batch(folder, "web-shop.eu", environ, {} if by_environment else {key: text})

    assert batch.value(key) == value
    assert type(batch.value(key)) is type(value)


def test_typed_overrides_are_taken_as_they_are(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"sales/sales.yaml": SALES})

    assert load_batch(folder, "sales", {}, {"score_max_n": 5}).spec.score.score_max_n == 5


def test_the_longest_batch_name_takes_a_variable(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"a.yaml": SALES.replace("sales", "a"), "b.yaml": SALES.replace("sales", "a--b")})

    loaded = load_batches(folder, {"ANOMFLOW__A__B__DB": "sqlite"})

    assert loaded.problems == ()
    assert {name: batch.spec.common.db for name, batch in loaded.batches.items()} == {"a": "duckdb", "a--b": "sqlite"}


def test_a_switched_off_batch_is_found_but_not_enabled(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"sales/sales.yaml": SALES, "off.yaml": "metric_batch: off\n"})

    loaded = load_batches(folder, {"ANOMFLOW__OFF__DISABLE_BATCH": "true"})

    assert sorted(loaded.batches) == ["off", "sales"]
    assert list(loaded.enabled) == ["sales"]


HALF_WRITTEN = {"sales/sales.yaml": SALES, "users/users.yaml": "metric_batch: users\nalert_methods: [email,\n"}


def test_a_half_written_neighbour_costs_only_itself(write_metrics: WriteFiles) -> None:
    folder = write_metrics(HALF_WRITTEN)

    loaded = load_batches(folder, {})

    assert list(loaded.batches) == ["sales"]
    assert [(problem.where, problem.line) for problem in loaded.problems] == [("metrics/users/users.yaml", 2)]
    assert load_batch(folder, "sales", {}).name == "sales"


def test_a_half_written_batch_is_told_with_its_line(write_metrics: WriteFiles) -> None:
    with pytest.raises(SettingsError, match=r"^metrics/users/users\.yaml:2: not valid YAML"):
        load_batch(write_metrics(HALF_WRITTEN), "users", {})


def test_two_files_with_one_name_are_told_about_each_other(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"a.yaml": SALES, "b/config.yaml": "# second\n" + SALES, "c.yaml": SALES.replace("sales", "c")})
    expected = [
        "metrics/a.yaml:1: metric_batch sales is also the name of metrics/b/config.yaml:2; each batch has its own",
        "metrics/b/config.yaml:2: metric_batch sales is also the name of metrics/a.yaml:1; each batch has its own",
    ]

    loaded = load_batches(folder, {})

    assert [str(problem) for problem in loaded.problems] == expected
    assert list(loaded.batches) == ["c"]
    with pytest.raises(SettingsError) as caught:
        load_batch(folder, "sales", {})
    assert str(caught.value).split("\n") == expected


def test_wrong_defaults_are_told_once_and_cost_every_batch(write_metrics: WriteFiles) -> None:
    folder = write_metrics(
        {
            "defaults/defaults.yaml": "metric_batch: x\nscore_max_n: none\nalert_treshold: 1\n",
            "sales/sales.yaml": SALES,
            "users/users.yaml": SALES.replace("sales", "users"),
        }
    )

    loaded = load_batches(folder, {})

    assert not loaded.batches
    assert [str(problem) for problem in loaded.problems] == [
        "metrics/defaults/defaults.yaml:1: metric_batch names one batch and has no place in the defaults",
        "metrics/defaults/defaults.yaml:2: score_max_n is 'none'; allowed is a whole number",
        "metrics/defaults/defaults.yaml:3: alert_treshold is not a setting. Did you mean alert_threshold?",
    ]
    with pytest.raises(SettingsError) as caught:
        load_batch(folder, "sales", {})
    assert caught.value.problems == loaded.problems


def test_an_unknown_name_is_told_with_the_names_that_there_are(write_metrics: WriteFiles) -> None:
    with pytest.raises(SettingsError) as caught:
        load_batch(write_metrics({"sales/sales.yaml": SALES}), "slaes", {})

    assert str(caught.value) == "metrics: there is no batch 'slaes'. Did you mean sales? Batches: sales"


def test_a_missing_folder_is_told() -> None:
    (problem,) = load_batches(Path("nowhere-at-all"), {}).errors

    assert str(problem).startswith("nowhere-at-all: there is no such folder")


@pytest.mark.parametrize("text", ["ingest_sql: >\n  {% include './x/x.sql' %}\n", "ingest_sql: '{%- include \"x/x.sql\" -%}'\n", ""])
def test_an_include_and_a_file_beside_are_the_same_source(text: str, write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": f"metric_batch: x\n{text}", "x/x.sql": "select {{ table_key | literal }}"})

    template = load_batch(folder, "x", {}).template("ingest_sql")

    assert template is not None
    assert "include" in template.text


@pytest.mark.parametrize("text", ["ingest_fn: >\n  {% include './x/other.py' %}\n", ""])
def test_a_lone_include_of_a_function_is_its_file(text: str, write_metrics: WriteFiles) -> None:
    source = "def ingest():\n    return {}\n"
    folder = write_metrics({"x/x.yaml": f"metric_batch: x\n{text}", "x/other.py": source, "x/x.py": source})

    function = load_batch(folder, "x", {}).function

    expected = "x/other.py" if text else "x/x.py"
    assert function == FunctionSource(source, f"metrics/{expected}", 1, Path("metrics") / expected)


def test_an_inline_function_knows_its_line(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": "metric_batch: x\ningest_fn: |\n  def ingest():\n    return '{{ not jinja }}'\n"})

    function = load_batch(folder, "x", {}).function

    assert function == FunctionSource("def ingest():\n  return '{{ not jinja }}'\n", "metrics/x/x.yaml", 3)


def test_a_batch_of_anomstack_loads_as_it_is(write_metrics: WriteFiles) -> None:
    """Keys of jobs that are not here yet are told about, not refused; the cron `*/180` is told about too."""
    text = """metric_batch: gsod
table_key: metrics
ingest_cron_schedule: "*/180 * * * *"
train_cron_schedule: "45 6 * * *"
alert_methods: "email,slack"
alert_recent_n: 2
alert_threshold: 0.8
preprocess_params:
  diff_n: 0
llmalert_recent_n: 3
disable_llmalert: False
ingest_default_schedule_status: RUNNING
ingest_sql: >
  {% include "./gsod/gsod.sql" %}
"""
    folder = write_metrics({"gsod/gsod.yaml": text, "gsod/gsod.sql": "select 1 {# stations #}"})

    batch = load_batch(folder, "gsod", {})

    assert batch.spec.alert.alert_methods == ("email", "slack")
    assert [(warning.line, warning.key) for warning in batch.warnings] == [
        (10, "llmalert_recent_n"),
        (11, "disable_llmalert"),
        (3, "ingest_cron_schedule"),
        (6, "alert_recent_n"),
        (8, "preprocess_params"),
    ]


def test_templates_may_use_settings_and_own_variables(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": "metric_batch: x\nvars: {countries: [ie, no]}\ningest_sql: select 1\n"})

    variables = load_batch(folder, "x", {}).variables()

    assert variables["countries"] == ["ie", "no"]
    assert variables["metric_batch"] == "x"
    assert "ingest_sql" not in variables
