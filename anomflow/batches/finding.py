"""Which files of a metrics folder are batches, and what lies beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

YAML_SUFFIXES: Final = (".yaml", ".yml")
CONFIG_STEM: Final = "config"


@dataclass(frozen=True)
class BatchFile:
    """A YAML file that may be a batch, with the files beside it that belong to it.

    ``named`` is true where the name alone says that it is a batch: ``x/x.yaml`` and ``config.yaml``.
    """

    path: Path
    named: bool
    sql: Path | None
    function: Path | None
    preprocess: Path | None

    @property
    def guess(self) -> str:
        """Return the name that a batch in this file probably has, for a file that cannot be read."""
        return self.path.parent.name if self.path.stem == CONFIG_STEM else self.path.stem


def find_batch_files(folder: Path, *, examples: bool = True) -> tuple[BatchFile, ...]:
    """Find YAML files under a metrics folder, in the order of their paths.

    The folder's ``defaults``, hidden files and folders, and without ``examples`` its ``examples`` are left out.
    """
    skipped = {"defaults"} if examples else {"defaults", "examples"}
    found: list[BatchFile] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if _is_visible(name) and not (Path(parent) == folder and name in skipped)]
        files = {name for name in names if _is_visible(name)}
        found += [_describe(Path(parent) / name, files) for name in files if Path(name).suffix in YAML_SUFFIXES]
    return tuple(sorted(found, key=lambda file: file.path))


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "__"))


def _describe(path: Path, files: set[str]) -> BatchFile:
    is_config = path.stem == CONFIG_STEM
    sql, function = ("query.sql", "ingest.py") if is_config else (f"{path.stem}.sql", f"{path.stem}.py")
    return BatchFile(
        path,
        named=is_config or path.stem == path.parent.name,
        sql=path.with_name(sql) if sql in files else None,
        function=path.with_name(function) if function in files else None,
        preprocess=path.with_name("preprocess.py") if is_config and "preprocess.py" in files else None,
    )
