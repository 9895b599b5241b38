"""A real SMTP server on this machine that keeps what it receives, and fails as it is told."""
# ruff: noqa: ARG002, N802 - aiosmtpd calls these methods, with its names and arguments

from __future__ import annotations

import asyncio
import email
import ipaddress
import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.policy import default
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services.service import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path

USER, PASSWORD = "anomflow@example.com", "s3cret-Pa55"


@dataclass
class Received:
    """One mail as the server got it: envelope, content, how it came."""

    sender: str
    recipients: list[str]
    content: bytes
    over_tls: bool
    logged_in: bool

    @property
    def mail(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=default)


@dataclass
class MailReceiver:
    """What the server answers and has received. ``data_answers`` are used up one mail after another, then all is well."""

    port: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    sender_answer: str | None = None
    data_answers: list[str] = field(default_factory=list)
    auth_answer: str | None = None
    is_mute_after_data: bool = False
    received: list[Received] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_answers:
            return self.data_answers.pop(0)
        over_tls = server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
        logged_in = bool(session.authenticated)
        content = cast("bytes", envelope.content)
        self.received.append(Received(str(envelope.mail_from), list(envelope.rcpt_tos), content, over_tls, logged_in))
        if self.is_mute_after_data:
            await self.release.wait()
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
        good = isinstance(login, LoginPassword) and (login.login, login.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good and not self.auth_answer, handled=False, message=self.auth_answer)


@contextmanager
def run_receiver(security: str, certificate: Path, receiver: MailReceiver) -> Iterator[MailReceiver]:
    """Run the server: ``none`` takes anyone, ``starttls`` and ``ssl`` ask for encryption and the login above."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    options: dict[str, Any] = {"hostname": "localhost"}
    if security != "none":
        options |= {"authenticator": receiver.authenticate, "auth_required": True}
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if security == "ssl":
        options |= {"auth_require_tls": False}

    class Server(Controller):
        def factory(self) -> SMTP:
            return SMTP(receiver, **options)

    receiver.port = find_free_port()
    controller = Server(receiver, hostname="127.0.0.1", port=receiver.port, ssl_context=context if security == "ssl" else None)
    controller.start()
    try:
        yield receiver
    finally:
        controller.loop.call_soon_threadsafe(receiver.release.set)
        controller.stop()


@contextmanager
def run_silent_server() -> Iterator[int]:
    """Listen on a port, take connections and never say a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def write_certificate(path: Path, host: str = "localhost") -> Path:
    """Write the key and certificate of 127.0.0.1 and a host into one PEM file, which serves as its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number()
    )
    dated = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = dated.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    return path
