from __future__ import annotations

import io
import logging
import socket
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from mail_receiver import PASSWORD, USER, MailReceiver, run_receiver, run_silent_server, write_certificate
from message_samples import HOSTILE, MESSAGE_ID, make_hostile_message, make_message
from PIL import Image
from pydantic import ValidationError

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError, SettingsError
from blocks.notifiers.email import EmailNotifier
from tests.services.service import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

    from anomflow.messages import Message

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),  # it knows STARTTLS only, not TLS
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("pki") / "server.pem")


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.fixture
def plain(certificate: Path) -> Iterator[MailReceiver]:
    with run_receiver("none", certificate, MailReceiver()) as receiver:
        yield receiver


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[MailReceiver]:
    with run_receiver("starttls", certificate, MailReceiver()) as receiver:
        yield receiver


def build_channel(port: int, **changes: Any) -> EmailNotifier:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": USER,
        "recipients": "ops@example.com",
        "timeout_seconds": 10,
    }
    return EmailNotifier(**{**settings, **changes})


def build_login(port: int, certificate: Path, **changes: Any) -> EmailNotifier:
    return build_channel(port, **{"security": "starttls", "username": USER, "password": PASSWORD, "ca_file": str(certificate), **changes})


def read_part(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("security", ["starttls", "ssl", "none"])
def test_a_message_arrives_over_every_kind_of_connection(security: str, certificate: Path, message: Message) -> None:
    with run_receiver(security, certificate, MailReceiver()) as receiver:
        login = {} if security == "none" else {"username": USER, "password": PASSWORD, "ca_file": str(certificate)}
        build_channel(receiver.port, security=security, **login).send(message)
    (arrived,) = receiver.received
    assert arrived.over_tls is (security != "none")
    assert arrived.logged_in is (security != "none")
    assert arrived.mail["Subject"] == message.subject


def test_a_mail_has_alternatives_with_the_chart_inside_the_html(plain: MailReceiver, message: Message) -> None:
    build_channel(plain.port).send(message)
    mail = plain.received[0].mail
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "multipart/related"]
    assert [part.get_content_type() for part in list(mail.iter_parts())[1].iter_parts()] == ["text/html", "image/png"]
    picture = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    assert f"cid:{picture['Content-ID'].strip('<>')}" in read_part(mail, "html")
    assert picture.get_content_disposition() == "inline"
    colours = Image.open(io.BytesIO(picture.get_content())).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 10


def test_the_plain_part_has_the_facts_and_a_sparkline_in_ascii(plain: MailReceiver, message: Message) -> None:
    build_channel(plain.port).send(message)
    text = read_part(plain.received[0].mail, "plain")
    assert text.isascii()
    assert any(set(line.strip()) <= set("_.-:=+*#") and len(line.strip()) > 40 for line in text.splitlines())
    assert "about 1 in 30,000 points" in text
    assert "anomflow explain checkout orders 2026-11-20T10:00:00Z" in text


def test_a_mail_keeps_its_id_and_date_when_it_is_sent_again(plain: MailReceiver, message: Message) -> None:
    channel = build_channel(plain.port)
    channel.send(message)
    channel.send(message)
    first, second = (received.mail for received in plain.received)
    assert first["Message-ID"] == second["Message-ID"] == f"<{MESSAGE_ID}@anomflow.invalid>"
    assert parsedate_to_datetime(first["Date"]) == message.created
    assert plain.received[0].content == plain.received[1].content


@pytest.mark.parametrize("recipients", ["a@example.com, Ops Team <b@example.com>", ["a@example.com", "Ops Team <b@example.com>"]])
def test_every_recipient_gets_the_mail(recipients: object, plain: MailReceiver, message: Message) -> None:
    build_channel(plain.port, recipients=recipients).send(message)
    assert plain.received[0].recipients == ["a@example.com", "b@example.com"]
    assert plain.received[0].mail["To"] == "a@example.com, Ops Team <b@example.com>"


