"""All looks of `doctor` at the batches that it is asked for, one after the other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from anomflow.doctor import (
    Check,
    Connection,
    Finding,
    Runner,
    check_channel,
    check_functions,
    check_kernels,
    check_source,
    check_store,
    check_warehouse,
    find_connections,
)
from anomflow.protocols import SystemClock
from blocks.home import find_home
from blocks.loading import load_store, load_warehouse
from blocks.notifiers.loading import load_notifier
from blocks.prefect_check import check_prefect
from cli.needed_blocks import find_needed_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from anomflow.batches import Loaded

_WORDS = {"source": "source", "warehouse": "warehouse", "store": "model store", "channel": "channel"}


@dataclass(frozen=True)
class Wanted:
    """What is asked for: time limit of a check in seconds, whether channels get a test message."""

    seconds: float
    send_test: bool = False


def examine(loaded: Loaded, files: Mapping[str, Path], names: Sequence[str], wanted: Wanted) -> Iterator[Check]:
    """Look at everything that the named batches need; each look is yielded when it is done."""
    batches = [loaded.batches[name] for name in names if name in loaded.enabled]
    connections = find_connections(batches)
    is_needed = any(map(_needs_saved, connections))
    yield from check_prefect(Runner("prefect", wanted.seconds, environ=os.environ), is_needed=is_needed)
    yield check_kernels(Runner("machine", max(wanted.seconds, _COMPILING), environ=os.environ))
    for name in names:
        yield from _check_settings(name, files[name], loaded, wanted)
    for connection in connections:
        yield from check_connection(connection, wanted)
    for batch in batches:
        yield from check_functions(batch, Runner(f"batch {batch.name}", wanted.seconds, (batch.name,), os.environ))


def _needs_saved(connection: Connection) -> bool:
    """Tell whether a saved block is needed, wherever the API is; a channel's block `default` is looked for at a configured one only."""
    block = find_needed_block(connection.ref, os.environ)
    return block is not None and (connection.role != "channel" or "/" in connection.ref)


_COMPILING = 180.0  # seconds that kernels may take to compile on a slow machine


def check_connection(connection: Connection, wanted: Wanted) -> Iterator[Check]:
    """Look at a warehouse, source, store or channel."""
    place = f", schema {connection.place}" if connection.place else ""
    runner = Runner(f"{_WORDS[connection.role]} {connection.ref}{place}", wanted.seconds, connection.batches, os.environ)
    load = cache(lambda: _load(connection))  # loaded by the first look, within its time limit
    match connection.role:
        case "source":
            return check_source(load, runner)
        case "warehouse":
            return check_warehouse(load, connection.place, SystemClock(), runner)
        case "store":
            return check_store(load, runner)
        case "channel":
            return check_channel(load, runner, SystemClock() if wanted.send_test else None)


def _load(connection: Connection) -> Any:
    home = find_home()
    match connection.role:
        case "source" | "warehouse":
            return load_warehouse(connection.ref, home)
        case "store":
            return load_store(connection.ref, home)
        case "channel":
            return load_notifier(connection.ref, home, os.environ)


def _check_settings(name: str, path: Path, loaded: Loaded, wanted: Wanted) -> Iterator[Check]:
    """Report what is wrong with a batch's file; say nothing of one that is right."""
    problems = [problem for problem in loaded.errors if problem.where == path.as_posix()] or list(loaded.errors)
    if name not in loaded.batches:
        runner = Runner(f"batch {name}", wanted.seconds, (name,), os.environ)
        yield runner.run("settings", lambda: Finding("; ".join(map(str, problems)) or "see `anomflow validate`", "failed"))
