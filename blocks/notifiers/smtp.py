"""One mail over one SMTP connection, within one time limit, and what its errors mean."""

from __future__ import annotations

import base64
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from anomflow.errors import DeliveryError, RefusedDeliveryError, RetryableDeliveryError
from anomflow.wording import clean_text
from blocks.notifiers.tls import advise_on_certificate

if TYPE_CHECKING:
    from email.message import EmailMessage

_REPLY_LIMIT = 300
_PERMANENT = 500  # from this SMTP code on


@dataclass(frozen=True)
class Server:
    """How to reach an SMTP server; ``timeout_seconds`` bounds a whole delivery."""

    host: str
    port: int
    security: Literal["starttls", "ssl", "none"]
    username: str | None
    password: str = field(repr=False)
    timeout_seconds: float
    verify: bool
    ca_file: str | None


@dataclass(frozen=True)
class Envelope:
    """A mail, the address that it comes from and those that it goes to."""

    sender: str
    recipients: tuple[str, ...]
    mail: EmailMessage


class _Client(smtplib.SMTP):
    """Let every step of a connection take what is left of one time limit; smtplib by itself limits each read alone."""

    def __init__(self, server: Server, **options: Any) -> None:
        self._ends = time.monotonic() + server.timeout_seconds
        super().__init__(server.host, server.port, timeout=server.timeout_seconds, **options)

    def send(self, s: Any) -> None:
        self._limit()
        super().send(s)

    def getreply(self) -> tuple[int, bytes]:
        self._limit()
        return super().getreply()

    def _limit(self) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            self.close()
            raise TimeoutError("the time limit of the delivery is over")
        if self.sock is not None:
            self.sock.settimeout(left)


class _SslClient(_Client, smtplib.SMTP_SSL):
    """The same over a connection that is encrypted from its first byte."""


def send_mail(server: Server, envelope: Envelope) -> tuple[str, ...]:
    """Deliver a mail and return what the server said of each recipient that it refused while taking others.

    Raises RetryableDeliveryError where another attempt may succeed, also where the outcome is unknown, and
    RefusedDeliveryError where none will.
    """
    with _connected(server) as client:
        refused = client.send_message(envelope.mail, envelope.sender, envelope.recipients)
        _quit(client)
    return tuple(_redact(f"{address}: {_render_reply(*reply)}", server) for address, reply in refused.items())


def check_login(server: Server) -> None:
    """Connect and log in as ``send_mail`` does, and send nothing; raises as it does."""
    with _connected(server) as client:
        client.noop()
        _quit(client)


@contextmanager
def _connected(server: Server) -> Iterator[_Client]:
    """Connect, encrypt and log in; whatever goes wrong inside is told as one of our errors."""
    try:
        client = _open_client(server)
        try:
            _log_in(client, server)
            yield client
        finally:
            client.close()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # Not chained: the cause may quote what was sent, the password among it.
        raise _build_error(error, server) from None


def _open_client(server: Server) -> _Client:
    return _SslClient(server, context=_build_context(server)) if server.security == "ssl" else _Client(server)


def _build_context(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file)
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _log_in(client: smtplib.SMTP, server: Server) -> None:
    if server.security == "starttls":
        client.starttls(context=_build_context(server))
    if server.username:
        client.login(server.username, server.password)


def _quit(client: smtplib.SMTP) -> None:
    try:
        client.quit()
    except (smtplib.SMTPException, OSError):
        return  # the mail is accepted; how the talk ends changes nothing


def _build_error(error: Exception, server: Server) -> DeliveryError:
    """Tell what may succeed later from what never will; SMTP says so by the first digit of its codes."""
    where = f"email: {server.host}:{server.port}"
    said = _redact(_describe(error), server)
    if _is_permanent(error):
        return RefusedDeliveryError(f"{where} will not take the mail: {said}{_advise(error)}")
    return RetryableDeliveryError(f"{where} did not take the mail now: {said}{advise_on_certificate(error)}")


def _is_permanent(error: Exception) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError):
        return False  # a server in maintenance says so at the door
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code >= _PERMANENT
    if isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException):
        return False  # also a wrong certificate, though it is a ValueError: one that ran out will be renewed
    return isinstance(error, smtplib.SMTPNotSupportedError | ValueError)


def _describe(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{address}: {_render_reply(*reply)}" for address, reply in error.recipients.items())
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"sender {error.sender}: {_render_reply(error.smtp_code, error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return _render_reply(error.smtp_code, error.smtp_error)
    if isinstance(error, UnicodeError):
        return "user name and password must be ASCII"
    return clean_text(f"{type(error).__name__}: {error}", _REPLY_LIMIT)


def _advise(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return ". Check username and password."
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return ". Check security (starttls, ssl or none) and whether the server takes logins."
    return ""


def _render_reply(code: int, reply: bytes | str) -> str:
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    return f"{code} {clean_text(text, _REPLY_LIMIT)}"


def _redact(text: str, server: Server) -> str:
    """Hide the password where a server repeats it, as it is or as it was sent."""
    if not server.password:
        return text
    login = f"\0{server.username}\0{server.password}"
    for secret in (server.password, *(base64.b64encode(part.encode()).decode() for part in (server.password, login))):
        text = text.replace(secret, "********")
    return text
