"""Channels by the names that ``alert_methods`` holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from prefect.settings import PREFECT_API_URL

from anomflow.errors import Problem, SettingsError
from blocks import notifiers
from blocks.discovery import find_kinds
from blocks.environment import find_prefix
from blocks.saved import is_saved, load_saved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomflow.protocols import Notifier


def load_notifier(name: str, home: Path, environ: Mapping[str, str]) -> Notifier:
    """Return the channel of a name: ``file`` (in ``messages/`` under ``home``), ``console``, another kind (settings from
    ``ANOMFLOW_<KIND>_*`` in ``environ``; where none of these is set, the block ``default`` of the configured Prefect API), or
    a saved block, ``kind/block-name``.

    Raises SettingsError for a name that is none of these, a block that is not saved, and missing variables.
    """  # noqa: D205 - the names take two lines
    kind, _, block_name = name.partition("/")
    kinds = find_kinds(notifiers)
    if kind not in kinds:
        raise _wrong(name, f"{kind!r} is no channel. Channels are {', '.join(kinds)}, or a block of these kinds: kind/block-name.")
    if "/" in name:
        return _load_block(name, kinds[kind], block_name)
    if kind == "file":
        return cast("Notifier", kinds[kind](folder=str(home / "messages")))
    if not takes_variables(kind, kinds[kind]):
        return cast("Notifier", kinds[kind]())
    return _find_default(kind, kinds[kind], environ) or cast("Notifier", kinds[kind].from_environment(environ))


def takes_variables(kind: str, cls: type[Any]) -> bool:
    """Tell whether a channel that is named without a block is what variables say, or the block ``default``."""
    return kind != "file" and hasattr(cls, "from_environment")


def is_given(kind: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a variable of a channel is set: it means something then, and no block does."""
    return any(value and variable.startswith(find_prefix(kind)) for variable, value in environ.items())


def _find_default(name: str, kind: type[Any], environ: Mapping[str, str]) -> Notifier | None:
    """Return the saved block ``default``; none where variables are set, which mean something, or where no API is configured."""
    if is_given(name, environ) or not PREFECT_API_URL.value() or not is_saved(kind, "default"):
        return None
    return _load_block(f"{name}/default", kind, "default")


def _load_block(name: str, kind: type[Any], block_name: str) -> Notifier:
    return cast("Notifier", load_saved(kind, block_name, lambda words: _wrong(name, words)))


def _wrong(name: str, message: str) -> SettingsError:
    return SettingsError([Problem("alert_methods", None, f"{name}: {message}", key="alert_methods")])
