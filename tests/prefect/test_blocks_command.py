"""`anomflow blocks` at a real Prefect API: a file becomes saved blocks, once, and tells no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import Field, SecretStr

from anomflow.errors import BlockError, SettingsError
from anomflow.importing import translate_env
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.loading import load_notifier
from blocks.saved import load_saved
from blocks.warehouses.duckdb import DuckDBWarehouse
from tests.cli.commands_run import invoke, read
from tests.world import World

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("api")]
SECRET = "s3cret-Pa55"
MAIL = """\
email/{name}:
  host: mail.example.com
  port: ${{MAIL_PORT}}
  username: anomflow
  password: ${{MAIL_PASSWORD}}
  sender: anomflow@${{MAIL_DOMAIN}}
  recipients: ops@example.com, b@example.com
"""


class Vault(Block):
    """A block that other blocks refer to."""

    _block_type_slug = "test-vault"
    _description = "Holds a secret."
    key: SecretStr = Field(description="The secret.")
    info: dict[str, str] = Field(default={}, description="More.")


class Room(Block):
    """A block that refers to another one."""

    _block_type_slug = "test-room"
    _description = "Refers to a vault."
    vault: Vault = Field(description="The vault.")
    size: int = Field(default=1, description="How large.")


@pytest.fixture
def shop(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for name, value in {"MAIL_PORT": "2525", "MAIL_PASSWORD": SECRET, "MAIL_DOMAIN": "example.com"}.items():
        monkeypatch.setenv(name, value)
    return world


@pytest.fixture
def write(shop: World) -> Callable[[str], str]:
    def write_file(text: str) -> str:
        path = shop.folder / "team.yaml"
        path.write_text(text)
        return str(path)

    return write_file


def apply(shop: World, file: str, *words: str) -> list[tuple[str, str]]:
    found = read(shop, "blocks", "apply", file, *words)
    assert SECRET not in str(found)
    return [(block["ref"], block["action"]) for block in found["blocks"]]


def test_a_file_is_saved_once_and_again_only_where_it_changed(shop, write, monkeypatch):
    file = write(MAIL.format(name="night") + f"duckdb/night:\n  path: {shop.folder}/night.duckdb\n")
    created = [("email/night", "created"), ("duckdb/night", "created")]
    assert apply(shop, file, "--dry-run") == created
    with pytest.raises(ValueError, match="Unable to find"):
        EmailNotifier.load("night")
    assert apply(shop, file) == created
    assert apply(shop, file) == [("email/night", "unchanged"), ("duckdb/night", "unchanged")]
    monkeypatch.setenv("MAIL_PASSWORD", "an0ther-Pa55")
    (changed, _) = read(shop, "blocks", "apply", file, "--dry-run")["blocks"]
    assert changed == {"ref": "email/night", "action": "updated", "fields": ["password"]}
    assert EmailNotifier.load("night").password.get_secret_value() == SECRET
    assert apply(shop, file) == [("email/night", "updated"), ("duckdb/night", "unchanged")]
    saved = EmailNotifier.load("night")
    assert saved.password.get_secret_value() == "an0ther-Pa55"
    assert (saved.port, saved.sender, saved.recipients) == (2525, "anomflow@example.com", ["ops@example.com", "b@example.com"])
    assert DuckDBWarehouse.load("night").path == f"{shop.folder}/night.duckdb"


def test_people_read_names_of_fields_and_no_values(shop, write):
    result = invoke(shop, "blocks", "apply", write(MAIL.format(name="told")), "--dry-run")
    assert result.stdout.startswith("would be created: email/told (host, password, port, recipients, ")
    assert SECRET not in result.output
    assert "mail.example.com" not in result.output


def test_a_block_of_prefect_is_found_by_its_slug(shop, write):
    assert apply(shop, write("secret/token:\n  value: ${MAIL_PASSWORD}\n")) == [("secret/token", "created")]
    assert Secret.load("token").get() == SECRET
    assert apply(shop, write("secret/token:\n  value: ${MAIL_PASSWORD}\n")) == [("secret/token", "unchanged")]


def test_a_block_that_another_refers_to_is_saved_first(shop, write, monkeypatch):
    monkeypatch.setenv("INFO", '{"a": "b"}')
    file = write("test-room/r:\n  vault: test-vault/v\ntest-vault/v:\n  key: ${MAIL_PASSWORD}\n  info: ${INFO}\n")
    created = [("test-vault/v", "created"), ("test-room/r", "created")]
    assert apply(shop, file, "--dry-run") == created
    assert apply(shop, file) == created
    assert apply(shop, file) == [("test-vault/v", "unchanged"), ("test-room/r", "unchanged")]
    monkeypatch.setenv("MAIL_PASSWORD", "an0ther-Pa55")
    assert apply(shop, file, "--dry-run") == [("test-vault/v", "updated"), ("test-room/r", "unchanged")]
    assert apply(shop, file) == [("test-vault/v", "updated"), ("test-room/r", "unchanged")]
    room = Room.load("r")
    assert room.vault.key.get_secret_value() == "an0ther-Pa55"
    assert room.vault.info == {"a": "b"}
    # Also where the other one is saved and not in the file.
    assert apply(shop, write("test-room/r:\n  vault: test-vault/v\n  size: 2\n")) == [("test-room/r", "updated")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("email/x:\n  host: h\n  sender: a@b.org\n  recipients: a@b.org\n  password: pl4in-word\n", ":5: email/x: password is a secret"),
        ("email/x:\n  host: h\n  sender: a@b.org\n  recipients: ${NOT_SET}\n", ":4: email/x: recipients: the variable NOT_SET is not set"),
        ("email/x:\n  hots: h\n", ":2: email/x: hots is no field. Did you mean host?"),
        ("email/x:\n  host: h\n  sender: a@b.org\n", ":1: email/x: needs the field recipients"),
        ("emial/x:\n  host: h\n", ":1: emial/x: 'emial' is no kind of block here. Did you mean email? Kinds: bigquery, clickhouse, c"),
        ("email/Two Words:\n  host: h\n", ":1: 'email/Two Words' does not name a block"),
        ("email:\n  host: h\n", ":1: 'email' does not name a block"),
        ("slack/x:\n  token: ${MAIL_PASSWORD}\n", ":1: slack/x: a token needs channel"),
        ("slack/x:\n  webhook_url: ${MAIL_PASSWORD}\n", "webhook_url is no address"),
        ("slack/x:\n  base_url: https://u:pl4in-word@h/\n", ":2: slack/x: base_url: holds a password"),
        ("duckdb/x:\n  lock_timeout_seconds: ${MAIL_PASSWORD}\n", ":2: duckdb/x: lock_timeout_seconds: Input should be a valid number"),
        ("duckdb/x:\n  path: a${ b }c\n", "names no variable"),
        ("duckdb/x:\n  path: a\nanomflow-duckdb-warehouse/x: {}\n", ":3: anomflow-duckdb-warehouse/x: is the same block as"),
        ("s3-bucket/x:\n  bucket_name: b\n", ":1: s3-bucket/x: A block of kind s3-bucket needs the extra 'aws'"),
        ("test-room/x:\n  vault: test-vault/nobody\n", ":2: test-room/x: vault: there is no block test-vault/nobody"),
        ("test-room/x:\n  vault: {key: pl4in-word}\n", "the block itself as an entry of its own"),
        ("a: [\n", "not valid YAML"),
        ("", "holds no blocks"),
        ("email/x: 7\n", ":1: email/x is not a mapping"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(shop, write, text, told):
    result = invoke(shop, "blocks", "apply", write(text))
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.stderr.split())
    assert SECRET not in result.output
    assert "pl4in-word" not in result.output


def test_one_fault_saves_nothing_of_the_file(shop, write):
    assert invoke(shop, "blocks", "apply", write("file/never:\n  folder: a\nemail/x:\n  hots: h\n")).exit_code == 2
    assert "file/never" not in invoke(shop, "blocks", "list").stdout


def test_all_faults_of_all_blocks_are_told_at_once(shop, write):
    found = read(shop, "blocks", "apply", write("email/x:\n  hots: h\nslack/y:\n  tokn: ${A_B_C}\n"), code=2)
    assert sorted(problem["line"] for problem in found["problems"]) == [2, 4, 4]
    assert all(problem["where"].endswith("team.yaml") for problem in found["problems"])


def test_a_file_that_is_not_there_is_named(shop):
    assert "nowhere.yaml: cannot be read: No such file" in invoke(shop, "blocks", "apply", "nowhere.yaml").stderr


def test_the_list_tells_who_uses_what(shop, write):
    shop.configure("alert_methods: [email/listed, email/gone]\n")
    apply(shop, write(MAIL.format(name="listed")))
    rows = {row["ref"]: row for row in read(shop, "blocks", "list")["blocks"]}
    assert rows["email/listed"] == {"ref": "email/listed", "role": "channel", "state": "saved", "batches": ["shop"]}
    assert rows["email/gone"]["state"] == "missing"
    assert rows["duckdb"] == {"ref": "duckdb", "role": "warehouse", "state": "no block needed", "batches": ["shop"]}


def test_a_kind_alone_is_its_block_default_unless_variables_say_what_it_is(shop, monkeypatch):
    shop.configure("db: postgres\nmodel_path: s3-bucket\nalert_methods: [teams, pagerduty, console]\n")
    monkeypatch.setenv("ANOMFLOW_PAGERDUTY_ROUTING_KEY", SECRET)
    rows = {row["ref"]: row["state"] for row in read(shop, "blocks", "list")["blocks"] if row["batches"]}
    missing = {"postgres/default", "s3-bucket/default", "teams/default"}
    assert rows == dict.fromkeys(missing, "missing") | {"pagerduty": "no block needed", "console": "no block needed"}
    checks = {row["subject"]: row for row in read(shop, "blocks", "check", code=1)["checks"] if row["batches"]}
    assert {subject for subject, row in checks.items() if row["state"] == "failed"} == missing
    assert "ANOMFLOW_TEAMS_... in the environment" in checks["teams/default"]["detail"]
    monkeypatch.setenv("ANOMFLOW_POSTGRES_URI", "postgresql://localhost/shop")
    assert "postgres" in {row["ref"] for row in read(shop, "blocks", "list")["blocks"]}


def test_a_check_loads_each_block_and_says_what_is_missing(shop, write):
    shop.configure("alert_methods: [email/checked, email/lost]\n")
    apply(shop, write(MAIL.format(name="checked")))
    found = {row["subject"]: row for row in read(shop, "blocks", "check", code=1)["checks"]}
    assert found["email/checked"]["state"] == "ok"
    assert found["email/lost"]["state"] == "failed"
    assert "there is no block email/lost" in found["email/lost"]["detail"]
    assert found["email/lost"]["batches"] == ["shop"]
    assert read(shop, "blocks", "check", "email/checked")["ok"]
    assert invoke(shop, "blocks", "check", "checked").exit_code == 2


def test_a_block_of_an_older_form_is_told_without_its_values(shop, write):
    class Older(Block):
        _block_type_slug = "test-older"
        key: str

    Older(key=SECRET).save("o")

    with pytest.warns(UserWarning, match="matches existing registered type"):

        class Newer(Block):
            _block_type_slug = "test-older"
            key: int
            more: str

    with pytest.raises(
        BlockError, match=r"block test-older/o does not fit its type: key: Input should be a valid .*; more: Field"
    ) as caught:
        load_saved(Newer, "o")
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_file_of_an_import_is_taken(shop, write, monkeypatch):
    theirs = {
        "ANOMSTACK_ALERT_EMAIL_FROM": "a@example.com",
        "ANOMSTACK_ALERT_EMAIL_TO": "b@example.com,c@example.com",
        "ANOMSTACK_ALERT_EMAIL_SMTP_HOST": "mail.example.com",
        "ANOMSTACK_ALERT_EMAIL_PASSWORD": SECRET,
    }
    blocks = translate_env(theirs, {}).blocks
    values = {
        "SENDER": "a@example.com",
        "USERNAME": "a@example.com",
        "RECIPIENTS": "b@example.com,c@example.com",
        "HOST": "mail.example.com",
    }
    for name, value in {**values, "PASSWORD": SECRET}.items():
        monkeypatch.setenv(f"ANOMFLOW_EMAIL_{name}", value)
    assert apply(shop, write(blocks)) == [("email/default", "created")]
    for name in (*values, "PASSWORD"):
        monkeypatch.delenv(f"ANOMFLOW_EMAIL_{name}")
    # The block that it makes is what the channel `email` means from now on, unless variables say something else.
    assert load_notifier("email", shop.folder, os.environ).recipients == ["b@example.com", "c@example.com"]
    with pytest.raises(SettingsError, match="ANOMFLOW_EMAIL_SENDER"):
        load_notifier("email", shop.folder, {"ANOMFLOW_EMAIL_HOST": "h"})
    assert EmailNotifier.load("default").recipients == ["b@example.com", "c@example.com"]
    EmailNotifier.delete("default")


def test_the_file_of_the_page_is_taken(shop, write, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "blocks.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"<!-- tested: blocks.yaml -->\n```yaml\n(.*?)```", page, re.DOTALL)
    for name in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(name, SECRET)
    # Others save blocks of these names at the same API.
    assert [ref for ref, _ in apply(shop, write(text), "--dry-run")] == ["email/oncall", "slack/payments", "duckdb/prod"]


def test_a_server_that_does_not_answer_is_no_reason_to_save_elsewhere(shop, write):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        result = invoke(shop, "blocks", "apply", write(MAIL.format(name="away")))
    assert result.exit_code == 1
    assert "the Prefect server at http://127.0.0.1:9/api does not answer" in result.stderr
    assert Path(shop.folder / "home").is_dir()
