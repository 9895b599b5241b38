"""What `validate` doubts: kinds of blocks that nobody has, SQL that does not parse."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from blocks import notifiers, stores, warehouses
from blocks.discovery import find_kinds
from blocks.kinds import FILESYSTEMS, SCHEMES, read_kinds
from cli.main import build_app


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("db: duckbd/main", "db is 'duckbd/main', of a kind that there is none of here; known: "),
        ("db: duckbd/main", "Did you mean duckdb?"),
        ("ingest_db: oracle", "ingest_db is 'oracle', of a kind"),
        ("ledger_db: oracle/x", "ledger_db is 'oracle/x', of a kind"),
        (
            "alert_methods: [file, emial]",
            "alert_methods is 'emial', of a kind that there is none of here; known: console, discord, email, file, mattermost",
        ),
        ("model_path: s3-buckt/models", "Did you mean s3-bucket?"),
        ("ingest_sql: selec 1 frm", "ingest_sql is hardly SQL of duckdb: "),
        ("plot_sql: from t pivot (sum(x) for y in (1, 2))\ndb: sqlite", "plot_sql: plot query: cannot be translated to sqlite"),
        ("ingest_sql: select 1; select 2", "ingest_sql is hardly SQL of duckdb: it holds 2 statements, not one"),
    ],
)
def test_a_doubt_is_a_warning_with_its_line(text: str, words: str, write_metrics) -> None:
    source = "" if "ingest_sql" in text else "ingest_sql: select 1\n"
    write_metrics({"x/x.yaml": f"metric_batch: x\n{text}\n{source}"})

    result = CliRunner().invoke(build_app(), ["validate"])

    assert result.exit_code == 0
    assert result.stderr.startswith("warning: metrics/x/x.yaml:2: ")
    assert words in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "db: sqlite\nmodel_path: local://models\nalert_methods: email/ops, file",
        "model_path: gcs-bucket/models",
        "db: clickhouse\nledger_db: postgres/ledger",
        "db: bigquery\nledger_db: bigquery\ntable_key: shop.metrics",
        "model_path: s3://shop-models",
        "model_path: gs://shop-models/team/shop/",
        "model_path: az://models/shop",
        "ingest_db: sqlite/shop\ningest_sql: select strftime('%s', 'now') as metric_timestamp;",
        'ingest_sql: "from t select * exclude (a) {% raw %}{% endraw %}"',
    ],
)
def test_what_is_right_is_not_doubted(text: str, write_metrics) -> None:
    source = "" if "ingest_sql" in text else "\ningest_sql: select 1"
    write_metrics({"x/x.yaml": f"metric_batch: x\n{text}{source}\n"})

    assert CliRunner().invoke(build_app(), ["validate"]).stderr == ""


def test_the_kinds_read_from_the_sources_are_those_that_load() -> None:
    kinds = read_kinds()

    assert set(kinds.warehouses) == set(find_kinds(warehouses))
    assert set(kinds.stores) == {*find_kinds(stores), *FILESYSTEMS, *SCHEMES}
    assert set(kinds.channels) == set(find_kinds(notifiers))


def test_validating_needs_no_prefect(write_metrics) -> None:
    write_metrics({"x/x.yaml": "metric_batch: x\ningest_sql: select 1\n"})
    code = "import sys; from cli.main import build_app; build_app()(['validate'], standalone_mode=False); print('prefect' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ledger_db: a b", "ledger_db is 'a b'; allowed is a kind (duckdb) or a block (kind/block-name)"),
        (
            "table_key: shop.metrics\ndb: bigquery\nledger_db: sqlite",
            "table_key is 'shop.metrics', and ledger_db 'sqlite', where other schemas are than in db ('bigquery'); write metrics, and name",
        ),
    ],
)
def test_a_ledger_db_that_cannot_be_is_an_error_with_its_line(text: str, words: str, write_metrics) -> None:
    write_metrics({"x/x.yaml": f"metric_batch: x\n{text}\ningest_sql: select 1\n"})

    result = CliRunner().invoke(build_app(), ["validate"])

    assert result.exit_code == 2
    assert "metrics/x/x.yaml:2: " in result.stderr
    assert words in result.stderr
