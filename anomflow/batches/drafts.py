"""Batch files as they were read, before anything is merged: whose they are, and which of them are not there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anomflow.batches.documents import Document, read_document
from anomflow.batches.finding import BatchFile, find_batch_files
from anomflow.batches.suggestions import suggest
from anomflow.spec import owners

if TYPE_CHECKING:
    from pathlib import Path

_NAME_LINE: Final = re.compile(r"""^metric_batch\s*:\s*["']?([A-Za-z0-9_.-]+)""", re.MULTILINE)


@dataclass(frozen=True)
class Draft:
    """A batch file as it was read; ``name`` is the batch's, or the best guess where it cannot be read."""

    file: BatchFile
    document: Document
    name: str

    @property
    def where(self) -> str:
        """Return the path of the file."""
        return self.file.path.as_posix()

    @property
    def name_line(self) -> int:
        """Return the line of the name."""
        return self.document.layer.origin(("metric_batch",)).line or 1


def read_drafts(folder: Path, *, examples: bool = True) -> tuple[Draft, ...]:
    """Read the batch files under a metrics folder, right or wrong; an example that is off yields its name to another batch."""
    return _drop_hidden(folder, _read_all(folder, examples=examples))


def find_names(folder: Path) -> dict[str, Path]:
    """Find the names of all batches under a metrics folder and their files, right or wrong; of two files the last."""
    return {draft.name: draft.file.path for draft in read_drafts(folder)}


def find_owner(folder: Path, name: str) -> Path | None:
    """Return the file of the batch that has a name; None where it is free, as that of an example that is off is."""
    owners_of_it = [draft for draft in _read_all(folder) if draft.name == name and not _is_hidden(draft, folder)]
    return owners_of_it[0].file.path if owners_of_it else None


def _drop_hidden(folder: Path, drafts: tuple[Draft, ...]) -> tuple[Draft, ...]:
    """Let a batch of one's own take the name of an example that is off, which is then not there."""
    own = {draft.name for draft in drafts if not _is_hidden(draft, folder)}
    return tuple(draft for draft in drafts if not (draft.name in own and _is_hidden(draft, folder)))


def _is_hidden(draft: Draft, folder: Path) -> bool:
    is_off = draft.document.layer.values.get("disable_batch") is True
    return is_off and draft.file.path.is_relative_to(folder / "examples")


def _read_all(folder: Path, *, examples: bool = True) -> tuple[Draft, ...]:
    return tuple(draft for file in find_batch_files(folder, examples=examples) if (draft := _read_draft(file)) is not None)


def _read_draft(file: BatchFile) -> Draft | None:
    """Read a YAML file; one that is not named like a batch and has none of our keys is somebody's data."""
    document = read_document(file.path)
    values = document.layer.values
    ours = any(key in owners() or suggest(key, ["metric_batch"]) for key in values)
    if document.readable and not (file.named or ours):
        return None
    name = values.get("metric_batch")
    return Draft(file, document, name if isinstance(name, str) else _guess_name(file, document))


def _guess_name(file: BatchFile, document: Document) -> str:
    if document.readable or not file.path.is_file():
        return file.guess
    match = _NAME_LINE.search(file.path.read_text(encoding="utf-8", errors="replace"))
    return match[1] if match else file.guess
