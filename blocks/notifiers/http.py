"""HTTP requests of one delivery: within one time limit, without redirects, without a secret in a log or an error."""

from __future__ import annotations

import json
import ssl
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import httpcore

from anomflow.errors import RefusedDeliveryError, RetryableDeliveryError
from anomflow.wording import clean_text
from blocks.notifiers.http_deadline import Deadline, TimedBackend
from blocks.notifiers.tls import advise_on_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

_HIDDEN = "********"
_AGENT: Final = ("User-Agent", "Anomflow (https://github.com/anomflow/anomflow)")  # without one, some hosts refuse to answer
_BODY_LIMIT = 1_000_000
_SAID_LIMIT = 300
_LATER: Final = {408, 425, 429}
_SERVER_ERROR = 500
_NOT_SENT: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError)


@dataclass(frozen=True)
class Request:
    """A POST; its address and headers may hold secrets."""

    url: str = field(repr=False)
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Answer:
    """What a server answered; names of headers are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Tell whether the status is one of success."""
        return self.status in range(200, 300)

    @property
    def text(self) -> str:
        """Return the body as one clean line."""
        return clean_text(self.body.decode(errors="replace"), _SAID_LIMIT) if self.body.strip() else ""

    @property
    def retry_after(self) -> float | None:
        """Return the seconds that the server asks to wait for."""
        return parse_retry_after(self.headers.get("retry-after"), datetime.now(UTC))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3): seconds, or a date; None where it is neither."""
    if value is None:
        return None
    if value.strip().replace(".", "", 1).isdecimal():  # Discord gives parts of a second
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


class HttpLink:
    """Connections of one delivery; ``seconds`` bound all its requests together, finding a host's addresses apart.

    ``secrets`` are hidden in everything that an error says. Built on httpcore, since httpx logs the address of each
    request, which may be a secret.
    """

    def __init__(self, channel: str, seconds: float, secrets: tuple[str, ...], ca_file: str | None = None) -> None:
        self._channel = channel
        self._deadline = Deadline(seconds)
        forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
        self._forms = sorted(forms, key=len, reverse=True)
        self._ca_file = ca_file

    def post(self, request: Request) -> Answer:
        """Send a request and return the answer, whatever its status.

        Raises RetryableDeliveryError where none came, and says whether the request may have arrived; RefusedDeliveryError
        for an address that cannot be used.
        """
        host = _find_host(request.url)
        if host is None:
            raise self.build_refused("the address that it is to call names no host. Check the address.")
        if not _is_sendable(request):
            # The library's own error would quote the header, a token among them, in a form that is not recognised as a secret.
            raise self.build_refused("the address or a header has characters that HTTP forbids. Check the address and the token.")
        try:
            return self._exchange(request)
        except _NOT_SENT as error:
            raise self.build_retryable(f"{host} cannot be reached: {self._describe(error)}{advise_on_certificate(error)}") from None
        except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError, OSError, ValueError) as error:
            raise RefusedDeliveryError(
                self.redact(f"{self._channel}: {host} cannot be called: {self._describe(error)}. Check the address and ca_file.")
            ) from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            said = f"{host} gave no answer: {self._describe(error)}. What was sent may have arrived, and come twice"
            raise self.build_retryable(said) from None

    def build_retryable(self, message: str, retry_after: float | None = None) -> RetryableDeliveryError:
        """Build the error of a delivery that may succeed later."""
        return RetryableDeliveryError(self.redact(f"{self._channel}: {message}"), retry_after)

    def build_refused(self, message: str) -> RefusedDeliveryError:
        """Build the error of a delivery that will not succeed."""
        return RefusedDeliveryError(self.redact(f"{self._channel}: {message}"))

    def redact(self, text: str) -> str:
        """Hide the secrets in a text, as they are or as an address would write them."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return text

    def _describe(self, error: Exception) -> str:
        return clean_text(self.redact(f"{type(error).__name__}: {error}"), _SAID_LIMIT)

    def _exchange(self, request: Request) -> Answer:
        self._deadline.measure_left()
        with (
            self._open_pool(request.url) as pool,
            pool.stream("POST", request.url, headers=[_AGENT, *request.headers.items()], content=request.content) as response,
        ):
            body = _read(response)
        # Before anything cuts it: half a secret would not be found any more.
        shown = self.redact(body.decode(errors="replace")).encode()
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, headers, shown)

    def _open_pool(self, url: str) -> httpcore.ConnectionPool:
        context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else None
        proxy = _find_proxy(url)
        return httpcore.ConnectionPool(context, httpcore.Proxy(proxy) if proxy else None, network_backend=TimedBackend(self._deadline))


def _read(response: httpcore.Response) -> bytes:
    body = b""
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            break
    return body


def check_status(link: HttpLink, answer: Answer, advice: str) -> None:
    """Raise what a status other than success means: another attempt may succeed after 408, 425, 429 and 5xx."""
    if answer.is_good:
        return
    said = f"the answer is {answer.status} {answer.text}".rstrip()
    if answer.status in _LATER or answer.status >= _SERVER_ERROR:
        raise link.build_retryable(said, answer.retry_after)
    raise link.build_refused(f"{said}. {advice}")


def parse_object(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object that an answer holds; None where it holds none."""
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _find_host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_sendable(request: Request) -> bool:
    """Tell whether address and headers are printable ASCII: no line break makes a header of its own."""
    texts = (request.url, *request.headers, *request.headers.values())
    return all(text.isascii() and text.isprintable() for text in texts)


def _find_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address."""
    parts = urlsplit(url)
    return None if urllib.request.proxy_bypass(parts.hostname or "") else urllib.request.getproxies().get(parts.scheme)
