"""One batch of Anomstack as one of ours: its YAML and what to tell about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from anomflow.batches.batch import find_lone_include, has_include
from anomflow.batches.documents import Document, parse_document
from anomflow.importing.changes import Change, Given
from anomflow.importing.functions import find_expectations
from anomflow.importing.keys import names_models, read_values, translate_keys
from anomflow.importing.notes import Note
from anomflow.importing.rewriting import rewrite
from anomflow.importing.templates import find_variables


@dataclass(frozen=True)
class Source:
    """A metrics folder of Anomstack as texts by path in it, None for a file that is no text of UTF-8.

    ``environment`` holds the variables of a ``.env`` file, ``taken`` the paths of batches that the target has already, by
    name; ``schema`` tells whether the target has the schema that a batch's first line may name.
    """

    files: Mapping[str, str | None]
    environment: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)
    schema: bool = False

    @cached_property
    def models(self) -> bool:
        """Tell whether the defaults of all batches name models."""
        return names_models(parse_document(self.texts.get("defaults/defaults.yaml", ""), "").layer.values)

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Return the files that are text."""
        return {path: text for path, text in self.files.items() if text is not None}


@dataclass(frozen=True)
class Part:
    """What one file of the source becomes."""

    notes: tuple[Note, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    name: tuple[str, str] | None = None


def import_batch(path: str, text: str, source: Source) -> Part:
    """Make a batch of ours of one of theirs; what cannot be read or has no name is told and costs itself."""
    document = parse_document(text, path)
    if not document.readable:
        return Part(tuple(Note(path, problem.line, "failed", problem.message) for problem in document.problems))
    values = document.layer.values
    if not values.get("metric_batch"):
        return Part((Note(path, 1, "failed", "has no metric_batch, so it is no batch; not imported"),))
    used = find_variables(str(values.get("ingest_sql") or ""), source.texts)
    changes = translate_keys(Given(values, used, models=names_models(values) or source.models))
    result = read_values(changes, values)
    name = str(result["metric_batch"])
    if not name:
        words = f"{values['metric_batch']!r} has no letter or digit that a name may have (A to Z, 0 to 9); rename it; not imported"
        return Part((Note(path, document.layer.origin(("metric_batch",)).line, "failed", words),))
    other = source.taken.get(name, path)
    if other != path:
        return Part((Note(path, 1, "failed", f"not imported: there is a batch {name} already, in {other}"),))
    rewritten = rewrite(text, changes, values)
    notes = [
        Note(path, None, "done", f"imported as the batch {name}"),
        *tell_changes(changes, document, path),
        *_look(result, document, path),
    ]
    if not rewritten.kept:
        notes.append(Note(path, None, "look", "was written anew, without its comments: its lines could not be edited one by one"))
    return Part(tuple(notes), {path: _add_schema(path, rewritten.text, source)}, (str(values["metric_batch"]), name))


def _add_schema(path: str, text: str, source: Source) -> str:
    if not source.schema or "yaml-language-server" in text:
        return text
    return f"# yaml-language-server: $schema={'../' * path.count('/') or './'}batch.schema.json\n{text}"


def tell_changes(changes: tuple[Change, ...], document: Document, path: str) -> Iterator[Note]:
    """Tell what becomes of the keys of a document, each with its line."""
    for change in changes:
        if change.words:
            line = document.layer.origin((change.key,)).line
            yield Note(path, line, change.level, f"{change.key} {change.words}", change.key)


def _look(result: Mapping[str, Any], document: Document, path: str) -> Iterator[Note]:
    """Tell what is no key's own matter: thresholds that were off, a dialect, an ingest function that stands in the YAML."""
    for problem in document.problems:
        yield Note(path, problem.line, "look", f"{problem.message}; the last one held", problem.key)
    if result.get("tholdalert_thresholds") and "disable_tholdalert" not in result:
        words = "tholdalert_thresholds are checked here unless disable_tholdalert is set; there they were off by default"
        yield Note(path, document.layer.origin(("tholdalert_thresholds",)).line, "look", words, "tholdalert_thresholds")
    kind = str(result.get("db", "duckdb"))
    if kind != "duckdb" and result.get("ingest_sql"):
        words = f"ingest_sql is sent as it stands, in the dialect of {kind}; there it was read as a general one and translated"
        yield Note(path, document.layer.origin(("ingest_sql",)).line, "look", words, "ingest_sql")
    source = result.get("ingest_fn")
    if isinstance(source, str) and find_lone_include(source) is None and not has_include(source):
        origin = document.layer.origin(("ingest_fn",))
        first = origin.text_line or origin.line or 1
        yield from (Note(path, first + line - 1, "look", words, "ingest_fn") for line, words in find_expectations(source))
