"""Does a Prefect API answer, know us, and run a version that this one understands?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_API_URL

from anomflow.doctor import Finding
from anomflow.errors import BlockError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anomflow.doctor import Check, Runner

_UNKNOWN = {401, 403}


def check_prefect(runner: Runner, *, is_needed: bool) -> Iterator[Check]:
    """Look at the configured Prefect API; where none is, start the one of this machine if batches need saved blocks."""
    url = PREFECT_API_URL.value()
    if not url:
        longer = replace(runner, seconds=max(runner.seconds, STARTING)) if is_needed else runner
        yield longer.run("api", _start if is_needed else lambda: _NONE)
        return
    reached = runner.run("api", lambda: _reach(url))
    yield reached
    if reached.state != "failed":
        yield runner.run("version", _compare_versions)


STARTING: Final = 150.0  # seconds that the API of this machine may take to start, with a database to be made
_NONE: Final = "none is configured (PREFECT_API_URL): runs of this machine start one that ends with them"


def _start() -> str:
    _reach("the API of this machine")
    return f"{_NONE}; blocks are read from its database"


def _reach(url: str) -> str:
    try:
        with get_client(sync_client=True) as client:
            client.read_flows(limit=1)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        advice = "set PREFECT_API_KEY to a key that is valid" if status in _UNKNOWN else "see its log"
        raise BlockError(f"{url} answers with {status}; {advice}") from None
    except (httpx.HTTPError, PrefectException) as error:
        raise BlockError(f"{url} does not answer ({type(error).__name__}); start it, or correct PREFECT_API_URL") from None
    return url


def _compare_versions() -> Finding:
    with get_client(sync_client=True) as client:
        try:
            theirs = str(client.api_version())
        except (httpx.HTTPError, PrefectException, ValueError):
            return Finding(f"this is Prefect {prefect.__version__}; the API does not tell its own version, as Prefect Cloud does not")
    return compare_versions(theirs, prefect.__version__)


def compare_versions(theirs: str, ours: str) -> Finding:
    """Compare the first two numbers of versions: within them Prefect keeps client and server compatible."""
    words = f"the API has Prefect {theirs}, this machine {ours}"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return Finding(words)
    return Finding(f"{words}; bring both to one version, the server first", "warning")
