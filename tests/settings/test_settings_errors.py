"""Every kind of wrong setting, with the exact place and words that it is told by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anomflow.batches import load_batch, load_batches
from anomflow.errors import SettingsError

WriteFiles = Callable[[dict[str, str]], Path]

ZONE = "which is no IANA time zone (such as Europe/Dublin)."
CRON = "which is not a cron schedule"
EXAMPLE = "write for example */10 * * * *"
VIEW = "'anomflow.alert_words.AlertView object'"
TEMPLATE_NAMES = "default, letter, message_id, vars"
NAMES = "@hourly, @daily, @weekly, @monthly or @yearly"
NEVER = "which never fires: none of its months has such a day; to switch a job off"
BUCKETS = "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER"
STORE = f"allowed is local, local://PATH, {BUCKETS} or a filesystem block (kind/block-name)."
HEAD = "metric_batch: x\ningest_sql: select 1\n"

WRONG = [
    ("alert_treshold: 1", 3, "alert_treshold is not a setting. Did you mean alert_threshold?"),
    ("country: ie", 3, "country is not a setting. Variables of your own for templates stand under vars:"),
    ("5: ie", 3, "5 is not a setting; a key is text"),
    ("score_max_n: many", 3, "score_max_n is 'many'; allowed is a whole number"),
    ("score_max_n: 2.5", 3, "score_max_n is 2.5; allowed is a whole number"),
    ("score_max_n: 0", 3, "score_max_n is 0; allowed is at least 1 and at most 1000000"),
    ("shards: 500", 3, "shards is 500; allowed is at least 1 and at most 256"),
    ("alert_threshold: 8", 3, "alert_threshold is 8; allowed is more than 0 and less than 1"),
    ("alert_threshold: .nan", 3, "alert_threshold is nan; allowed is more than 0 and less than 1"),
    ("alert_threshold: high", 3, "alert_threshold is 'high'; allowed is a number"),
    ("disable_train: perhaps", 3, "disable_train is 'perhaps'; allowed is true or false"),
    ("disable_train: 7", 3, "disable_train is 7; allowed is true or false"),
    ("disable_train:", 3, "disable_train is empty; allowed is true or false"),
    ("db: 5", 3, "db is 5; allowed is text (in quotes)"),
    ("db: true", 3, "db is true; allowed is text (in quotes)"),
    ("db: Duck DB", 3, "db is 'Duck DB'; allowed is a kind (duckdb) or a block (kind/block-name)"),
    ("alert_methods: [email, a/b/c]", 3, "alert_methods has 'a/b/c'; allowed is a kind (email) or a block (kind/block-name)"),
    ("alert_methods:\n- email\n- 5", 5, "alert_methods.1 is 5; allowed is text (in quotes)"),
    ("alert_methods: 5", 3, "alert_methods is 5; allowed is a list"),
    ("table_key: a-b", 3, r"table_key is 'a-b'; allowed is text that matches ^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,2}$"),
    (
        "alert_message_text: |\n  {{ letter.title }}\n  {{ letter.entries[0].lead.valeu }}",
        5,
        f"alert_message_text: {VIEW} has no attribute 'valeu'. Defined: {TEMPLATE_NAMES} (with a sample message: anomaly)",
    ),
    (
        "alert_message_html: \"{% include 'mail.html' %}\"",
        3,
        "alert_message_html: mail.html: there is no such file under metrics (with a sample message: anomaly)",
    ),
    (
        "alert_message_subject: '{% if %}'",
        3,
        "alert_message_subject: Expected an expression, got 'end of statement block' (with a sample message: anomaly)",
    ),
    ("metric_tags: [a]", 3, "metric_tags is ['a']; allowed is a mapping"),
    ("metric_tags:\n  a:\n    level: 1", 5, "metric_tags.a.level is 1; allowed is text (in quotes)"),
    ("alert_direction: upp", 3, "alert_direction is 'upp'; allowed: both, up, down. Did you mean up?"),
    ("freq: 10 parsecs", 3, "freq: '10 parsecs' is not a duration; write for example 90s, 10min, 36h, 2d or 1w"),
    ("freq: 0s", 3, "freq: 0:00:00 is not a positive duration"),
    ("freq: 99999999999d", 3, "freq: '99999999999d' is longer than a duration can be"),
    ("freq: .inf", 3, "freq: inf is longer than a duration can be"),
    ("freq: [1]", 3, "freq is [1]; allowed is a duration such as 90s, 10min, 36h, 2d or 1w"),
    (
        "tholdalert_thresholds:\n  a:\n    uper: 1",
        5,
        "tholdalert_thresholds.a.uper is not allowed here; allowed: upper, lower. Did you mean upper?",
    ),
    ("tholdalert_thresholds:\n  a:\n    upper: x", 5, "tholdalert_thresholds.a.upper is 'x'; allowed is a number"),
    ("tholdalert_thresholds:\n  a:\n    upper: .nan", 5, "tholdalert_thresholds.a.upper is not a number"),
    ("tholdalert_thresholds:\n  a:\n    lower: 2\n    upper: 1", 6, "tholdalert_thresholds.a has upper 1 below lower 2"),
    (
        "tholdalert_thresholds:\n  2024: {upper: 1}",
        4,
        "tholdalert_thresholds.2024 is not allowed here; allowed is text (in quotes) as its name",
    ),
    ("timezone: Europe/Dublim", 3, f"timezone is 'Europe/Dublim', {ZONE} Did you mean Europe/Dublin?"),
    ("timezone: ../../etc/passwd", 3, f"timezone is '../../etc/passwd', {ZONE}"),
    ("train_cron_schedule: '* *'", 3, f"train_cron_schedule is '* *', {CRON}: it has 2 fields, not 5; {EXAMPLE}, or {NAMES}"),
    ("train_cron_schedule: 0 0 0 * * *", 3, f"train_cron_schedule is '0 0 0 * * *', {CRON}: it has 6 fields, not 5; {EXAMPLE}, or {NAMES}"),
    ("train_cron_schedule: '@reboot'", 3, f"train_cron_schedule is '@reboot', {CRON}: it has 1 fields, not 5; {EXAMPLE}, or {NAMES}"),
    ("train_cron_schedule: 61 * * * *", 3, f"train_cron_schedule is '61 * * * *', {CRON}: Bad minute; {EXAMPLE}"),
    ("train_cron_schedule: 0 0 31 2 *", 3, f"train_cron_schedule is '0 0 31 2 *', {NEVER}, set disable_train: true"),
    ("plot_cron_schedule: 0 0 31 4,6 *", 3, f"plot_cron_schedule is '0 0 31 4,6 *', {NEVER}, set disable_plot: true"),
    ("train_default_schedule_status: paused", 3, "train_default_schedule_status is 'PAUSED'; allowed: RUNNING, STOPPED."),
    ("model_path: ./models", 3, f"model_path is './models'; {STORE}"),
    ("model_path: s3:///models", 3, f"model_path is 's3:///models'; {STORE}"),
    ("model_path: gs://bucket/../models", 3, f"model_path is 'gs://bucket/../models'; {STORE}"),
    ("disable_alerts: true", 3, "disable_alerts is not a setting; it is called disable_alert"),
    ("delete_after_n_days: 1000000", 3, "delete_after_n_days is 1000000; allowed is at least 1 and at most 100000"),
    ("alert_min_change: some", 3, "alert_min_change is 'some'; allowed is a number from 0 (5.5) or a percentage (10%)"),
    ("alert_min_change: -1", 3, "alert_min_change is -1.0; allowed is a number from 0 (5.5) or a percentage (10%)"),
    ("alert_min_change: [1]", 3, "alert_min_change is [1]; allowed is text (in quotes) or a number"),
    ("train_min_n: 50\ntrain_max_n: 20", 3, "train_min_n is 50, more than train_max_n (20): nothing would ever be scored"),
    ("vars: {a-b: 1}", 3, "vars.a-b cannot be used in a template; allowed are letters, digits and _"),
    ("vars:\n  batch: 1\ntrain_sql: select 1", 4, "vars.batch would hide the setting or variable of that name; rename it"),
    ("ingest_fn: 'def ingest(): ...'", 3, "ingest_fn is set, and ingest_sql too (metrics/x/x.yaml:2); a batch has one of them"),
    ("metric_batch: y", 3, "metric_batch is set twice, first in line 1"),
    ("train_sql: |\n  select 1\n  from {{ tabel }}", 5, "train_sql: 'tabel' is undefined. Defined: "),
    ("train_sql: |\n  select 1\n  {% if %}", 5, "train_sql: Expected an expression, got 'end of statement block'"),
    ("train_sql: '{% include \"./x/none.sql\" %}'", 3, "train_sql: ./x/none.sql: there is no such file under metrics"),
    ("train_sql: '{% include \"../secret.sql\" %}'", 3, "train_sql: ../secret.sql: there is no such file under metrics"),
    ("plot_sql: select 1; select 2", 3, "plot_sql: plot query: holds 2 statements; exactly one is allowed: select 1; select 2"),
    ("score_sql: selec 1 frm", 3, "score_sql: score query: not DuckDB SQL: "),
    ("score_sql: select '{{ batch }}'", 3, "score_sql: score query: "),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG, ids=[text.split("\n")[0][:40] for text, _, _ in WRONG])
def test_a_wrong_setting_is_told_with_its_line(text: str, line: int, words: str, write_metrics: WriteFiles) -> None:
    folder = write_metrics({"x/x.yaml": f"{HEAD}{text}\n"})

    (error,) = load_batches(folder, {}).errors

    assert (error.where, error.line) == ("metrics/x/x.yaml", line)
    assert error.message.startswith(words)
    assert words.endswith(": ") or error.message == words


SOURCES = [
    ({"x/x.yaml": ""}, "metrics/x/x.yaml:1: metric_batch is missing; write for example metric_batch: x"),
    (
        {"x/config.yaml": "db: duckdb\n", "x/query.sql": "select 1"},
        "metrics/x/config.yaml:1: metric_batch is missing; write for example metric_batch: x",
    ),
    ({"x/y.yaml": "metric_bach: y\ningest_sql: select 1"}, "metrics/x/y.yaml:1: metric_bach is not a setting. Did you mean metric_batch?"),
    ({"x/x.yaml": "metric_batch: 5\ningest_sql: select 1"}, "metrics/x/x.yaml:1: metric_batch is 5; allowed is text (in quotes)"),
    ({"x/x.yaml": "metric_batch: a b\ningest_sql: select 1"}, "metrics/x/x.yaml:1: metric_batch is 'a b'; allowed is text that matches"),
    (
        {"x/x.yaml": "metric_batch: x"},
        "metrics/x/x.yaml:1: neither ingest_sql nor ingest_fn is set, and there is no x.sql or x.py beside; or set disable_ingest: true",
    ),
    (
        {"x/x.yaml": "metric_batch: x", "x/x.sql": "select 1", "x/x.py": "def ingest(): ..."},
        "metrics/x/x.py:1: ingest_fn is set, and ingest_sql too (metrics/x/x.sql:1); a batch has one of them",
    ),
    (
        {"x/x.yaml": "metric_batch: x", "x/x.sql": "select 1\nfrom {{ nothing }}"},
        "metrics/x/x.sql:2: ingest_sql: 'nothing' is undefined. Defined: ",
    ),
    ({"x/x.yaml": "metric_batch: x", "x/x.sql": " \n"}, "metrics/x/x.sql:1: ingest_sql: renders to nothing; a query is needed"),
    ({"x/x.yaml": "metric_batch: x", "x/x.py": "import os\n\ndef ingest(:\n"}, "metrics/x/x.py:3: not valid Python: "),
    ({"x/x.yaml": "metric_batch: x", "x/x.py": "def fetch(): ...\n"}, "metrics/x/x.py:1: defines no function ingest()"),
    ({"x/x.yaml": "metric_batch: x\ningest_fn: |\n  x = 1\n  def ingest(:\n"}, "metrics/x/x.yaml:4: not valid Python: "),
    (
        {"x/x.yaml": "metric_batch: x\ningest_fn: '{% include \"./x/none.py\" %}'"},
        "metrics/x/x.yaml:2: ingest_fn includes ./x/none.py: there is no such file under metrics",
    ),
    (
        {"x/x.yaml": "metric_batch: x\ningest_fn: |\n  import os\n  {% include './x/x.py' %}\n", "x/x.py": "def ingest(): ..."},
        "metrics/x/x.yaml:2: ingest_fn mixes an include with other text; it is either one include or Python source",
    ),
]


@pytest.mark.parametrize(("files", "words"), SOURCES, ids=[words[:60] for _, words in SOURCES])
def test_a_wrong_source_or_name_is_told_with_its_file_and_line(files: dict[str, str], words: str, write_metrics: WriteFiles) -> None:
    loaded = load_batches(write_metrics(files), {})

    assert not loaded.batches
    assert any(str(error).startswith(words) for error in loaded.errors), loaded.errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ingest_cron_schedule: '*/180 * * * *'", "*/180 fires at 0 only, not every 180; write the steps of the next field instead"),
        ("ingest_cron_schedule: '*/45 * * * *'", "*/45 leaves a gap of 15 at its end; use a divisor of 60 for equal steps"),
        ("train_cron_schedule: 0 */5 * * *", "*/5 leaves a gap of 4 at its end; use a divisor of 24 for equal steps"),
        ("plot_cron_schedule: 0-59/7 * * * *", "0-59/7 leaves a gap of 4 at its end; use a divisor of 60 for equal steps"),
        ("plot_cron_schedule: 0 0 1 */5 *", "*/5 leaves a gap of 2 at its end; use a divisor of 12 for equal steps"),
        ("plot_cron_schedule: 0 0 * * */2", "*/2 leaves a gap of 1 at its end; use a divisor of 7 for equal steps"),
        ("plot_cron_schedule: '* 6 * * *'", "it fires in each of the 60 minutes after 6:00; write 0 6 for once"),
        (
            "plot_cron_schedule: 0 0 1 * 1",
            "day of the month 1 and weekday 1 are both set, and it fires when either fits; leave one of them *",
        ),
        ("alert_recent_n: 3", "alert_recent_n has no effect"),
        ("tholdalert_recent_n: 3", "without effect in this version: every new or changed value is checked once"),
        ("delete_cron_schedule: 0 6 * * *", "without effect in this version: ingest itself drops rows older than delete_after_n_days"),
        ("preprocess_params: {lags_n: 3}", "preprocess_params has no effect: the detector multiview makes its own features"),
        ("model_configs: [{model_name: VAE}]", "the model VAE needs the extra 'torch'. Install it with: pip install 'anomflow[torch]'"),
        ("model_configs: [{model_name: FeatureBagging}]", "needs the package 'combo'. Install it with: pip install combo"),
    ],
)
def test_what_is_odd_but_not_wrong_is_a_warning(text: str, words: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x/x.yaml": f"{HEAD}{text}\n"}), "x", {})

    (warning,) = batch.warnings
    assert warning.warning
    assert (warning.where, warning.line) == ("metrics/x/x.yaml", 3)
    assert words in warning.message


@pytest.mark.parametrize(
    "schedule", ["*/15 * * * *", "0 */6 * * *", "7 3 * * MON", "0-30/10 * * * *", "0 0 */10 * *", "@hourly", "0 0 L * *"]
)
def test_an_even_schedule_is_no_reason_to_warn(schedule: str, write_metrics: WriteFiles) -> None:
    batch = load_batch(write_metrics({"x/x.yaml": f"{HEAD}ingest_cron_schedule: '{schedule}'\n"}), "x", {})

    assert batch.warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "message", "warning"),
    [
        ("ANOMFLOW__X__ALERT_TRESHOLD", "1", "ALERT_TRESHOLD is not a setting. Did you mean ALERT_THRESHOLD?", False),
        ("ANOMFLOW__X__METRIC_BATCH", "y", "metric_batch names the batch and cannot be overridden", False),
        ("ANOMFLOW__X__SHARDS", "many", "shards is 'many'; allowed is a whole number", False),
        ("ANOMFLOW__X__VARS", "{a: [1", "vars is '{a: [1', which cannot be read: not valid YAML", False),
        ("ANOMFLOW__X__VARS", "5", "vars is 5; allowed is a mapping", False),
        ("ANOMFLOW__Y__DB", "sqlite", "is for no batch that there is.", True),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(name: str, text: str, message: str, warning: bool, write_metrics: WriteFiles) -> None:
    loaded = load_batches(write_metrics({"x/x.yaml": HEAD}), {name: text})

    (problem,) = loaded.problems
    assert (problem.where, problem.line, problem.warning) == (name, None, warning)
    assert problem.message.startswith(message)


def test_a_variable_that_means_two_batches_is_an_error(write_metrics: WriteFiles) -> None:
    folder = write_metrics({"a.yaml": HEAD.replace("x", "a-b"), "b.yaml": HEAD.replace("x", "a_b"), "c.yaml": HEAD.replace("x", "c")})
    environ = {"ANOMFLOW__A_B__DB": "sqlite"}

    with pytest.raises(SettingsError, match="ANOMFLOW__A_B__DB: means both batches a-b and a_b"):
        load_batch(folder, "a-b", environ)
    assert load_batch(folder, "c", environ).spec.common.db == "duckdb"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"metric_batch": "y"}, "--set metric_batch: metric_batch names the batch and cannot be overridden"),
        ({"alert_treshold": "1"}, "--set alert_treshold: alert_treshold is not a setting. Did you mean alert_threshold?"),
        ({"shards": "0"}, "--set shards: shards is 0; allowed is at least 1 and at most 256"),
    ],
)
def test_a_wrong_override_is_told(overrides: dict[str, str], message: str, write_metrics: WriteFiles) -> None:
    with pytest.raises(SettingsError) as caught:
        load_batch(write_metrics({"x/x.yaml": HEAD}), "x", {}, overrides)

    assert str(caught.value) == message


def test_all_problems_are_told_at_once_in_the_order_of_the_file(write_metrics: WriteFiles) -> None:
    """Wrong types do not hide wrong schedules, names or thresholds, and a missing name hides nothing."""
    text = "shards: x\nalert_treshold: 1\ntimezone: Mars\ntrain_cron_schedule: never\n"
    text += "tholdalert_thresholds: {a: {upper: 1, lower: 2}}\nvars: 5\n"
    folder = write_metrics({"x/x.yaml": text, "x/x.sql": "select {{ country }}"})

    problems = load_batches(folder, {}).problems

    assert [(problem.line, problem.key) for problem in problems] == [
        (1, "metric_batch"),
        (1, "shards"),
        (2, "alert_treshold"),
        (3, "timezone"),
        (4, "train_cron_schedule"),
        (5, "tholdalert_thresholds"),
        (6, "vars"),
    ]