def test_one_refused_recipient_is_named_and_the_others_get_the_mail(plain: MailReceiver, message: Message) -> None:
    plain.refused = {"gone@example.com": "550 no such user"}
    note = build_channel(plain.port, recipients="gone@example.com,ops@example.com").send(message)
    assert plain.received[0].recipients == ["ops@example.com"]
    assert note == "accepted, but not for gone@example.com: 550 no such user"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"refused": {"ops@example.com": "550 no such user"}}, RefusedDeliveryError, "ops@example.com: 550 no such user"),
        ({"refused": {"ops@example.com": "450 greylisted"}}, RetryableDeliveryError, "450 greylisted"),
        ({"refused": {"ops@example.com": "421 too busy"}}, RetryableDeliveryError, "421 too busy"),
        ({"sender_answer": "553 not your address"}, RefusedDeliveryError, "553 not your address"),
        ({"sender_answer": "451 try later"}, RetryableDeliveryError, "451 try later"),
        ({"data_answers": ["554 looks like spam"]}, RefusedDeliveryError, "554 looks like spam"),
        ({"data_answers": ["452 disk full"]}, RetryableDeliveryError, "452 disk full"),
        ({"data_answers": ["421 closing"]}, RetryableDeliveryError, "421 closing"),
    ],
)
def test_an_answer_of_the_server_tells_whether_to_try_again(
    settings: dict[str, Any], error: type[Exception], said: str, certificate: Path, message: Message
) -> None:
    with run_receiver("none", certificate, MailReceiver(**settings)) as receiver, pytest.raises(error, match=said):
        build_channel(receiver.port).send(message)
    assert receiver.received == []


def test_a_mail_that_is_put_off_arrives_at_the_next_attempt(plain: MailReceiver, message: Message) -> None:
    plain.data_answers = ["451 busy"]
    channel = build_channel(plain.port)
    with pytest.raises(RetryableDeliveryError):
        channel.send(message)
    channel.send(message)
    assert len(plain.received) == 1


def test_a_server_that_is_down_is_worth_another_attempt(message: Message) -> None:
    port = find_free_port()
    with pytest.raises(RetryableDeliveryError, match=rf"127\.0\.0\.1:{port}.*refused"):
        build_channel(port).send(message)


def test_a_silent_server_ends_in_time(message: Message) -> None:
    with run_silent_server() as port, pytest.raises(RetryableDeliveryError, match="timed out"):
        build_channel(port, timeout_seconds=0.3).send(message)


def test_a_server_that_falls_silent_after_the_mail_may_have_taken_it(plain: MailReceiver, message: Message) -> None:
    plain.is_mute_after_data = True
    with pytest.raises(RetryableDeliveryError):
        build_channel(plain.port, timeout_seconds=1).send(message)
    assert plain.received[0].mail["Message-ID"] == f"<{MESSAGE_ID}@anomflow.invalid>"


def test_a_wrong_password_is_refused_and_shown_nowhere(
    encrypted: MailReceiver, certificate: Path, message: Message, caplog: pytest.LogCaptureFixture
) -> None:
    channel = build_login(encrypted.port, certificate, password="wrong-Pa55word")
    with caplog.at_level(logging.DEBUG), pytest.raises(RefusedDeliveryError, match=r"535.*Check username and password") as caught:
        channel.send(message)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "wrong-Pa55word" not in f"{caught.value}{channel!r}{channel}{caplog.text}"
    assert encrypted.received == []


@pytest.mark.parametrize("repeated", ["wrong-Pa55word", "d3JvbmctUGE1NXdvcmQ="])
def test_a_password_that_the_server_repeats_is_hidden(repeated: str, certificate: Path, message: Message) -> None:
    receiver = MailReceiver(auth_answer=f"535 {repeated} is wrong")
    with run_receiver("starttls", certificate, receiver), pytest.raises(RefusedDeliveryError) as caught:
        build_login(receiver.port, certificate, password="wrong-Pa55word").send(message)
    assert "535" in str(caught.value)
    assert repeated not in str(caught.value)


def test_a_login_that_fails_for_now_is_worth_another_attempt(certificate: Path, message: Message) -> None:
    receiver = MailReceiver(auth_answer="454 directory is down")
    with run_receiver("starttls", certificate, receiver), pytest.raises(RetryableDeliveryError, match="454 directory is down"):
        build_login(receiver.port, certificate).send(message)


