"""What an import will write, decided from texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from anomflow.batches.documents import Document, parse_document
from anomflow.importing.changes import Given
from anomflow.importing.documents import Part, Source, import_batch, tell_changes
from anomflow.importing.environment import find_channels, translate_env
from anomflow.importing.facts import SHIPPED_FILES
from anomflow.importing.functions import find_expectations
from anomflow.importing.keys import read_values, translate_keys
from anomflow.importing.notes import Note
from anomflow.importing.templates import find_includes, find_variables

DEFAULTS: Final = "defaults/defaults.yaml"
ENVIRONMENT_FILE: Final = "imported.env"
BLOCKS_FILE: Final = "blocks.yaml"
_RETENTION_WORDS: Final = (
    "delete_after_n_days is not set for all batches: each ingest drops rows older than 365 days. Set it before the first run"
    " where a table holds older ones that you want to keep"
)
# What a batch is made of; anything else may be a key file as well as data.
_COPIED: Final = frozenset({".sql", ".py"})
_DOCUMENTS: Final = frozenset({".md", ".txt", ".rst"})


@dataclass(frozen=True)
class Plan:
    """Texts to write by path, values for the team's defaults, the names of batches there and here, and what to tell."""

    files: Mapping[str, str]
    defaults: Mapping[str, Any]
    batches: Mapping[str, str]
    notes: tuple[Note, ...]


def build_plan(source: Source) -> Plan:
    """Decide what becomes of each file; a file that cannot be read costs itself only."""
    defaults, of_defaults = _import_defaults(source)
    parts = [_import_file(path, source) for path in sorted(source.files)]
    files = {path: text for part in parts for path, text in part.files.items()}
    batches = dict(part.name for part in parts if part.name is not None)
    notes = [*of_defaults, *(note for part in parts for note in part.notes)]
    if "alert_methods" not in defaults:
        channels = find_channels(source.environment)
        defaults |= {"alert_methods": channels} if channels else {}
        notes.append(_tell_channels(channels))
    if "delete_after_n_days" not in defaults:
        notes.append(Note(DEFAULTS, None, "look", _RETENTION_WORDS, "delete_after_n_days"))
    if source.environment:
        variables = translate_env(source.environment, batches)
        files |= {ENVIRONMENT_FILE: variables.names, BLOCKS_FILE: variables.blocks}
        # There a variable for all batches wins over the defaults' file.
        shared = translate_keys(Given(variables.defaults, shared=True))
        defaults |= read_values(shared, variables.defaults)
        notes += [*variables.notes, *tell_changes(shared, Document(parse_document("", "").layer), "environment")]
    return Plan(files, defaults, batches, tuple(notes))


def _tell_channels(channels: list[str]) -> Note:
    if channels:
        words = f"becomes {', '.join(channels)} in the defaults, the channels that the environment has settings for"
        return Note("environment", None, "done", f"alert_methods {words}", "alert_methods")
    words = "is not set for all batches, so that messages of batches without it go to files only; name your channels in the defaults"
    return Note(DEFAULTS, None, "look", f"alert_methods {words}", "alert_methods")


def _import_file(path: str, source: Source) -> Part:
    place = PurePosixPath(path)
    text = source.files[path]
    if path == DEFAULTS or any(part.startswith((".", "__")) for part in place.parts):
        return Part(())
    if source.environment.get("ANOMSTACK_IGNORE_EXAMPLES", "").lower() == "yes" and place.parts[0] == "examples":
        return Part((Note(path, None, "done", "left out, as ANOMSTACK_IGNORE_EXAMPLES says"),))
    if text is None:
        return Part((Note(path, None, "failed" if place.suffix == ".yaml" else "look", "is not UTF-8 text; not imported"),))
    if place.parts[0] == "defaults":
        return _import_template(path, source)
    if place.suffix == ".yaml":
        return import_batch(path, text, source)
    return _import_other(path, text)


def _import_template(path: str, source: Source) -> Part:
    """Leave out the queries of Anomstack's own jobs; what a batch includes comes with the batch."""
    included = any(
        path in find_includes(text, source.texts) for name, text in source.texts.items() if name.endswith(".yaml") and name != DEFAULTS
    )
    if included and path not in SHIPPED_FILES:
        return Part((Note(path, None, "done", "imported, since a batch includes it"),), {path: source.texts[path]})
    words = "left out: Anomflow has its own in this folder" if path in SHIPPED_FILES else "left out: no batch includes it"
    return Part((Note(path, None, "done", words),))


def _import_other(path: str, text: str) -> Part:
    suffix = PurePosixPath(path).suffix
    if suffix in _DOCUMENTS:
        return Part((Note(path, None, "done", "left out: no batch needs it"),))
    if suffix not in _COPIED:
        words = "Anomstack does not read .yml files either" if suffix == ".yml" else "copy it yourself where a function needs it"
        return Part((Note(path, None, "look", f"left out; {words}"),))
    found = find_expectations(text) if suffix == ".py" else ()
    notes = [Note(path, line, "look", words) for line, words in found]
    return Part((Note(path, None, "done", "imported as it is"), *notes), {path: text})


def _import_defaults(source: Source) -> tuple[dict[str, Any], list[Note]]:
    text = source.files.get(DEFAULTS, "")
    document = parse_document(text, DEFAULTS) if text is not None else parse_document("[", DEFAULTS)
    if not document.readable:
        return {}, [Note(DEFAULTS, problem.line, "failed", problem.message) for problem in document.problems]
    values = document.layer.values
    used = frozenset[str]().union(*(find_variables(text, source.texts) for name, text in source.texts.items() if name.endswith(".yaml")))
    changes = translate_keys(Given(values, used, shared=True, models=source.models))
    return read_values(changes, values), list(tell_changes(changes, document, DEFAULTS))
