"""The demo as a newcomer runs it: offline, through the flows, on real data with known faults."""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
BATCHES = ROOT / "metrics" / "examples" / "demo"


@dataclass(frozen=True)
class Demo:
    home: Path
    printed: dict[str, Any]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "anomflow.duckdb"), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()

    @property
    def mails(self) -> dict[str, EmailMessage]:
        parsed = (email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in self.home.glob("messages/*.eml"))
        return {str(mail["Message-ID"]).strip("<>").split("@")[0]: mail for mail in parsed}  # type: ignore[misc]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("demo") / "home"
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "ANOMFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--home", str(home), "--json"],
        cwd=ROOT,
        env={**environ, "PREFECT_HOME": str(home.parent / "prefect"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Demo(home, json.loads(done.stdout))


pytestmark = pytest.mark.prefect


def faults(batch: str) -> list[tuple[str, datetime, datetime]]:
    found = json.loads((BATCHES / batch / "faults.json").read_text())["faults"]
    return [(fault["metric_name"], *(datetime.fromisoformat(fault[end]).astimezone(UTC) for end in ("first", "last"))) for fault in found]


@pytest.mark.parametrize(("batch", "false_alarms"), [("waterflow", 2), ("orders", 0)])
def test_alerts_fall_on_every_known_fault_and_hardly_anywhere_else(demo, batch, false_alarms):
    told = demo.rows(f"select metric_name, metric_timestamp from metrics_alerts where metric_batch = '{batch}' and message_id is not null")
    hits = [{fault for fault in faults(batch) if fault[0] == name and fault[1] <= moment <= fault[2]} for name, moment in told]
    assert set().union(*hits) == set(faults(batch))
    assert sum(not hit for hit in hits) <= false_alarms


def test_every_message_tells_of_ledger_rows_and_has_a_picture_and_a_plain_part(demo):
    told = {message for (message,) in demo.rows("select distinct message_id from metrics_alerts where message_id is not null")}
    assert set(demo.mails) == told
    for message_id, mail in demo.mails.items():
        facts = json.loads((demo.home / "messages" / f"{message_id}.json").read_text())
        ids = {alert for (alert,) in demo.rows(f"select alert_id from metrics_alerts where message_id = '{message_id}'")}
        assert {fact["alert_id"] for fact in facts["facts"]} == ids
        assert "anomflow explain" in mail.get_body(("plain",)).get_content()
        pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
        assert [len(Image.open(io.BytesIO(part.get_payload(decode=True))).convert("RGB").getcolors(100_000)) > 5 for part in pictures]
        assert pictures


def test_every_row_that_was_ingested_was_judged(demo):
    assert (
        demo.rows("""
        select metric_batch, count(*) from metrics m where metric_type = 'metric' and metric_batch <> 'machine'
        and not exists (select 1 from metrics s where s.metric_type = 'score' and s.metric_batch = m.metric_batch
                        and s.metric_name = m.metric_name and s.metric_timestamp = m.metric_timestamp) group by all
    """)
        == []
    )


def test_this_machine_was_measured_live(demo):
    (count,) = demo.rows("select count(distinct metric_name) from metrics where metric_batch = 'machine' and metric_type = 'metric'")[0]
    assert count == 4


def test_the_report_holds_all_it_needs(demo):
    page = Path(demo.printed["report"]).read_text()
    assert "water_flow" in page
    assert 'http-equiv="Content-Security-Policy"' in page
    assert 'src="http' not in page
