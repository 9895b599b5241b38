"""`anomflow import` on folders in Anomstack's format: what it writes, tells and leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from anomflow.batches import load_batch, load_batches
from blocks.environment import list_variables
from blocks.warehouses.clickhouse import ClickHouseWarehouse
from blocks.warehouses.snowflake import SnowflakeWarehouse

SALES = """\
# Sales by country.

metric_batch: "sales"   # the name
table_key: "metrics_sales"
alert_methods: "email"
alert_max_n: 100
# Which countries.
countries: ['de', 'fr']
country_column: land
ingest_sql: >
  {% include "./sales/sales.sql" %}
# the end
"""
SALES_SQL = """\
{% for country in countries %}
select now() as metric_timestamp, 'sales_{{ country }}' as metric_name, 1.0 /* {{ country_column }} */ as metric_value
{% if not loop.last %}union all{% endif %}
{% endfor %}
"""
GOOD = {"sales/sales.yaml": SALES, "sales/sales.sql": SALES_SQL}
PYTHON = "import pandas as pd\n\ndef ingest() -> pd.DataFrame:\n    return pd.DataFrame()\n"
SECRET = "hunter2-very-secret"
KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"
ENV = f"""\
# Mail
ANOMSTACK_ALERT_EMAIL_FROM=a@example.org
ANOMSTACK_ALERT_EMAIL_TO="b@example.org"  # us
ANOMSTACK_ALERT_EMAIL_SMTP_HOST=mail.example.org
ANOMSTACK_ALERT_EMAIL_PASSWORD='{SECRET}'
ANOMSTACK_SLACK_BOT_TOKEN={SECRET}
export ANOMSTACK_GOOGLE_APPLICATION_CREDENTIALS=/keys/{SECRET}.json
ANOMSTACK_AWS_SECRET_ACCESS_KEY={SECRET}
ANOMSTACK_TABLE_KEY=tmp.metrics
ANOMSTACK_MODEL_PATH=s3://user:{SECRET}@bucket/models
ANOMSTACK_OPENAI_KEY={SECRET}
ANOMSTACK_GOOGLE_APPLICATION_CREDENTIALS_JSON='{{
  "private_key": "-----BEGIN-----
{SECRET}
SECRETSECRET=={SECRET}
{KEY}==
-----END-----"
}}'
ANOMSTACK_PEM=-----BEGIN-----
{KEY}==
ANOMSTACK_DAGSTER_LOCAL=1
ANOMSTACK_EMPTY=
ANOMSTACK__SALES__ALERT_THRESHOLD=0.95
ANOMSTACK__SALES__LLMALERT_RECENT_N=5
ANOMSTACK__NOBODY__DB={SECRET}
GITHUB_TOKEN={SECRET}
"""


def told(output: str, level: str) -> list[str]:
    return [line.removeprefix(f"{level}: ") for line in output.splitlines() if line.startswith(f"{level}: ")]


def test_a_batch_keeps_its_comments_and_gets_its_variables(write_theirs, bring) -> None:
    write_theirs(GOOD)

    result = bring()

    assert result.exit_code == 0, result.output
    assert (
        Path("metrics/sales/sales.yaml").read_text()
        == """\
# Sales by country.

metric_batch: "sales"   # the name
table_key: "metrics_sales"
alert_methods: "email"
# Not imported, alert_max_n has no effect here: every row is judged once; plot_max_n says how many a chart shows:
# alert_max_n: 100
# Which countries.
ingest_sql: >
  {% include "./sales/sales.sql" %}
vars:
  countries: ['de', 'fr']
  country_column: land
