"""Bring the blocks of a file to a Prefect API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anomflow.block_files import read_entries
from anomflow.errors import BlockError, Problem, SettingsError
from blocks.building import build_blocks
from blocks.saved import Change, save_block

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Applied:
    """What became of the blocks of a file, in the order of saving, and why it ended early (None: it did not)."""

    changes: tuple[Change, ...]
    problem: str | None = None


def apply_file(path: Path, environ: Mapping[str, str], *, dry_run: bool = False) -> Applied:
    """Save the blocks of a file that differ from what is saved; a block that is saved and not in the file is left alone.

    Raises SettingsError with everything that is wrong with the file, before anything is saved.
    """
    entries, problems = read_entries(_read_text(path), path.as_posix())
    if problems:
        raise SettingsError(problems)
    changes: list[Change] = []
    for ref, block in build_blocks(entries, environ).items():
        try:
            changes.append(save_block(ref, block, dry_run=dry_run))
        except BlockError as error:
            return Applied(tuple(changes), f"{ref}: {error}. Run it again: what is saved already is left as it is.")
    return Applied(tuple(changes))


def _read_text(path: Path) -> str:
    where = path.as_posix()
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError([Problem(where, None, "is not UTF-8 text; save the file as UTF-8")]) from None
    except OSError as error:
        raise SettingsError([Problem(where, None, f"cannot be read: {error.strerror}")]) from None
