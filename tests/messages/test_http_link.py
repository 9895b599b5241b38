from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mail_receiver import write_certificate
from slack_receiver import Reply, run_slack

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from blocks.notifiers.http import HttpLink, Request, parse_retry_after

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0.5", 0.5),
        (".", None),
        ("Fri, 20 Nov 2026 10:01:00 GMT", 60.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 10:01:00 -0000", 60.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("", None),
    ],
)
def test_a_server_asks_to_wait_in_seconds_or_until_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "http://[::1", "nothing"])
def test_an_address_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(RefusedDeliveryError, match="Check the address"):
        HttpLink("slack", 5, ()).post(Request(url, b""))


@pytest.mark.parametrize("token", ["s3cret-token\r\nX-Other: 1", "s3cret-token\n", "s3cret-t\u00f6ken"])
def test_a_token_that_is_no_header_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(RefusedDeliveryError, match="characters that HTTP forbids") as caught:
        HttpLink("slack", 5, (token,)).post(Request("http://127.0.0.1:1/", b"", {"Authorization": f"Bearer {token}"}))
    assert "s3cret" not in f"{caught.value!r}"


def test_a_file_of_authorities_that_is_not_there_is_refused() -> None:
    with pytest.raises(RefusedDeliveryError, match="ca_file"):
        HttpLink("slack", 5, (), ca_file="/no/such.pem").post(Request("https://127.0.0.1:1/", b""))


def test_an_answer_of_any_length_is_cut() -> None:
    with run_slack() as server:
        server.replies = {"webhook": [Reply(200, "x" * 3_000_000)]}
        assert len(HttpLink("slack", 20, ()).post(Request(server.webhook_url, b"{}")).body) < 2_000_000


def test_a_redirect_is_an_answer_and_nobody_else_is_called() -> None:
    with run_slack() as server, run_slack() as other:
        server.replies = {"webhook": [Reply(307, "", {"Location": other.webhook_url})]}
        assert HttpLink("slack", 20, ()).post(Request(server.webhook_url, b"{}")).status == 307
        assert (server.calls, other.calls) == (["webhook"], [])


def test_all_requests_of_a_link_share_its_time() -> None:
    with run_slack() as server:
        link = HttpLink("slack", 1.0, ())
        server.replies = {"webhook": [Reply(pause=True)]}
        with pytest.raises(RetryableDeliveryError):
            link.post(Request(server.webhook_url, b"{}"))
        with pytest.raises(RetryableDeliveryError, match="time limit of the delivery is over"):
            link.post(Request(server.webhook_url, b"{}"))
        assert server.calls == ["webhook"]


def drip(listener: socket.socket, ended: threading.Event) -> None:
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        while not ended.wait(0.02):
            connection.sendall(b"X")


def test_a_server_that_says_a_letter_at_a_time_does_not_outlive_the_limit() -> None:
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, ended))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(RetryableDeliveryError, match="may have arrived"):
            HttpLink("slack", 0.5, ()).post(Request(url, b"{}"))
        assert time.monotonic() - start < 60
        ended.set()
        thread.join()


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with run_slack(context) as server:
        url = server.webhook_url.replace("http:", "https:")
        with pytest.raises(RetryableDeliveryError, match=r"cannot be reached.*certificate verify failed"):
            HttpLink("slack", 10, ()).post(Request(url, b"{}"))
        assert HttpLink("slack", 10, (), ca_file=str(certificate)).post(Request(url, b"{}")).text == "ok"
