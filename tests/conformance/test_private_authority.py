"""Channels whose servers have a certificate of a private authority: believed where it is named, refused in clear words where not."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from http_channels import CASES
from http_receiver import run_http
from mail_receiver import PASSWORD, USER, MailReceiver, run_receiver
from message_samples import make_message
from private_authority import Authority, write_authority
from slack_receiver import CHANNEL_ID, TOKEN, run_slack

from anomflow.errors import RetryableDeliveryError
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.slack import SlackNotifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from anomflow.messages import Message
    from anomflow.protocols import Notifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),  # it knows STARTTLS only, not TLS
]


@dataclass
class Place:
    """How to build a channel to a server over TLS with further settings, and how many messages the server took."""

    build: Callable[..., Notifier]
    count: Callable[[], int]


def build_context(pki: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server)
    return context


@contextlib.contextmanager
def open_http(name: str, pki: Authority) -> Iterator[Place]:
    case = CASES[name]
    with run_http(case.good, build_context(pki)) as receiver:
        encrypted = {key: value.replace("http:", "https:") for key, value in case.build_settings(receiver.url).items() if "url" in key}
        yield Place(partial(case.build, receiver, **encrypted), lambda: len(receiver.accepted))


@contextlib.contextmanager
def open_slack(pki: Authority) -> Iterator[Place]:
    with run_slack(build_context(pki)) as receiver:
        url = receiver.base_url.replace("http:", "https:")
        yield Place(partial(SlackNotifier, token=TOKEN, channel=CHANNEL_ID, base_url=url), lambda: len(receiver.messages))


@contextlib.contextmanager
def open_email(security: str, pki: Authority) -> Iterator[Place]:
    login: dict[str, Any] = {"username": USER, "password": PASSWORD, "sender": USER, "recipients": "ops@example.com"}
    with run_receiver(security, pki.server, MailReceiver()) as receiver:
        build = partial(EmailNotifier, host="127.0.0.1", port=receiver.port, security=security, **login)
        yield Place(build, lambda: sum(mail.over_tls and mail.logged_in for mail in receiver.received))


OPEN = {
    "email-ssl": partial(open_email, "ssl"),
    "email-starttls": partial(open_email, "starttls"),
    "slack": open_slack,
    **{name: partial(open_http, name) for name in CASES},
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return write_authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def message() -> Message:
    return make_message()


@pytest.mark.parametrize("name", sorted(OPEN))
def test_a_private_authority_is_believed_only_where_it_is_named(
    name: str, pki: Authority, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OPEN[name](pki) as place:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        with pytest.raises(RetryableDeliveryError, match=r"certificate verify failed.*ca_file or in the variable SSL_CERT_FILE"):
            place.build().send(message)
        assert place.count() == 0
        place.build(ca_file=str(pki.authority)).send(message)
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.authority))
        place.build().send(message)
        assert place.count() == 2
