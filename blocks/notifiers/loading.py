"""Channels by the names that ``alert_methods`` holds."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from prefect.blocks.core import Block
from pydantic import ValidationError

import blocks.notifiers
from anomflow.errors import Problem, SettingsError
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.file import FileNotifier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomflow.protocols import Notifier


def find_kinds() -> dict[str, type[Block]]:
    """Return the block class of each kind: a module of this package whose class has the module's name as its slug."""
    modules = [import_module(f"{blocks.notifiers.__name__}.{found.name}") for found in pkgutil.iter_modules(blocks.notifiers.__path__)]
    classes = {thing for module in modules for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, Block)}
    own = {cls for cls in classes if cls.__module__ == f"{blocks.notifiers.__name__}.{cls.get_block_type_slug()}"}
    return {cls.get_block_type_slug(): cls for cls in sorted(own, key=lambda cls: cls.__name__)}


def load_notifier(name: str, home: Path, environ: Mapping[str, str]) -> Notifier:
    """Return the channel of a name: ``file`` (in ``messages/`` under ``home``), ``console``, ``email`` (settings from
    ``ANOMFLOW_EMAIL_*`` in ``environ``), or a saved block, ``kind/block-name``.

    Raises SettingsError for a name that is none of these, a block that is not saved, and missing variables.
    """  # noqa: D205 - the names take two lines
    kind, _, block_name = name.partition("/")
    kinds = find_kinds()
    if kind not in kinds:
        raise _wrong(name, f"{kind!r} is no channel. Channels are {', '.join(sorted(kinds))}, or a block of these kinds: kind/block-name.")
    if "/" in name:
        return _load_block(name, kinds[kind], block_name)
    if kind == "file":
        return FileNotifier(folder=str(home / "messages"))
    if kind == "email":
        return EmailNotifier.from_environment(environ)
    channel: Notifier = kinds[kind]()  # type: ignore[assignment]  # a block of this package sends
    return channel


def _load_block(name: str, kind: type[Block], block_name: str) -> Notifier:
    """Load a saved block through its class: by its name alone, Prefect would import every integration first."""
    try:
        channel: Notifier = kind.load(block_name)  # type: ignore[assignment]  # as above
    except ValidationError:  # not chained: it quotes what is stored
        raise _wrong(name, f"the saved block {name} does not fit its type any more. Save it again in Prefect.") from None
    except ValueError as error:
        raise _wrong(name, f"there is no saved block {name}. Save one in Prefect, or correct the name.") from error
    return channel


def _wrong(name: str, message: str) -> SettingsError:
    return SettingsError([Problem("alert_methods", None, f"{name}: {message}", key="alert_methods")])
