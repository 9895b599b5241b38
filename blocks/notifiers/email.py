"""A channel that sends mail over SMTP."""

from __future__ import annotations

from email.utils import getaddresses
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from anomflow.mime import build_mime
from blocks.notifiers.environment import EnvironmentBlock
from blocks.notifiers.smtp import Envelope, Server, check_login, send_mail

if TYPE_CHECKING:
    from anomflow.messages import Message

PORTS = {"starttls": 587, "ssl": 465, "none": 25}


def _split(value: object) -> object:
    return [part.strip() for part in value.replace("\n", ",").split(",") if part.strip()] if isinstance(value, str) else value


def _check_address(value: str) -> str:
    ((_, address),) = getaddresses([value]) or [("", "")]
    name, _, host = address.rpartition("@")
    if not name or not host or any(character.isspace() for character in address) or not value.isprintable():
        raise ValueError(f"{value!r} is not a mail address; write ops@example.com or Ops <ops@example.com>")
    return value


MailAddress = Annotated[str, AfterValidator(_check_address)]


class EmailNotifier(EnvironmentBlock):
    """Send each message as one mail to all recipients, with plain text, HTML and charts inside it.

    A recipient that the server refuses while it takes others is named, and the message counts as delivered. Sending
    again (after an unknown outcome) repeats the Message-ID.
    """

    kind: ClassVar[str] = "email"
    _block_type_name: ClassVar[str] = "Anomflow mail"
    _block_type_slug: ClassVar[str] = "email"
    _description: ClassVar[str] = "Sends Anomflow's messages over SMTP."

    host: str = Field(min_length=1, description="Host name of the SMTP server.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port; none: 587 for starttls, 465 for ssl, 25 for none.")
    security: Literal["starttls", "ssl", "none"] = Field(default="starttls", description="How the connection is encrypted.")
    username: str | None = Field(default=None, description="User name; none: no login.")
    password: SecretStr | None = Field(default=None, description="Password of the user.")
    sender: MailAddress = Field(description="Address that mails come from.")
    recipients: Annotated[list[MailAddress], BeforeValidator(_split)] = Field(
        min_length=1, description="Addresses that mails go to: a list, or one text with commas."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=600, description="Time limit of one delivery, from connecting to the answer, in seconds."
    )
    verify: bool = Field(default=True, description="Check the server's certificate.")
    ca_file: str | None = Field(
        default=None, description="File (PEM) of authorities to check the certificate against; none: SSL_CERT_FILE, else the system's."
    )

    @property
    def send_seconds(self) -> float:
        """Bound one ``send``: its time limit, and as much again for finding the host's addresses."""
        return 2 * self.timeout_seconds

    def check_access(self) -> str:
        """Connect, encrypt and log in as for a mail, and send none; raise as ``send`` does."""
        server = self._build_server()
        check_login(server)
        return f"{server.host}:{server.port} answers{' and takes the login' if server.username else ''} ({server.security})"

    def send(self, message: Message) -> str | None:
        """Send one mail, and name the recipients that were refused; raise RetryableDeliveryError or RefusedDeliveryError
        where none was accepted.
        """  # noqa: D205 - two errors and a result take two lines
        mail = build_mime(message, self.sender, self.recipients)
        addresses = tuple(address for _, address in getaddresses(self.recipients))
        ((_, sender),) = getaddresses([self.sender])
        refused = send_mail(self._build_server(), Envelope(sender, addresses, mail))
        return f"accepted, but not for {'; '.join(refused)}" if refused else None

    def _build_server(self) -> Server:
        return Server(
            host=self.host,
            port=self.port or PORTS[self.security],
            security=self.security,
            username=self.username,
            password=self.password.get_secret_value() if self.password else "",
            timeout_seconds=self.timeout_seconds,
            verify=self.verify,
            ca_file=self.ca_file,
        )
