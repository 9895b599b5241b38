"""`anomflow doctor` on real databases, folders, mail and Slack receivers: what works, what does not, nothing left behind."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from http_channels import CASES, run_services
from mail_receiver import PASSWORD, USER, MailReceiver, run_receiver, run_silent_server, write_certificate
from slack_receiver import TOKEN, SlackReceiver, run_slack

from anomflow.detectors.compile import compile_kernels
from tests.cli.commands_run import invoke, read
from tests.services.service import find_free_port
from tests.world import START, Clock, World

SETTINGS = "db: {db}\n"
RIGHTS = ["connect", "clock", "create table", "upsert", "delete", "drop table"]


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    compile_kernels()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    return World(tmp_path, Clock(START))


def set_channel(monkeypatch: pytest.MonkeyPatch, prefix: str, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ANOMFLOW_{prefix}_{name.upper()}", str(value))


def examine(shop: World, *words: str, code: int = 0) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the checks by subject and name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    told = read(shop, "doctor", *words, code=code)
    assert told["ok"] is (code == 0)
    for check in told["checks"]:
        found.setdefault(check["subject"], {})[check["name"]] = check
    return found


def find_failed(found: dict[str, dict[str, dict[str, Any]]]) -> dict[str, str]:
    return {
        f"{subject}: {name}": check["detail"]
        for subject, checks in found.items()
        for name, check in checks.items()
        if check["state"] == "failed"
    }


@pytest.mark.parametrize("db", ["duckdb", "sqlite"])
def test_all_is_well_and_nothing_is_left_behind(shop: World, db: str):
    shop.configure(SETTINGS.format(db=db))
    found = examine(shop)
    assert list(found[f"warehouse {db}"]) == RIGHTS
    assert list(found["model store local"]) == ["connect", "publish", "read", "list", "delete"]
    assert list(found["channel file"]) == ["connect"]
    assert found["machine"]["kernels"]["detail"] == "the kernels are compiled"
    assert all(check["seconds"] >= 0 for checks in found.values() for check in checks.values())
    assert found[f"warehouse {db}"]["upsert"]["batches"] == ["shop"]
    file = shop.folder / "home" / f"anomflow.{db}"
    tables = {
        "duckdb": lambda: duckdb.connect(str(file)).sql("show tables").fetchall(),
        "sqlite": lambda: sqlite3.connect(file).execute("select name from sqlite_master").fetchall(),
    }[db]()
    assert tables == []
    assert list((shop.folder / "home" / "models").iterdir()) == []
    assert list((shop.folder / "home" / "messages").iterdir()) == []


def test_one_warehouse_of_two_batches_is_looked_at_once(shop: World):
    shop.configure()
    shop.configure(batch="second")
    found = examine(shop)
    assert found["warehouse duckdb"]["connect"]["batches"] == ["second", "shop"]
    assert examine(shop, "second")["warehouse duckdb"]["connect"]["batches"] == ["second"]


def test_a_folder_that_cannot_be_written_is_told_and_the_others_are_looked_at(shop: World, monkeypatch: pytest.MonkeyPatch):
    # Root too is refused below a file.
    (shop.folder / "home").rmdir()
    (shop.folder / "home").write_text("in the way")
    shop.configure("alert_methods: [file, console]\n")
    found = examine(shop, code=1)
    failed = find_failed(found)
    assert set(failed) == {"warehouse duckdb: connect", "model store local: publish", "channel file: connect"}
    assert "set ANOMFLOW_HOME" in failed["warehouse duckdb: connect"]
    assert found["channel console"]["connect"]["state"] == "ok"


def test_a_schema_that_takes_no_tables_lacks_the_right(shop: World):
    path = shop.folder / "metrics" / "shop" / "shop.yaml"
    shop.configure()
    path.write_text(path.read_text().replace("table_key: metrics", "table_key: nowhere.metrics"))
    failed = find_failed(examine(shop, code=1))
    assert list(failed) == ["warehouse duckdb, schema nowhere: create table"]
    assert "Grant this user the right" in failed["warehouse duckdb, schema nowhere: create table"]


def test_a_database_that_another_holds_ends_at_the_time_limit(shop: World):
    shop.configure()
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(shop.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        found = examine(shop, "--timeout", "1", code=1)
        holder.communicate()
    assert "did not end within 1 s" in find_failed(found)["warehouse duckdb: connect"]
    assert found["model store local"]["delete"]["state"] == "ok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def mail(shop: World, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailReceiver]:
    """A mail server that asks for a login, and a batch that sends by it."""
    shop.configure("alert_methods: [email]\n")
    with run_receiver("starttls", certificate, MailReceiver()) as receiver:
        values = {"host": "127.0.0.1", "port": receiver.port, "username": USER, "password": PASSWORD, "ca_file": certificate}
        set_channel(monkeypatch, "EMAIL", **values, sender="a@example.com", recipients="b@example.com")
        yield receiver


def test_a_mail_server_is_logged_in_to_and_gets_no_mail(shop: World, mail: MailReceiver):
    assert "takes the login (starttls)" in examine(shop)["channel email"]["connect"]["detail"]
    assert mail.received == []


def test_a_test_mail_is_sent_where_asked_for_and_marked(shop: World, mail: MailReceiver):
    assert examine(shop, "--send-test")["channel email"]["send test"]["detail"] == "the channel accepted a test message"
    (received,) = mail.received
    assert received.mail["Subject"] == "[TEST] Anomflow can reach this channel"
    body = received.mail.get_body(("plain",))
    assert body is not None
    assert "Nothing is wrong with a metric" in " ".join(body.get_content().split())


def test_a_test_message_to_the_console_leaves_json_alone(shop: World):
    shop.configure("alert_methods: [console]\n")
    result = invoke(shop, "--json", "doctor", "--send-test")
    assert json.loads(result.stdout)["ok"]
    assert "[TEST] Anomflow can reach this channel" in result.stderr


def test_a_wrong_password_is_told_and_never_shown(shop: World, mail: MailReceiver, monkeypatch: pytest.MonkeyPatch):
    set_channel(monkeypatch, "EMAIL", password="wr0ng-Pa55")
    found = examine(shop, "--send-test", code=1)
    assert "Check username and password" in found["channel email"]["connect"]["detail"]
    assert list(found["channel email"]) == ["connect"]
    assert "wr0ng-Pa55" not in str(found)


@pytest.mark.parametrize("listening", [True, False])
def test_a_mail_server_that_says_nothing_does_not_hold_the_others_up(shop: World, monkeypatch: pytest.MonkeyPatch, listening: bool):
    shop.configure("alert_methods: [email, console]\n")
    with run_silent_server() as silent:
        port = silent if listening else find_free_port()
        set_channel(monkeypatch, "EMAIL", host="127.0.0.1", port=port, sender="a@b.org", recipients="a@b.org", timeout_seconds=2)
        found = examine(shop, "--timeout", "1", code=1)
    ((name, detail),) = find_failed(found).items()
    assert name == "channel email: connect"
    assert ("did not end within 1 s" if listening else "See whether it is up and this machine may reach it") in detail
    assert found["channel console"]["connect"]["state"] == "ok"


@pytest.fixture
def slack(shop: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackReceiver]:
    shop.configure("alert_methods: [slack]\n")
    with run_slack() as receiver:
        set_channel(monkeypatch, "SLACK", token=TOKEN, channel="#alerts", base_url=receiver.base_url)
        yield receiver


def test_slack_is_asked_whom_the_token_belongs_to(shop: World, slack: SlackReceiver):
    assert "knows the token as anomflow of Shop" in examine(shop)["channel slack"]["connect"]["detail"]
    assert slack.calls == ["auth.test"]


def test_a_test_message_is_posted_to_slack_where_asked_for(shop: World, slack: SlackReceiver):
    assert examine(shop, "--send-test")["channel slack"]["send test"]["state"] == "ok"
    (message,) = slack.messages
    assert message["text"] == "[TEST] Anomflow can reach this channel"


def test_a_test_message_says_that_it_is_one_and_names_no_command_that_leads_nowhere(
    shop: World, mail: MailReceiver, slack: SlackReceiver, monkeypatch: pytest.MonkeyPatch
):
    shop.configure(f"alert_methods: [{', '.join([*CASES, 'email', 'slack', 'file', 'console'])}]\n")
    with run_services(CASES, monkeypatch.setenv) as services:
        told = invoke(shop, "--json", "doctor", "--send-test")
        said = {name: posted.text for name, receiver in services.items() for posted in receiver.accepted}
    assert told.exit_code == 0, told.output
    (received,), (posted,) = mail.received, slack.messages
    said |= {f"email {part.get_content_type()}": part.get_content() for part in received.mail.walk() if not part.is_multipart()}
    said |= {"slack": json.dumps(posted), "console": told.stderr}
    said |= {path.suffix: path.read_text() for path in (shop.folder / "home" / "messages").iterdir()}
    assert said.keys() == {*CASES, "email text/plain", "email text/html", "slack", "console", ".eml", ".json"}
    for name, text in said.items():
        words = " ".join(text.replace("=\n", "").split())
        assert "TEST" in words, name
        assert "Nothing is wrong with a metric" in words, name
        assert not re.search("anomflow (explain|feedback)|explain it|false alarm", words, re.IGNORECASE), name
    assert json.loads(said["webhook"])["alerts"][0]["explain"] is None


def test_a_wrong_token_is_told_with_what_to_do(shop: World, slack: SlackReceiver, monkeypatch: pytest.MonkeyPatch):
    set_channel(monkeypatch, "SLACK", token="xoxb-wr0ng-Pa55")
    found = examine(shop, code=1)
    assert "invalid_auth. Check the bot token" in found["channel slack"]["connect"]["detail"]
    assert "wr0ng-Pa55" not in str(found)


def test_a_webhook_is_tried_by_a_message_only(shop: World, slack: SlackReceiver, monkeypatch: pytest.MonkeyPatch):
    for name in ("TOKEN", "CHANNEL"):
        monkeypatch.delenv(f"ANOMFLOW_SLACK_{name}")
    set_channel(monkeypatch, "SLACK", webhook_url=slack.webhook_url)
    assert "only a message can tell" in examine(shop)["channel slack"]["connect"]["detail"]
    assert slack.calls == []
    assert examine(shop, "--send-test")["channel slack"]["send test"]["state"] == "ok"


def test_a_missing_variable_of_a_channel_is_named(shop: World):
    shop.configure("alert_methods: [email]\n")
    assert "needs ANOMFLOW_EMAIL_HOST" in find_failed(examine(shop, code=1))["channel email: connect"]


INGEST = "db: duckdb\ningest_fn: |\n  import {module}\n  def ingest():\n      raise RuntimeError('never called')\n"


@pytest.mark.parametrize(("module", "code"), [("json", 0), ("no_such_module", 1)])
def test_the_function_of_a_batch_is_imported_and_not_called(shop: World, module: str, code: int):
    path = shop.folder / "metrics" / "shop" / "shop.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"metric_batch: shop\n{INGEST.format(module=module)}")
    check = examine(shop, code=code)["batch shop"]["ingest_fn"]
    assert ("No module named 'no_such_module'" in check["detail"]) is bool(code)
    assert "never called" not in check["detail"]


def test_a_broken_batch_file_is_told_and_its_neighbour_looked_at(shop: World):
    shop.configure()
    shop.configure("shards: many\n", batch="wrong")
    found = examine(shop, code=1)
    assert "wrong.yaml:4: shards" in find_failed(found)["batch wrong: settings"]
    assert found["warehouse duckdb"]["delete"]["state"] == "ok"


def test_a_batch_that_is_switched_off_needs_nothing(shop: World):
    shop.configure("disable_batch: true\nalert_methods: [email]\n")
    assert list(examine(shop)) == ["prefect", "machine"]


def test_people_see_a_table_and_what_to_do(shop: World):
    shop.configure("alert_methods: [email]\n")
    result = invoke(shop, "doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["subject", "check", "state", "seconds", "found"]
    assert lines[-2].startswith("failed: channel email: connect: ")
    assert lines[-2].endswith("(needed by shop)")
    assert lines[-1].endswith(" ok, 0 warning, 1 failed")


def test_the_page_shows_what_one_gets(shop: World):
    shop.configure()
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "blocks.md").read_text(encoding="utf-8")
    shown = re.search(r"\$ anomflow doctor\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    found = invoke(shop, "doctor", "shop").stdout
    assert read_lines(found) == read_lines(shown[1])


def read_lines(text: str) -> list[str]:
    """Return the lines about the batch; an API may run here already."""
    return [forget(line) for line in text.splitlines() if not line.startswith("prefect") and " ok, " not in line]


def forget(line: str) -> str:
    """Leave out of a line what differs from run to run: seconds, folders, how far clocks differ."""
    return " ".join(re.sub(r"\d+\.\d+|[^\s:]*/home\b|\.anomflow|(ahead of|behind)", "", line).split())


def test_a_batch_that_there_is_not_is_wrong_usage(shop: World):
    shop.configure()
    assert invoke(shop, "doctor", "shpo").exit_code == 2
