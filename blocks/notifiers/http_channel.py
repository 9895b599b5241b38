"""What channels that post to an address have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from blocks.notifiers.environment import EnvironmentBlock
from blocks.notifiers.http import Answer, HttpLink, Request, check_status

if TYPE_CHECKING:
    from collections.abc import Callable

JSON: Final = "application/json; charset=utf-8"
_REFUSED_FORM: Final = {400, 413, 422}  # what is said of a body that is too large or not understood


class HttpChannel(EnvironmentBlock):
    """A channel that posts each message to an address, all its requests within one time limit."""

    timeout_seconds: float = Field(
        default=30.0, gt=0, le=300, description="Time limit of one delivery, from connecting to the answer, in seconds."
    )
    ca_file: str | None = Field(
        default=None,
        description="File (PEM) of authorities to check the certificate against; none: SSL_CERT_FILE, else the system's, and certifi's.",
    )

    @property
    def send_seconds(self) -> float:
        """Bound one ``send``: its time limit, and as much again for finding the host's addresses."""
        return 2 * self.timeout_seconds

    def _open_link(self, *secrets: str) -> HttpLink:
        return HttpLink(self.kind, self.timeout_seconds, secrets, self.ca_file)


def post_sparing(
    link: HttpLink, requests: tuple[Request, ...], check: Callable[[Answer], None], read: Callable[[Answer], Answer] = lambda answer: answer
) -> str | None:
    """Post the first request, and where its form is refused the second, which is the same message without charts.

    ``check`` raises what an answer means, once ``read`` has put it right. Returns what the channel did not take.
    """
    first, *rest = requests
    answer = read(link.post(first))
    if not rest or answer.status not in _REFUSED_FORM:
        check(answer)
        return None
    check(read(link.post(rest[0])))
    return link.redact(f"accepted, but without its charts: with them the answer was {answer.status} {answer.text}".rstrip())


def build_check(link: HttpLink, advice: str) -> Callable[[Answer], None]:
    """Return a check that raises what an answer's status means; ``advice`` ends the error of a refusal."""
    return lambda answer: check_status(link, answer, advice)