# the end
"""
    )
    assert Path("metrics/sales/sales.sql").read_text() == SALES_SQL
    assert load_batch(Path("metrics"), "sales", {}).spec.common.vars == {"countries": ["de", "fr"], "country_column": "land"}
    assert result.stdout.splitlines()[-1] == "1 batch imported, 2 things to look at, 0 failed, 0 errors in the settings"


def test_a_second_import_changes_nothing(write_theirs, bring) -> None:
    write_theirs({**GOOD, "defaults/defaults.yaml": "alert_threshold: 0.9\ncountry: ie\n"})
    bring("--env", str(write_env()))
    before = {path: path.read_bytes() for path in Path("metrics").rglob("*") if path.is_file()}

    again = bring("--env", str(write_env()))

    assert again.exit_code == 0, again.output
    assert {line.split(":")[0] for line in again.stdout.splitlines() if "metrics" not in line and "sales/" in line.split()[1]} >= {
        "unchanged"
    }
    assert "written:" not in again.stdout
    assert {path: path.read_bytes() for path in Path("metrics").rglob("*") if path.is_file()} == before


def write_env() -> Path:
    path = Path("theirs/.env")
    path.write_text(ENV, encoding="utf-8")
    return path


def test_no_secret_is_written_or_printed(write_theirs, bring) -> None:
    write_theirs(GOOD)

    results = [bring("--env", str(write_env()), *more) for more in ((), ("--dry-run",), ("--json",), ("--force",))]

    texts = [result.output for result in results] + [path.read_text() for path in Path("metrics").rglob("*") if path.is_file()]
    assert [text for text in texts if SECRET in text or KEY in text] == []
    assert [result.exit_code for result in results] == [0, 0, 0, 0]


def test_variables_get_their_names_here_and_blocks_refer_to_them(write_theirs, bring) -> None:
    write_theirs(GOOD)

    result = bring("--env", str(write_env()))

    names = Path("metrics/imported.env").read_text().splitlines()
    assert "ANOMFLOW_EMAIL_PASSWORD=  # was ANOMSTACK_ALERT_EMAIL_PASSWORD" in names
    assert "ANOMFLOW__SALES__ALERT_THRESHOLD=  # was ANOMSTACK__SALES__ALERT_THRESHOLD" in names
    assert any(name.startswith("GITHUB_TOKEN=") for name in names)
    assert not any("OPENAI" in name or "DAGSTER" in name or "EMPTY" in name for name in names)
    blocks = yaml.safe_load(Path("metrics/blocks.yaml").read_text())
    assert blocks["email/default"]["password"] == "${ANOMFLOW_EMAIL_PASSWORD}"
    assert blocks["gcp-credentials/default"]["service_account_file"] == "${GOOGLE_APPLICATION_CREDENTIALS}"
    assert yaml.safe_load(Path("metrics/defaults/defaults.yaml").read_text()) == {
        "alert_methods": ["email", "slack"],
        "table_key": "tmp.metrics",
    }
    looks = "\n".join(told(result.stdout, "look"))
    assert "ANOMSTACK_MODEL_PATH: holds more than a plain name; set model_path in defaults/defaults.yaml yourself" in looks
    assert "ANOMSTACK__NOBODY__DB: is for a batch that was not imported" in looks
    assert "ANOMSTACK__SALES__LLMALERT_RECENT_N: has no effect here: alerts by language models are not part of this version" in looks


def test_a_database_of_motherduck_or_turso_gets_its_names_here(write_theirs, bring) -> None:
    write_theirs(GOOD)
    values = {"DUCKDB_PATH": f"md:shop?motherduck_token={SECRET}", "MOTHERDUCK_TOKEN": SECRET, "TURSO_DATABASE_URL": "libsql://x"}
    Path("theirs/.env").write_text("".join(f"ANOMSTACK_{name}={value}\n" for name, value in values.items()), encoding="utf-8")

    result = bring("--env", "theirs/.env")

    names = [line.partition("=")[0] for line in Path("metrics/imported.env").read_text().splitlines()]
    assert {"ANOMFLOW_MOTHERDUCK_DATABASE", "ANOMFLOW_MOTHERDUCK_TOKEN", "ANOMFLOW_TURSO_URL"} <= set(names)
    assert any("set ANOMFLOW_MOTHERDUCK_DATABASE to its name alone" in line for line in told(result.stdout, "look"))
    assert SECRET not in result.output


def test_a_database_of_snowflake_or_clickhouse_gets_its_names_here(write_theirs, bring) -> None:
    write_theirs(GOOD)
    theirs = ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_PASSWORD", "SNOWFLAKE_WAREHOUSE", "CLICKHOUSE_HOST", "CLICKHOUSE_PASSWORD")
    Path("theirs/.env").write_text("".join(f"ANOMSTACK_{name}={SECRET}\n" for name in theirs), encoding="utf-8")

    result = bring("--env", "theirs/.env")

    names = [line.partition("=")[0] for line in Path("metrics/imported.env").read_text().splitlines()]
    assert {f"ANOMFLOW_{name}" for name in theirs} <= set(names)
    read_here = [*list_variables(SnowflakeWarehouse, "snowflake").values(), *list_variables(ClickHouseWarehouse, "clickhouse").values()]
    assert {f"ANOMFLOW_{name}" for name in theirs} <= set(read_here)
    assert SECRET not in result.output


def test_a_dry_run_tells_the_same_and_writes_nothing(write_theirs, bring) -> None:
    write_theirs({**GOOD, "bad/bad.yaml": "metric_batch: bad\ntholdalert_thresholds: {a: {upper: 1, lower: 2}}\ningest_sql: select 1\n"})
    dry = bring("--dry-run")
    assert list(Path("metrics").iterdir()) == []

    real = bring()

    assert dry.exit_code == real.exit_code == 1
    assert dry.stderr == real.stderr
    assert dry.stdout.replace("would be written", "written") == real.stdout


def test_what_exists_is_overwritten_only_by_force(write_theirs, bring) -> None:
    write_theirs({**GOOD, "defaults/defaults.yaml": "alert_threshold: 0.9\n"})
    Path("metrics/sales").mkdir()
    Path("metrics/defaults").mkdir()
    Path("metrics/sales/sales.sql").write_text("select 'mine'")
    Path("metrics/defaults/defaults.yaml").write_text("# ours\nalert_threshold: 0.7\nscore_max_n: 5\n")

    result = bring()

    assert result.exit_code == 1
    assert "failed: sales/sales.sql: exists and differs; --force overwrites it" in result.stderr
    assert "failed: defaults/defaults.yaml:2 alert_threshold: is set otherwise already; --force replaces it" in result.stderr
    assert Path("metrics/sales/sales.sql").read_text() == "select 'mine'"
    assert Path("metrics/defaults/defaults.yaml").read_text() == "# ours\nalert_threshold: 0.7\nscore_max_n: 5\n"
    assert bring("--force").exit_code == 0
    assert Path("metrics/sales/sales.sql").read_text() == SALES_SQL
    assert load_batch(Path("metrics"), "sales", {}).spec.alert.alert_threshold == 0.9
    assert load_batch(Path("metrics"), "sales", {}).spec.score.score_max_n == 5


@pytest.mark.parametrize("content", [b"region: \xff\n", b"alert_methods: [email,\n"])
def test_defaults_that_cannot_be_read_are_left_as_they_are(content: bytes, write_theirs, bring) -> None:
    write_theirs({"defaults/defaults.yaml": "alert_threshold: 0.9\n"})
    Path("metrics/defaults").mkdir()
    Path("metrics/defaults/defaults.yaml").write_bytes(content)

    result = bring("--force")

    assert result.exit_code == 1
    assert any("defaults/defaults.yaml" in line and "cannot be added to" in line for line in told(result.stderr, "failed"))
    assert Path("metrics/defaults/defaults.yaml").read_bytes() == content


def test_a_half_written_file_costs_itself(write_theirs, bring) -> None:
    write_theirs({**GOOD, "users/users.yaml": "metric_batch: users\nalert_methods: [email,\n", "no/no.yaml": "db: duckdb\n"})

    result = bring()

    assert result.exit_code == 1
    assert any(line.startswith("users/users.yaml:2: not valid YAML") for line in told(result.stderr, "failed"))
    assert "no/no.yaml:1: has no metric_batch, so it is no batch; not imported" in told(result.stderr, "failed")
    assert list(load_batches(Path("metrics"), {}).batches) == ["sales"]


def test_a_batch_that_is_there_under_another_path_is_not_imported_twice(write_theirs, bring) -> None:
    write_theirs(GOOD)
    Path("metrics/mine.yaml").write_text("metric_batch: sales\ningest_sql: select 1\n")

    result = bring()

    assert result.exit_code == 1
    assert "sales/sales.yaml:1: not imported: there is a batch sales already, in mine.yaml" in told(result.stderr, "failed")
    assert list(load_batches(Path("metrics"), {}).batches) == ["sales"]


@pytest.mark.parametrize(
    ("yaml_text", "code", "words"),
    [
        ("ingest_sql: select {{ countries.append(1) }}\n", 1, "metrics/x/x.yaml:2: ingest_sql: "),
        ("ingest_sql: select 1\nmetric_tags: {a: {n: 1}}\n", 0, "x/x.yaml:3 metric_tags: holds texts only, so others became texts"),
        ("ingest_sql: select 1\nalert_sql: select 2\n", 0, "x/x.yaml:3 alert_sql: a query written for Anomstack's tables"),
        ("ingest_sql: select 1\nllmalert_recent_n: 9\n", 0, "x/x.yaml:3 llmalert_recent_n: has no effect here: alerts by language models"),
        ("ingest_sql: select 1\ndisable_summary: true\n", 0, "x/x.yaml:3 disable_summary: has no effect here: summaries are not part"),
        (
            "ingest_sql: select 1\ningest_cron_schedule: 0 0 31 2 *\n",
            1,
            "metrics/x/x.yaml:3: ingest_cron_schedule is '0 0 31 2 *', which never fires",
        ),
        ("ingest_sql: select 1\ntholdalert_thresholds: {a: {upper: 1}}\n", 0, "there they were off by default"),
        ("ingest_sql: select 1\ndb: snowflake\n", 0, "x/x.yaml:2 ingest_sql: is sent as it stands, in the dialect of snowflake"),
        (
            "ingest_sql: select 1\nscore_max_n: 1\nscore_max_n: 2\n",
            0,
            "x/x.yaml:4 score_max_n: is set twice, first in line 3; the last one held",
        ),
        ("ingest_sql: select 1\nalert_max_n: &n 5\nscore_max_n: *n\n", 0, "x/x.yaml: was written anew, without its comments"),
        ("metric_batch: é\ningest_sql: select 1\n", 1, "x/x.yaml:2: 'é' has no letter or digit"),
        ("ingest_fn: |\n  def ingest():\n      print(1)\n", 0, "x/x.yaml:4 ingest_fn: prints: what it prints goes to the terminal"),
    ],
)
def test_what_needs_a_hand_is_told(yaml_text: str, code: int, words: str, write_theirs, bring) -> None:
    write_theirs({"x/x.yaml": f"metric_batch: x\n{yaml_text}"})

    result = bring()

    assert result.exit_code == code, result.output
    assert words in result.output


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (PYTHON.replace("import pandas as pd\n", ""), "x/x.py:2: uses pd without importing it, which worked there by accident"),
        (PYTHON + "    open('data.csv')\n", "x/x.py:5: reads 'data.csv' by a relative path"),
        (PYTHON + "    pd.read_csv('https://example.org/a.csv')\n", ""),
        (PYTHON + "    x = '{{ metric_batch }}'\n", "x/x.py:5: is a Jinja template there, and run as it stands here"),
        ("from dagster import get_dagster_logger\n" + PYTHON, "x/x.py:1: imports dagster, which is not installed with Anomflow"),
        ("import os\nKEY = os.environ['ANOMSTACK_KEY']\n" + PYTHON, "x/x.py:2: reads the variable ANOMSTACK_KEY; keep it under this name"),
    ],
)
def test_what_a_function_expects_is_told(source: str, words: str, write_theirs, bring) -> None:
    write_theirs({"x/x.yaml": "metric_batch: x\ningest_fn: >\n  {% include './x/x.py' %}\n", "x/x.py": source})

    result = bring()

    assert result.exit_code == 0, result.output
    assert words in result.stdout
    assert ("x/x.py:" in "".join(told(result.stdout, "look"))) is bool(words)


def test_only_what_batches_are_made_of_is_copied(write_theirs, bring) -> None:
    write_theirs(
        {
            **GOOD,
            "sales/key.json": '{"private_key": "x"}',
            "sales/README.md": "# Sales",
            "sales/old.yml": "metric_batch: old\n",
            ".secret/x.yaml": "metric_batch: hidden\n",
            "defaults/sql/train.sql": "select 'theirs'",
            "defaults/sql/mine.sql": "select 1",
        }
    )

    result = bring()

    assert sorted(path.as_posix() for path in Path("metrics").rglob("*.*") if path.is_file()) == [
        "metrics/sales/sales.sql",
        "metrics/sales/sales.yaml",
    ]
    assert any(line.startswith("sales/key.json: left out; copy it yourself") for line in told(result.stdout, "look"))
    assert any(line.startswith("sales/old.yml: left out; Anomstack does not read .yml") for line in told(result.stdout, "look"))


def test_text_of_a_terminal_is_shown_as_text(write_theirs, bring) -> None:
    write_theirs({"x/x.yaml": 'metric_batch: x\ningest_sql: select 1\n"a\\e[31m\\nmetric_batch": 1\n', "x/\x1b[31m.json": "{}"})

    result = bring()

    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "a\\x1b[31m\\nmetric_batch" in result.stdout
    assert load_batch(Path("metrics"), "x", {}).name == "x"


def test_a_file_with_carriage_returns_keeps_its_comments(write_theirs, bring) -> None:
    folder = write_theirs(GOOD)
    (folder / "sales" / "sales.yaml").write_bytes(b"\xef\xbb\xbf" + SALES.replace("\n", "\r\n").encode())

    result = bring()

    assert result.exit_code == 0, result.output
    assert Path("metrics/sales/sales.yaml").read_text().startswith("# Sales by country.\n\nmetric_batch")


def test_a_variable_may_have_the_name_of_one_that_a_job_gives(write_theirs, bring) -> None:
    sql = "ingest_sql: select {% for metric in metrics %}'{{ metric }}'{% if not loop.last %},{% endif %}{% endfor %}\n"
    write_theirs({"x/x.yaml": f"metric_batch: x\nmetrics: [a, b]\n{sql}"})

    assert bring().exit_code == 0
    assert load_batch(Path("metrics"), "x", {}).spec.common.vars == {"metrics": ["a", "b"]}


def test_the_examples_stay_where_they_are_ignored(write_theirs, bring) -> None:
    write_theirs({**GOOD, "examples/x/x.yaml": "metric_batch: x\ningest_sql: select 1\n"})
    Path("theirs/.env").write_text("ANOMSTACK_IGNORE_EXAMPLES=yes\n")

    result = bring("--env", "theirs/.env")

    assert list(load_batches(Path("metrics"), {}).batches) == ["sales"]
    assert "examples/x/x.yaml: left out, as ANOMSTACK_IGNORE_EXAMPLES says" in told(result.stdout, "done")


def test_what_a_batch_includes_of_the_defaults_comes_along(write_theirs, bring) -> None:
    text = "metric_batch: x\ningest_sql: select {% include './defaults/sql/mine.sql' %}\n"
    text += "train_sql: >\n  {% include './defaults/sql/train.sql' %}\n"
    theirs = {f"defaults/sql/{name}.sql": "1" for name in ("mine", "other", "train")}
    write_theirs({"x/x.yaml": text, **theirs})

    assert bring().exit_code == 0
    assert [path.name for path in Path("metrics/defaults/sql").iterdir()] == ["mine.sql"]


def test_a_link_that_leads_out_is_not_followed(write_theirs, bring, tmp_path: Path) -> None:
    folder = write_theirs(GOOD)
    (tmp_path / "outside.sql").write_text(SECRET)
    (folder / "sales" / "link.sql").symlink_to(tmp_path / "outside.sql")

    bring()

    assert not Path("metrics/sales/link.sql").exists()


def test_changed_defaults_come_over_and_shipped_ones_do_not(write_theirs, bring) -> None:
    text = "db: duckdb\nalert_threshold: 0.9\nalert_methods: 'email,slack'\ndisable_llmalert: False\nregion: eu\ntrain_min_n: 14\n"
    write_theirs({"defaults/defaults.yaml": text, "x/x.yaml": "metric_batch: x\ningest_sql: select '{{ region }}'\n"})
    Path("metrics/batch.schema.json").write_text("{}")

    result = bring()

    assert result.exit_code == 0, result.output
    assert yaml.safe_load(Path("metrics/defaults/defaults.yaml").read_text()) == {"alert_threshold": 0.9, "vars": {"region": "eu"}}
    assert Path("metrics/x/x.yaml").read_text().splitlines()[0] == "# yaml-language-server: $schema=../batch.schema.json"
    assert "defaults/defaults.yaml:4 disable_llmalert: has no effect here: alerts by language models" in result.stdout


def test_the_report_is_json_for_programs(write_theirs, bring) -> None:
    write_theirs(GOOD)

    report = json.loads(bring("--json", "--dry-run").stdout)

    assert report["batches"] == ["sales"]
    assert report["files"] == {"sales/sales.sql": "written", "sales/sales.yaml": "written"}
    assert {"level": "done", "where": "sales/sales.yaml", "line": None, "key": None, "message": "imported as the batch sales"} in report[
        "notes"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--into", "theirs/metrics"], "is the folder to write to as well"),
        (["--env", "nowhere.env"], "nowhere.env cannot be read"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], words: str, write_theirs, bring) -> None:
    write_theirs(GOOD)

    result = bring(*arguments)

    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_nothing_to_import_is_wrong_usage(write_theirs, bring) -> None:
    write_theirs({"x.txt": ""})

    assert bring().exit_code == 2
