"""A Prefect API for one process: the configured server where it answers, else an ephemeral one, started once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from anomflow.errors import AnomflowError, BlockError

RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")


@contextmanager
def prefect_api(*, quiet: bool = False) -> Iterator[None]:
    """Provide the API for the flows of this process."""
    from prefect.settings import (  # noqa: PLC0415 - takes seconds, which `--help` need not wait for
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_LEVEL,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        PREFECT_SERVER_ANALYTICS_ENABLED,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    # The heartbeat tells a server that a worker lives; its thread holds each run of this process up for a second.
    updates: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120}
    restore: list[Any] = []
    if not is_reachable(PREFECT_API_URL.value()):
        updates |= {PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True, PREFECT_SERVER_ANALYTICS_ENABLED: False}
        restore.append(PREFECT_API_URL)
    if quiet:
        updates[PREFECT_LOGGING_LEVEL] = "WARNING"
    with temporary_settings(updates, restore_defaults=restore):
        yield


@contextmanager
def configured_api(*, check: bool = False) -> Iterator[None]:
    """Provide the API that is configured, whether it answers or not; where none is, one that starts when it is asked.

    With ``check``, a configured server that does not answer raises BlockError: what is saved elsewhere would be lost.
    """
    from prefect.settings import (  # noqa: PLC0415 - as above
        PREFECT_API_URL,
        PREFECT_LOGGING_LEVEL,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        PREFECT_SERVER_ANALYTICS_ENABLED,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    url = PREFECT_API_URL.value()
    problem = find_problem(url) if check and url else None
    if problem:
        raise BlockError(f"the Prefect server at {url} does not answer ({problem}); start it, or correct PREFECT_API_URL")
    updates: dict[Any, Any] = {PREFECT_LOGGING_LEVEL: "WARNING", PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120}
    if not url:
        updates |= {PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True, PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(updates):
        yield


@contextmanager
def short_errors() -> Iterator[None]:
    """Let the runs of this process tell our own errors, which say where and what, without the stack of Prefect above them."""
    loggers = [logging.getLogger(name) for name in RUN_LOGGERS]
    for logger in loggers:
        logger.addFilter(_drop_stack)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_drop_stack)


def _drop_stack(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], AnomflowError):
        record.exc_info = None
    return True


def is_reachable(url: str | None) -> bool:
    """Tell whether a Prefect API answers; one that is configured and does not is said so."""
    if not url:
        return False
    problem = find_problem(url)
    if problem:
        typer.echo(f"The Prefect server at {url} does not answer ({problem}); an ephemeral one is used for this command.", err=True)
    return problem is None


def find_problem(url: str) -> str | None:
    """Say why a Prefect API does not answer; None where it does, if only to ask for a key."""
    import httpx  # noqa: PLC0415 - as above

    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=3)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return str(error) or type(error).__name__
    return None if answer.is_success or answer.status_code in {401, 403, 404} else f"it says {answer.status_code}"
