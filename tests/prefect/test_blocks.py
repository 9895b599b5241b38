"""Blocks at a real Prefect API: registered by one command, saved, loaded by kind and name, used by a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from http_channels import CASES, SECRET
from prefect.client.orchestration import get_client
from prefect.filesystems import LocalFileSystem
from prefect.settings import PREFECT_API_URL

import blocks
from anomflow.errors import WarehouseError
from anomflow.kinds import WAREHOUSES
from blocks.loading import load_store, load_warehouse
from blocks.notifiers.console import ConsoleNotifier
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.file import FileNotifier
from blocks.notifiers.loading import load_notifier
from blocks.notifiers.slack import SlackNotifier
from blocks.stores.local import LocalModelStore
from blocks.warehouses.bigquery import BigQueryWarehouse
from blocks.warehouses.clickhouse import ClickHouseWarehouse
from blocks.warehouses.duckdb import DuckDBWarehouse
from blocks.warehouses.motherduck import MotherDuckWarehouse
from blocks.warehouses.postgres import PostgresWarehouse
from blocks.warehouses.redshift import RedshiftWarehouse
from blocks.warehouses.snowflake import SnowflakeWarehouse
from blocks.warehouses.sqlite import SQLiteWarehouse
from blocks.warehouses.turso import TursoWarehouse
from tests.world import at, series

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("api")]
ROOT = Path(__file__).parents[2]
KEY = dict.fromkeys(("client_email", "private_key", "token_uri"), "s3cret-word") | {"type": "service_account"}


def test_one_command_registers_every_type_of_block():
    command = [sys.executable, "-m", "prefect", "block", "register", "-m", "blocks"]
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    with get_client(sync_client=True) as client:
        slugs = {kind.slug: kind for kind in client.read_block_types()}
    ours = {"anomflow-webhook", "anomflow-local-model-store", *(f"anomflow-{kind}-warehouse" for kind in WAREHOUSES)}
    ours |= {"console", "discord", "email", "file", "mattermost", "opsgenie", "pagerduty", "slack", "teams"}
    assert ours == {cls.get_block_type_slug() for cls in blocks.find_blocks().values()}
    assert ours <= set(slugs)
    assert {slug for slug in ours if not slugs[slug].description} == set()


def test_blocks_are_attributes_of_the_package():
    assert blocks.DuckDBWarehouse is DuckDBWarehouse
    assert "EmailNotifier" in dir(blocks)
    with pytest.raises(AttributeError, match="no attribute 'FileWarehouse'"):
        _ = blocks.FileWarehouse


def test_each_block_is_saved_and_loaded_as_it_was(tmp_path):
    saved = [
        DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), lock_timeout_seconds=5),
        SQLiteWarehouse(path=str(tmp_path / "w.sqlite"), lock_timeout_seconds=5),
        PostgresWarehouse(host="127.0.0.1", database="d", user="u", password="s3cret-word"),
        BigQueryWarehouse(dataset="d", project="some-project", service_account_info=json.dumps(KEY)),
        SnowflakeWarehouse(account="org-a", user="u", password="s3cret-word", database="d", warehouse="w"),
        ClickHouseWarehouse(host="127.0.0.1", user="u", password="s3cret-word"),
        RedshiftWarehouse(host="127.0.0.1", database="d", user="u", password="s3cret-word"),
        MotherDuckWarehouse(database="d", token="s3cret-word"),
        TursoWarehouse(url="http://127.0.0.1:8080", auth_token="s3cret-word"),
        LocalModelStore(folder=str(tmp_path / "models")),
        FileNotifier(folder=str(tmp_path / "messages")),
        ConsoleNotifier(),
        EmailNotifier(host="127.0.0.1", username="u", password="s3cret-word", sender="a@example.org", recipients="b@example.org, c@d.org"),
        SlackNotifier(token="xoxb-s3cret-word", channel="#alerts"),
        *(case.cls(**case.build_settings("https://example.org")) for case in CASES.values()),
    ]
    assert {type(block).__name__ for block in saved} == set(blocks.find_blocks())
    for block in saved:
        block.save("kept", overwrite=True)
        loaded = type(block).load("kept")
        assert loaded.model_dump() == block.model_dump()
        assert "s3cret-word" not in repr(loaded)
        assert SECRET not in repr(loaded)
    assert EmailNotifier.load("kept").password.get_secret_value() == "s3cret-word"
    assert SlackNotifier.load("kept").token.get_secret_value() == "xoxb-s3cret-word"
    assert load_notifier("file/kept", tmp_path, {}).folder == str(tmp_path / "messages")


def test_saved_blocks_are_loaded_by_kind_and_name(tmp_path):
    DuckDBWarehouse(path=str(tmp_path / "prod.duckdb"), lock_timeout_seconds=5).save("prod")
    LocalModelStore(folder=str(tmp_path / "m")).save("prod")
    LocalFileSystem(basepath=str(tmp_path)).save("prod")
    assert load_warehouse("duckdb/prod", tmp_path / "home").location == f"duckdb:{tmp_path / 'prod.duckdb'}"
    assert load_store("local/prod", tmp_path / "home").location == f"local:{tmp_path / 'm'}"
    store = load_store("local-file-system/prod", tmp_path / "home")
    store.write("a", b"x")
    assert (tmp_path / "models" / "a").read_bytes() == b"x"
    with pytest.raises(WarehouseError, match="there is no block anomflow-duckdb-warehouse/other"):
        load_warehouse("duckdb/other", tmp_path)


def test_a_run_uses_the_blocks_that_its_batch_names(flows, world, tmp_path):
    SQLiteWarehouse(path=str(tmp_path / "team.sqlite")).save("team")
    LocalModelStore(folder=str(tmp_path / "team-models")).save("team")
    FileNotifier(folder=str(tmp_path / "team-messages")).save("team")
    world.configure("db: sqlite/team\ningest_db: duckdb\nmodel_path: local/team\nalert_methods: [file/team]\n")
    world.put(series("orders", 330, spikes=[327]))
    state = flows["pipeline"](batch="shop", as_of=at(329), send=True, return_state=True)
    assert state.name == "Completed"
    assert state.message.endswith("alert: 1 messages, 1 sent")
    assert len([path for path in (tmp_path / "team-models").rglob("*") if path.is_file()]) == 1
    assert len(list((tmp_path / "team-messages").glob("*.eml"))) == 1
    with SQLiteWarehouse(path=str(tmp_path / "team.sqlite")).reading() as session:
        assert session.read("select count(*) as n from metrics where metric_type = 'metric'").item() == 330
    assert world.sql("show tables").rows() == [("source",)]


def test_a_block_that_is_not_saved_fails_the_run_and_names_it(flows, world):
    world.configure("db: duckdb/nowhere\n")
    state = flows["score"](batch="shop", return_state=True)
    assert state.name == "Failed"
    assert "there is no block anomflow-duckdb-warehouse/nowhere" in state.message
