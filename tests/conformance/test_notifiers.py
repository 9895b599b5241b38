"""What every channel must do, run over each one that the package has."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from http_channels import CASES, SECRET
from http_receiver import HttpReceiver, run_http
from mail_receiver import PASSWORD, USER, MailReceiver, run_receiver, write_certificate
from message_samples import HOSTILE, make_hostile_message, make_message
from pydantic import SecretStr
from slack_receiver import CHANNEL_ID, TOKEN, run_slack

from anomflow.errors import RetryableDeliveryError
from blocks import notifiers
from blocks.discovery import find_kinds
from blocks.notifiers.console import ConsoleNotifier
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.file import FileNotifier
from blocks.notifiers.slack import SlackNotifier
from tests.services.service import find_free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anomflow.messages import Message
    from anomflow.protocols import Notifier

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")


@dataclass
class Case:
    """A channel that works, what has come out at its other end, and the same channel when the other end is gone."""

    channel: Notifier
    read: Callable[[], str]
    broken: Notifier


@contextlib.contextmanager
def open_file(tmp_path: Path) -> Iterator[Case]:
    (tmp_path / "file").touch()
    folder = tmp_path / "messages"
    yield Case(
        FileNotifier(folder=str(folder)),
        lambda: "".join(path.read_text() for path in sorted(folder.glob("*.eml"))),
        FileNotifier(folder=str(tmp_path / "file")),
    )


class Terminal(io.StringIO):
    """Standard output while a message is sent: pytest puts its own in place for each phase of a test."""

    send_seconds = ConsoleNotifier().send_seconds

    def send(self, message: Message) -> None:
        with contextlib.redirect_stdout(self):
            ConsoleNotifier().send(message)


@contextlib.contextmanager
def open_console(tmp_path: Path) -> Iterator[Case]:
    terminal, closed = Terminal(), Terminal()
    closed.close()
    yield Case(terminal, terminal.getvalue, closed)


def build_mail_channel(port: int, certificate: Path) -> EmailNotifier:
    return EmailNotifier(
        host="127.0.0.1",
        port=port,
        username=USER,
        password=SecretStr(PASSWORD),
        sender=USER,
        recipients=["ops@example.com"],
        ca_file=str(certificate),
        timeout_seconds=10,
    )


@contextlib.contextmanager
def open_email(tmp_path: Path) -> Iterator[Case]:
    certificate = write_certificate(tmp_path / "server.pem")
    with run_receiver("starttls", certificate, MailReceiver()) as receiver:
        yield Case(
            build_mail_channel(receiver.port, certificate),
            lambda: "".join(received.content.decode() for received in receiver.received),
            build_mail_channel(find_free_port(), certificate),
        )


def build_slack_channel(base_url: str) -> SlackNotifier:
    return SlackNotifier(token=SecretStr(TOKEN), channel=CHANNEL_ID, base_url=base_url, timeout_seconds=10)


@contextlib.contextmanager
def open_slack(tmp_path: Path) -> Iterator[Case]:
    with run_slack() as receiver:
        yield Case(
            build_slack_channel(receiver.base_url),
            lambda: "\n".join(receiver.texts),
            build_slack_channel(f"http://127.0.0.1:{find_free_port()}/"),
        )


@contextlib.contextmanager
def open_http(name: str, _tmp_path: Path) -> Iterator[Case]:
    case = CASES[name]
    with run_http(case.good) as receiver:
        yield Case(
            case.build(receiver),
            lambda: "\n".join(posted.text for posted in receiver.accepted),
            case.build(HttpReceiver(case.good, port=find_free_port())),
        )


OPEN = {
    "console": open_console,
    "email": open_email,
    "file": open_file,
    "slack": open_slack,
    **{name: functools.partial(open_http, name) for name in CASES},
}


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.fixture(params=sorted(OPEN))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    with OPEN[request.param](tmp_path) as opened:
        yield opened


def test_every_channel_is_tested() -> None:
    assert sorted(find_kinds(notifiers)) == sorted(OPEN)


def test_a_message_comes_out_with_its_facts_and_no_secret_in_a_log(case: Case, message: Message, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        case.channel.send(message)
    assert [secret for secret in (PASSWORD, TOKEN, SECRET) if secret in caplog.text] == []
    arrived = case.read()
    assert "about 1 in 30,000 points" in arrived
    assert "anomflow explain checkout orders 2026-11-20T10:00:00Z" in arrived


def test_nothing_comes_out_before_it_is_sent(case: Case) -> None:
    assert case.read() == ""


def test_sending_again_is_no_error(case: Case, message: Message) -> None:
    case.channel.send(message)
    case.channel.send(message)
    assert "orders is low" in case.read()


def test_hostile_names_do_no_harm(case: Case) -> None:
    case.channel.send(make_hostile_message())
    arrived = case.read()
    assert HOSTILE not in arrived
    assert not {"\u202e", "\x00", "\x1b"} & set(arrived)
    assert "\nBcc:" not in arrived


def test_a_channel_that_is_gone_is_worth_another_attempt(case: Case, message: Message) -> None:
    with pytest.raises(RetryableDeliveryError) as caught:
        case.broken.send(message)
    shown = f"{caught.value!r} {case.broken!r}"
    assert [secret for secret in (PASSWORD, TOKEN, SECRET) if secret in shown] == []


def test_a_channel_bounds_how_long_it_takes(case: Case) -> None:
    assert 0 < case.channel.send_seconds <= 1200


def test_importing_the_channels_imports_no_drivers() -> None:
    code = "import sys, blocks.notifiers; print(sorted({'prefect', 'altair', 'vl_convert'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
