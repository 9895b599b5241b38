"""What an import will write, decided from texts alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from anomflow.batches.batch import find_lone_include, has_include
from anomflow.batches.documents import Document, parse_document
from anomflow.importing.environment import find_channels, translate_env
from anomflow.importing.functions import find_expectations
from anomflow.importing.keys import Change, Given, read_values, translate_keys
from anomflow.importing.notes import Level, Note
from anomflow.importing.rewriting import rewrite
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
class Source:
    """A metrics folder of Anomstack as texts by path in it, None for a file that is no text of UTF-8.

    ``environment`` holds the variables of a ``.env`` file, ``taken`` the paths of batches that the target has already, by
    name; ``schema`` tells whether the target has the schema that a batch's first line may name.
    """

    files: Mapping[str, str | None]
    environment: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)
    schema: bool = False

    @property
    def texts(self) -> Mapping[str, str]:
        """Return the files that are text."""
        return {path: text for path, text in self.files.items() if text is not None}


@dataclass(frozen=True)
class Plan:
    """Texts to write by path, values for the team's defaults, the names of batches there and here, and what to tell."""

    files: Mapping[str, str]
    defaults: Mapping[str, Any]
    batches: Mapping[str, str]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Part:
    """What one file of the source becomes."""

    notes: tuple[Note, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    name: tuple[str, str] | None = None


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
        notes += [*variables.notes, *_tell(shared, Document(parse_document("", "").layer), "environment")]
    return Plan(files, defaults, batches, tuple(notes))


def _tell_channels(channels: list[str]) -> Note:
    if channels:
        words = f"becomes {', '.join(channels)} in the defaults, the channels that the environment has settings for"
        return Note("environment", None, "done", f"alert_methods {words}", "alert_methods")
    words = "is not set for all batches, so that messages of batches without it go to files only; name your channels in the defaults"
    return Note(DEFAULTS, None, "look", f"alert_methods {words}", "alert_methods")


def _import_file(path: str, source: Source) -> _Part:
    place = PurePosixPath(path)
    text = source.files[path]
    if path == DEFAULTS or any(part.startswith((".", "__")) for part in place.parts):
        return _Part(())
    if source.environment.get("ANOMSTACK_IGNORE_EXAMPLES", "").lower() == "yes" and place.parts[0] == "examples":
        return _Part((Note(path, None, "done", "left out, as ANOMSTACK_IGNORE_EXAMPLES says"),))
    if text is None:
        return _Part((Note(path, None, "failed" if place.suffix == ".yaml" else "look", "is not UTF-8 text; not imported"),))
    if place.parts[0] == "defaults":
        return _import_template(path, source)
    if place.suffix == ".yaml":
        return _import_batch(path, text, source)
    return _import_other(path, text)


def _import_template(path: str, source: Source) -> _Part:
    """Leave out the queries of Anomstack's own jobs; what a batch includes comes with the batch."""
    included = any(
        path in find_includes(text, source.texts) for name, text in source.texts.items() if name.endswith(".yaml") and name != DEFAULTS
    )
    if included and path.count("/") == 1:
        return _Part((Note(path, None, "done", "imported, since a batch includes it"),), {path: source.texts[path]})
    level: Level = "look" if included else "done"
    return _Part((Note(path, None, level, "left out: Anomflow has its own in this folder"),))


def _import_other(path: str, text: str) -> _Part:
    suffix = PurePosixPath(path).suffix
    if suffix in _DOCUMENTS:
        return _Part((Note(path, None, "done", "left out: no batch needs it"),))
    if suffix not in _COPIED:
        words = "Anomstack does not read .yml files either" if suffix == ".yml" else "copy it yourself where a function needs it"
        return _Part((Note(path, None, "look", f"left out; {words}"),))
    found = find_expectations(text) if suffix == ".py" else ()
    notes = [Note(path, line, "look", words) for line, words in found]
    return _Part((Note(path, None, "done", "imported as it is"), *notes), {path: text})


def _import_batch(path: str, text: str, source: Source) -> _Part:
    document = parse_document(text, path)
    if not document.readable:
        return _Part(tuple(Note(path, problem.line, "failed", problem.message) for problem in document.problems))
    values = document.layer.values
    if not values.get("metric_batch"):
        return _Part((Note(path, 1, "failed", "has no metric_batch, so it is no batch; not imported"),))
    used = find_variables(str(values.get("ingest_sql") or ""), source.texts)
    changes = translate_keys(Given(values, used))
    result = read_values(changes, values)
    name = str(result["metric_batch"])
    other = source.taken.get(name, path)
    if other != path:
        return _Part((Note(path, 1, "failed", f"not imported: there is a batch {name} already, in {other}"),))
    rewritten = rewrite(text, changes, values)
    notes = [Note(path, None, "done", f"imported as the batch {name}"), *_tell(changes, document, path), *_look(result, document, path)]
    if not rewritten.kept:
        notes.append(Note(path, None, "look", "was written anew, without its comments: its lines could not be edited one by one"))
    return _Part(tuple(notes), {path: _add_schema(path, rewritten.text, source)}, (str(values["metric_batch"]), name))


def _add_schema(path: str, text: str, source: Source) -> str:
    if not source.schema or "yaml-language-server" in text:
        return text
    return f"# yaml-language-server: $schema={'../' * path.count('/') or './'}batch.schema.json\n{text}"


def _tell(changes: tuple[Change, ...], document: Document, path: str) -> Iterator[Note]:
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


def _import_defaults(source: Source) -> tuple[dict[str, Any], list[Note]]:
    text = source.files.get(DEFAULTS, "")
    document = parse_document(text, DEFAULTS) if text is not None else parse_document("[", DEFAULTS)
    if not document.readable:
        return {}, [Note(DEFAULTS, problem.line, "failed", problem.message) for problem in document.problems]
    values = document.layer.values
    used = frozenset[str]().union(*(find_variables(text, source.texts) for name, text in source.texts.items() if name.endswith(".yaml")))
    changes = translate_keys(Given(values, used, shared=True))
    return read_values(changes, values), list(_tell(changes, document, DEFAULTS))
