"""Flows as Prefect runs them: loaded by entrypoint, ended in the right state, retried, counted, without a secret."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from mail_receiver import PASSWORD, USER, MailReceiver, run_receiver, write_certificate
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import State
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from anomflow.spec import JOBS
from blocks.notifiers.email import EmailNotifier
from blocks.warehouses.duckdb import DuckDBWarehouse
from flows.jobrun import Request, open_run
from flows.outcomes import Outcome, completed, finish
from tests.prefect_runs import Heard, listen, read_artifacts
from tests.world import at, series

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.usefixtures("api"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),  # the test's mail server, not ours
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),  # the same: it knows STARTTLS only
]
ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}svg"
HOSTILE = ["<script>alert(1)</script>", "![x](http://127.0.0.1/x)", "a|b\n| c", "`rm`"]
LOAD = """
import os, sys
from prefect.deployments.steps.pull import set_working_directory
from prefect.flows import load_flow_from_entrypoint
set_working_directory(sys.argv[1])
for job in sys.argv[2:]:
    print(load_flow_from_entrypoint(f"flows/{job}.py:{job}").name)
"""


def test_every_flow_loads_by_its_entrypoint_in_a_process_that_started_elsewhere(tmp_path):
    command = [sys.executable, "-c", LOAD, str(ROOT), *JOBS]
    loaded = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == list(JOBS)


def test_each_job_completes_and_says_what_it_did(flows, world):
    world.put(series("orders", 330, spikes=[327]))
    states = {job: flows[job](batch="shop", as_of=at(329), return_state=True) for job in ("ingest", "train", "score", "alert", "plot")}
    assert {state.name for state in states.values()} == {"Completed"}
    assert [state.message for state in states.values()] == [
        "ingest: 330 new",
        "train: 1 metrics rebuilt",
        "score: 310 scored, 20 without a score, 1 alerts, 2 snoozed, 2 late",
        "alert: 1 messages, 1 sent",
        "plot: 1 metrics, 1 charts",
    ]
    world.put(series("orders", 331)[330:])
    state = flows["pipeline"](batch="shop", as_of=at(330), return_state=True)
    assert state.name == "Completed"
    assert re.fullmatch(r"ingest: 1 new, 330 unchanged \| train: 1 metrics continued \| score: 1 scored.* \| alert: .*", state.message)


@pytest.mark.parametrize("job", JOBS)
def test_a_wrong_setting_fails_the_run_with_every_problem_and_its_place(flows, world, job):
    world.configure("alert_treshold: 3\nshards: many\n")
    state = flows[job](batch="shop", return_state=True)
    assert state.name == "Failed"
    assert "shop.yaml:4: alert_treshold is not a setting. Did you mean alert_threshold?" in state.message
    assert "shop.yaml:5: shards" in state.message


@pytest.mark.parametrize("job", JOBS)
def test_a_job_that_is_switched_off_completes_and_says_so(flows, world, job):
    world.configure(f"disable_{job}: true\n")
    state = flows[job](batch="shop", return_state=True)
    assert (state.name, state.message) == ("Completed", f"{job}: switched off by disable_{job} or disable_batch")


@flow
def end_score(failures: dict[str, str], worked: bool):
    run = open_run(Request("shop"))
    return completed(finish(run, Outcome("score", {"scored": 3}, failures, worked=worked)))


def test_bad_metrics_beside_good_ones_complete_the_run_and_stand_in_one_artifact(world):
    failures = dict.fromkeys(HOSTILE, "ValueError: <b>no</b>") | {f"metric {n}": "bad" for n in range(1000)}
    with listen() as heard:
        state = end_score(failures, worked=True, return_state=True)
    assert state.name == "Completed"
    assert state.message.endswith("[1004 failures]")
    assert len([line for line in heard.lines if "1004 metrics failed" in line and line.startswith("shop ")]) == 1
    artifact = read_artifacts("failures-score-shop")[-1]
    text = str(artifact.data)
    assert "<" not in re.sub(r"\\.", "", text)
    assert "![" not in text
    rows = text.splitlines()
    assert [row.startswith("| ") and len(re.sub(r"\\.", "", row).split("|")) == 4 for row in rows[:500]] == [True] + [False] + [True] * 498
    assert rows[-1] == "504 more"


def test_a_run_of_which_nothing_worked_fails_and_its_failures_are_published(world):
    state = end_score({"orders": "bad"}, worked=False, return_state=True)
    assert state.name == "Failed"
    assert "1 metrics failed ('orders': bad)" in state.message
    assert "orders" in str(read_artifacts("failures-score-shop")[-1].data)


@pytest.fixture
def refusing(tmp_path, monkeypatch) -> Iterator[MailReceiver]:
    """A mail server that refuses the login and repeats it."""
    certificate = write_certificate(tmp_path / "server.pem")
    encoded = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    with run_receiver("starttls", certificate, MailReceiver(auth_answer=f"535 no such login: {PASSWORD} {encoded}")) as receiver:
        settings = {"HOST": "127.0.0.1", "PORT": str(receiver.port), "USERNAME": USER, "PASSWORD": PASSWORD, "CA_FILE": str(certificate)}
        for key, value in {**settings, "SENDER": "a@example.org", "RECIPIENTS": "b@example.org"}.items():
            monkeypatch.setenv(f"ANOMFLOW_EMAIL_{key}", value)
        block = {key.lower(): value for key, value in settings.items()}
        EmailNotifier(**block, sender="a@example.org", recipients="b@example.org").save("refused", overwrite=True)
        yield receiver


def read_run(run_id: UUID) -> str:
    """Return everything that the API tells about a flow run."""
    APILogHandler().flush()
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])))
        artifacts = client.read_artifacts()
    assert len(logs) > 10
    return "\n".join([run.model_dump_json(), repr(run), *(log.message for log in logs), *(str(artifact) for artifact in artifacts)])


def test_no_secret_is_told_by_a_run_whose_mail_server_refuses_the_login(flows, world, refusing):
    world.configure("alert_methods: [email, email/refused]\n")
    world.put(series("orders", 330, spikes=[327]))
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}), listen() as heard:
        state = flows["pipeline"](batch="shop", as_of=at(329), send=True, return_state=True)
        run = read_run(state.state_details.flow_run_id)
    assert state.name == "Failed"
    assert "2 given up; email: email: 127.0.0.1" in state.message
    opened = world.open(at(329))
    notifier = opened.load_notifier("email/refused")
    told = "\n".join(
        [run, *heard.lines, *heard.requests, repr(opened), repr(vars(opened)), repr(notifier), str(world.table("_deliveries").rows())]
    )
    assert "********" in told
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()):
        assert secret not in told


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def hold(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a database in another process, as a shell does, until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_locked_warehouse_is_tried_again_and_the_run_succeeds(flows, world):
    DuckDBWarehouse(path=str(world.database), lock_timeout_seconds=0.1).save("impatient", overwrite=True)
    world.configure("db: duckdb/impatient\n")
    world.put(series("orders", 60))
    with hold(world.database) as holder:

        def let_go(line: str) -> None:
            # A second end of its input is as good as the first.
            assert holder.stdin is not None
            _ = "Retry 1/3" in line and (holder.stdin.close(), holder.wait(150))

        with listen(let_go) as heard:
            state = flows["ingest"](batch="shop", as_of=at(59), return_state=True)
    assert (state.name, state.message) == ("Completed", "ingest: 60 new")
    retries = [line for line in heard.lines if "Retry " in line]
    assert len(retries) == 1
    assert "is still locked by process" in retries[0]
    assert heard.tasks == ["prepare tables", "read source", "write observations"]


def test_a_query_that_is_wrong_is_not_tried_again(flows, world):
    world.configure("ingest_db: duckdb\n")
    with listen() as heard:
        state = flows["ingest"](batch="shop", return_state=True)
    assert state.name == "Failed"
    assert "Table with name source does not exist" in state.message
    assert [line for line in heard.lines if "Retry " in line] == []
    assert heard.tasks == ["prepare tables", "read source"]


CHAIN = ("ingest", "train", "score", "alert", "plot")


def test_requests_lines_and_task_runs_do_not_grow_with_metrics(flows, world):
    def count(batch: str, metrics: int) -> tuple[Heard, list[State]]:
        world.configure("train_min_n: 10\nalert_false_alarms_per_month: 20\n", batch=batch)
        path = world.folder / "metrics" / batch / f"{batch}.yaml"
        path.write_text(path.read_text().replace("table_key: metrics", f"table_key: {batch}").replace("source", f"source_{batch}"))
        rows = series("m0", 60, spikes=[58])
        world.sql(
            f"create table source_{batch} as select metric_timestamp, 'm' || range as metric_name, metric_value + range as metric_value"
            f" from rows cross join range({metrics})",
            rows=rows,
        )
        with listen() as heard:
            states = [flows[job](batch=batch, as_of=at(59), return_state=True) for job in CHAIN]
        return heard, states

    count("warm", 2)  # the first run also asks for the server's version
    few, few_states = count("few", 10)
    many, many_states = count("many", 1000)

    assert {state.name for state in (*few_states, *many_states)} == {"Completed"}
    assert few_states[0].message == "ingest: 600 new"
    assert many_states[0].message == "ingest: 60000 new"
    assert few_states[3].message == many_states[3].message == "alert: 1 messages, 1 sent"
    assert many.calls == few.calls
    assert many.tasks == few.tasks
    assert len(many.lines) == len(few.lines)
    assert len(few.requests) < 15 * len(CHAIN)


def decode_images(markdown: str) -> list[tuple[str, bytes]]:
    found = re.findall(r"!\[[a-z0-9-]+\]\(data:image/([a-z+]+);base64,([A-Za-z0-9+/=]+)\)", markdown)
    return [(kind, base64.b64decode(data, validate=True)) for kind, data in found]


def test_charts_are_one_artifact_with_images_and_a_version_for_each_run(flows, world):
    world.put(pl.concat([series(name, 60, spikes=[50]) for name in ("orders", *HOSTILE)]))
    flows["ingest"](batch="shop", as_of=at(59))
    before = len(read_artifacts("charts-shop"))
    for method in ("markdown-svg", "markdown-png"):
        state = flows["plot"](batch="shop", as_of=at(59), settings={"plot_method": method}, return_state=True)
        assert state.message == "plot: 5 metrics, 5 charts"
    svg, png = (str(artifact.data) for artifact in read_artifacts("charts-shop")[before:])
    assert {ET.fromstring(content).tag for _, content in decode_images(svg)} == {SVG}  # noqa: S314 - what we drew
    assert {content[:8] for _, content in decode_images(png)} == {b"\x89PNG\r\n\x1a\n"}
    for markdown in (svg, png):
        assert len(decode_images(markdown)) == 5
        assert len(markdown.encode()) <= 1_000_000
        headings = [line for line in markdown.splitlines() if line.startswith("## ")]
        assert len(headings) == 5
        assert "<" not in re.sub(r"\\.", "", "".join(headings))
        assert markdown.count("![") == 5
    for _, content in decode_images(svg):
        assert b"<script" not in content


def test_charts_stay_below_a_megabyte_and_count_what_went_in(flows, world):
    world.configure("plot_max_metrics: 50\nplot_max_n: 10000\n")
    world.put(pl.concat([series(f"m{n}", 1000, seed=n) for n in range(50)]))
    flows["ingest"](batch="shop", as_of=at(999))
    state = flows["plot"](batch="shop", as_of=at(999), return_state=True)
    markdown = str(read_artifacts("charts-shop")[-1].data)
    assert len(markdown.encode()) <= 1_000_000
    assert state.message == f"plot: 50 metrics, {len(decode_images(markdown))} charts"