def test_a_connection_that_cannot_be_encrypted_carries_no_mail(plain: MailReceiver, message: Message) -> None:
    with pytest.raises(RefusedDeliveryError, match="Check security"):
        build_channel(plain.port, security="starttls").send(message)
    assert plain.received == []


def test_a_certificate_is_checked_unless_told_not_to(encrypted: MailReceiver, certificate: Path, message: Message) -> None:
    with pytest.raises(RetryableDeliveryError, match="certificate verify failed"):
        build_login(encrypted.port, certificate, ca_file=None).send(message)
    build_login(encrypted.port, certificate, ca_file=None, verify=False).send(message)
    assert len(encrypted.received) == 1


def test_a_name_with_newlines_adds_no_header(plain: MailReceiver) -> None:
    build_channel(plain.port).send(make_hostile_message())
    mail = plain.received[0].mail
    assert mail["Bcc"] is None
    assert plain.received[0].recipients == ["ops@example.com"]
    assert mail.defects == []
    html, text = read_part(mail, "html"), read_part(mail, "plain")
    assert "<script>" not in html
    assert HOSTILE not in text
    assert not {"\u202e", "\x00", "\x1b", "\u2028"} & set(html + text + mail["Subject"])


ENVIRONMENT = {
    "ANOMFLOW_EMAIL_HOST": "smtp.example.com",
    "ANOMFLOW_EMAIL_SENDER": "a@example.com",
    "ANOMFLOW_EMAIL_RECIPIENTS": "b@example.com, c@example.com",
    "ANOMFLOW_EMAIL_PASSWORD": PASSWORD,
}


def test_settings_come_from_the_environment() -> None:
    extra = {"ANOMFLOW_EMAIL_PORT": "2525", "ANOMFLOW_EMAIL_VERIFY": "false", "ANOMFLOW_EMAIL_TIMEOUT_SECONDS": "7.5", "HOME": "/"}
    channel = EmailNotifier.from_environment({**ENVIRONMENT, **extra})
    assert (channel.host, channel.port, channel.verify, channel.security) == ("smtp.example.com", 2525, False, "starttls")
    assert channel.recipients == ["b@example.com", "c@example.com"]
    assert channel.send_seconds == 15
    assert PASSWORD not in repr(channel)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"ANOMFLOW_EMAIL_HOST": "", "ANOMFLOW_EMAIL_SENDER": ""}, ["ANOMFLOW_EMAIL_HOST", "ANOMFLOW_EMAIL_SENDER"]),
        ({"ANOMFLOW_EMAIL_PORT": "none", "ANOMFLOW_EMAIL_SECURITY": "tls"}, ["ANOMFLOW_EMAIL_PORT", "ANOMFLOW_EMAIL_SECURITY"]),
        ({"ANOMFLOW_EMAIL_RECIPIENTS": "ops@example.com, nobody"}, ["ANOMFLOW_EMAIL_RECIPIENTS", "'nobody' is not a mail address"]),
        ({"ANOMFLOW_EMAIL_SENDER": "a@example.com\nBcc: x@evil.test"}, ["ANOMFLOW_EMAIL_SENDER"]),
        ({"ANOMFLOW_EMAIL_RECIPIENTS": " , "}, ["ANOMFLOW_EMAIL_RECIPIENTS"]),
    ],
)
def test_wrong_variables_are_all_named(changes: dict[str, str], names: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        EmailNotifier.from_environment({**ENVIRONMENT, **changes})
    assert [name for name in names if name not in str(caught.value)] == []
    assert PASSWORD not in str(caught.value)


def test_no_socket_is_left_open(message: Message) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(RetryableDeliveryError):
            build_channel(listener.getsockname()[1], timeout_seconds=0.2).send(message)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            assert connection.recv(1) == b""


def test_a_wrong_field_does_not_quote_the_password() -> None:
    with pytest.raises(ValidationError) as caught:
        EmailNotifier(username="ann", password="wrong-Pa55word", sender="a@example.com")  # type: ignore[call-arg]
    assert "wrong-Pa55word" not in str(caught.value)
