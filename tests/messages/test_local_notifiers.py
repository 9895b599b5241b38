from __future__ import annotations

import contextlib
import email
import io
import json
from email.policy import default
from typing import TYPE_CHECKING

import pytest
from message_samples import MESSAGE_ID, make_message

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError, SettingsError
from blocks import notifiers
from blocks.discovery import find_kinds
from blocks.notifiers.console import ConsoleNotifier
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.file import FileNotifier
from blocks.notifiers.loading import load_notifier
from blocks.notifiers.slack import SlackNotifier

if TYPE_CHECKING:
    from pathlib import Path

    from anomflow.messages import Message

NAMES = [f"{MESSAGE_ID}.eml", f"{MESSAGE_ID}.json"]


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


def test_a_message_in_a_folder_is_a_mail_and_its_facts(tmp_path: Path, message: Message) -> None:
    FileNotifier(folder=str(tmp_path / "new" / "messages")).send(message)
    folder = tmp_path / "new" / "messages"
    mail = email.message_from_bytes((folder / NAMES[0]).read_bytes(), policy=default)
    facts = json.loads((folder / NAMES[1]).read_text())
    assert mail["Subject"] == facts["subject"] == message.subject
    assert [part.get_content_type() for part in mail.walk() if part.get_content_maintype() == "image"] == ["image/png"]
    assert (facts["channel"], facts["text"]) == ("file", message.text)
    assert facts["facts"][0]["metric_name"] == "orders"


def test_the_same_message_twice_leaves_one_pair_with_the_same_bytes(tmp_path: Path, message: Message) -> None:
    channel = FileNotifier(folder=str(tmp_path))
    channel.send(message)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    channel.send(message)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert sorted(first) == NAMES


def test_the_folder_lies_under_the_home_of_anomflow(tmp_path: Path, message: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path))
    FileNotifier().send(message)
    assert sorted(path.name for path in (tmp_path / "messages").iterdir()) == NAMES


def test_a_folder_that_takes_no_files_is_worth_another_attempt(tmp_path: Path, message: Message) -> None:
    (tmp_path / "messages").write_text("a file")
    with pytest.raises(RetryableDeliveryError, match=r"messages: .*Make the folder writable"):
        FileNotifier(folder=str(tmp_path / "messages")).send(message)
    (tmp_path / "half" / NAMES[1]).mkdir(parents=True)
    with pytest.raises(RetryableDeliveryError):
        FileNotifier(folder=str(tmp_path / "half")).send(message)
    assert sorted(path.name for path in (tmp_path / "half").iterdir()) == NAMES


@pytest.mark.parametrize("message_id", ["../evil", "a/b", "", ".", "a" * 300])
def test_an_id_that_is_no_file_name_leaves_the_folder_alone(message_id: str, tmp_path: Path) -> None:
    message = make_message(message_id=message_id)
    with pytest.raises(RefusedDeliveryError, match="no file name"):
        FileNotifier(folder=str(tmp_path / "messages")).send(message)
    assert list(tmp_path.iterdir()) == []


def test_the_console_shows_subject_and_text_as_they_are(message: Message, capsys: pytest.CaptureFixture[str]) -> None:
    ConsoleNotifier().send(message)
    shown = capsys.readouterr().out
    assert shown == f"\n{message.subject}\n{message.text}\n"


def test_a_console_of_ascii_gets_an_ascii_sparkline(message: Message) -> None:
    raw = io.BytesIO()
    with contextlib.redirect_stdout(io.TextIOWrapper(raw, encoding="ascii")) as shown:
        ConsoleNotifier().send(message)
    assert shown.encoding == "ascii"
    assert b"anomflow explain checkout orders" in raw.getvalue()
    assert b"?" not in raw.getvalue()


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    ConsoleNotifier().send(make_message(metric_batch="[red]x[/red]"))
    assert "[red]x[/red]" in capsys.readouterr().out


def test_names_of_channels_load_them(tmp_path: Path, message: Message) -> None:
    load_notifier("file", tmp_path, {}).send(message)
    assert sorted(path.name for path in (tmp_path / "messages").iterdir()) == NAMES
    assert isinstance(load_notifier("console", tmp_path, {}), ConsoleNotifier)
    environ = {"ANOMFLOW_EMAIL_HOST": "h", "ANOMFLOW_EMAIL_SENDER": "a@x.io", "ANOMFLOW_EMAIL_RECIPIENTS": "b@x.io"}
    assert isinstance(load_notifier("email", tmp_path, environ), EmailNotifier)


@pytest.mark.parametrize("name", ["pigeon", "", "slack-webhook/team", "File", "loading", "smtp"])
def test_an_unknown_channel_is_an_error_with_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="console, discord, email, file"):
        load_notifier(name, tmp_path, {})


def test_missing_mail_settings_name_their_variables(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_notifier("email", tmp_path, {})
    wanted = ["ANOMFLOW_EMAIL_HOST", "ANOMFLOW_EMAIL_SENDER", "ANOMFLOW_EMAIL_RECIPIENTS", "email/<block-name>"]
    assert [word for word in wanted if word not in str(caught.value)] == []
    assert len(caught.value.problems) == 3


def test_kinds_are_the_files_of_the_package() -> None:
    kinds = find_kinds(notifiers)
    assert [kinds[name] for name in ("console", "email", "file", "slack")] == [ConsoleNotifier, EmailNotifier, FileNotifier, SlackNotifier]
    assert sorted({*kinds} - {"console", "email", "file", "slack"}) == [
        "discord",
        "mattermost",
        "opsgenie",
        "pagerduty",
        "teams",
        "webhook",
    ]
