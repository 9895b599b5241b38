"""Load the batches of a metrics folder: files found, layers merged, problems gathered, each batch on its own."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import TYPE_CHECKING

from anomflow.batches.batch import Batch
from anomflow.batches.checks import find_problems
from anomflow.batches.documents import read_document
from anomflow.batches.drafts import Draft, read_drafts
from anomflow.batches.environment import Overrides, find_overrides, ignores_examples, read_overrides, read_variables
from anomflow.batches.finding import YAML_SUFFIXES, BatchFile
from anomflow.batches.layers import DEFAULT, KeyPath, Layer, Origin, merge_layers
from anomflow.batches.models import lift_resampling
from anomflow.batches.suggestions import suggest
from anomflow.batches.validation import build_spec, find_unknown_keys
from anomflow.errors import Problem, SettingsError
from anomflow.spec import owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Loaded:
    """All batches of a folder whose settings are right, and all problems of the folder, warnings included."""

    batches: Mapping[str, Batch]
    problems: tuple[Problem, ...]

    @property
    def enabled(self) -> Mapping[str, Batch]:
        """Return the batches that are not switched off by ``disable_batch``."""
        return {name: batch for name, batch in self.batches.items() if not batch.spec.common.disable_batch}

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Return the problems that keep a batch from being used."""
        return tuple(problem for problem in self.problems if not problem.warning)


@dataclass(frozen=True)
class _Folder:
    """What is known of a metrics folder before any batch of it is built."""

    path: Path
    drafts: tuple[Draft, ...]
    defaults: Layer
    shared: tuple[Problem, ...]
    overrides: Overrides
    given: Layer
    names: Mapping[str, tuple[Draft, ...]] = field(default_factory=dict)


def load_batches(folder: Path, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Loaded:
    """Load every batch under a metrics folder; a wrong file costs its own batch only, wrong defaults cost all.

    ``overrides`` (of ``--set``: texts, read by the type of the setting) hold for every batch. A missing folder is a problem, not an error.
    """
    scan = _scan(folder, environ, overrides or {})
    batches: dict[str, Batch] = {}
    problems = [*scan.shared, *scan.overrides.problems]
    for draft in scan.drafts:
        batch, found = _build(draft, scan)
        problems += found
        if batch is not None and not _errors(scan.shared):
            batches[batch.name] = batch
    return Loaded(dict(sorted(batches.items())), _in_order(problems))


def load_batch(folder: Path, name: str, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Batch:
    """Load one batch; raise SettingsError with its problems and those of the shared defaults, never with a neighbour's."""
    scan = _scan(folder, environ, overrides or {})
    drafts = scan.names.get(name, ())
    if not drafts:
        raise SettingsError([*_errors(scan.shared), _unknown_name(name, scan)])
    results = [_build(draft, scan) for draft in drafts]
    problems = [*scan.shared, *scan.overrides.problems_of(name), *(problem for _, found in results for problem in found)]
    batch = results[0][0]
    if batch is None or _errors(problems):
        raise SettingsError(_in_order(_errors(problems)))
    return batch


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Drop repetitions (a wrong default is found again with every batch) and sort by place."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda problem: (problem.where, problem.line or 0)))


def _errors(problems: tuple[Problem, ...] | list[Problem]) -> list[Problem]:
    return [problem for problem in problems if not problem.warning]


def _scan(folder: Path, environ: Mapping[str, str], overrides: Mapping[str, object]) -> _Folder:
    problems: list[Problem] = []
    if not folder.is_dir():
        message = "there is no such folder; `anomflow init BATCH` makes one, --metrics DIR names another"
        problems.append(Problem(folder.as_posix(), None, message))
    try:
        examples = not ignores_examples(environ)
    except ValueError as error:
        examples = True
        problems.append(Problem("environment", None, str(error)))
    drafts = read_drafts(folder, examples=examples)
    defaults, of_defaults = _read_defaults(folder)
    given, of_given = read_overrides(overrides)
    names: dict[str, tuple[Draft, ...]] = {}
    for draft in drafts:
        names[draft.name] = (*names.get(draft.name, ()), draft)
    shared = (*problems, *of_defaults, *of_given)
    return _Folder(folder, drafts, defaults, shared, find_overrides(environ, names), given, names)


def _read_defaults(folder: Path) -> tuple[Layer, tuple[Problem, ...]]:
    """Read the team's defaults and check them on their own, so that they are told about even without any batch."""
    path = next((path for suffix in YAML_SUFFIXES if (path := folder / "defaults" / f"defaults{suffix}").is_file()), None)
    if path is None:
        return Layer(), ()
    document = read_document(path)
    layer = document.layer
    problems = [*document.problems, *find_unknown_keys(layer)]
    if "metric_batch" in layer.values:
        problems.append(layer.problem(("metric_batch",), "metric_batch names one batch and has no place in the defaults"))
    known = {key: value for key, value in layer.values.items() if key in owners() and key != "metric_batch"}
    good = Layer(known, layer.origins)
    return good, (*problems, *build_spec(good)[1])


def _unknown_name(name: str, scan: _Folder) -> Problem:
    known = ", ".join(sorted(scan.names)) or "none"
    return Problem(scan.path.as_posix(), None, f"there is no batch {name!r}.{suggest(name, list(scan.names), 0.6)} Batches: {known}")


def _build(draft: Draft, scan: _Folder) -> tuple[Batch | None, tuple[Problem, ...]]:
    problems = list(_draft_problems(draft, scan))
    if not draft.document.readable:
        return None, tuple(problems)
    outside, of_outside = read_variables(draft.name, scan.overrides.variables.get(draft.name, {}))
    layer = reduce(merge_layers, (scan.defaults, draft.document.layer, outside, scan.given))
    layer = lift_resampling(_add_siblings(layer, draft.file, scan.path))
    problems += [*find_unknown_keys(layer), *of_outside]
    spec, of_values = build_spec(layer)
    origins = {key: layer.origins.get((key,), DEFAULT) for key in owners()}
    batch = Batch(spec, draft.file.path, scan.path, origins, layer.origins)
    problems += [*of_values, *find_problems(batch, layer, {str(problem.key) for problem in of_values})]
    if _errors(problems):
        return None, tuple(problems)
    return replace(batch, warnings=tuple(problem for problem in problems if problem.warning)), tuple(problems)


def _draft_problems(draft: Draft, scan: _Folder) -> list[Problem]:
    """Report what is wrong with a file itself: its YAML, its name."""
    problems = list(draft.document.problems)
    if draft.document.readable and "metric_batch" not in draft.document.layer.values:
        message = f"metric_batch is missing; write for example metric_batch: {draft.file.guess}"
        problems.append(Problem(draft.where, 1, message, "metric_batch"))
    namesakes = [other for other in scan.names[draft.name] if other is not draft and other.document.readable]
    for other in namesakes if draft.document.readable else []:
        message = f"metric_batch {draft.name} is also the name of {other.where}:{other.name_line}; each batch has its own"
        problems.append(Problem(draft.where, draft.name_line, message, "metric_batch"))
    return problems


def _add_siblings(layer: Layer, file: BatchFile, folder: Path) -> Layer:
    """Let the files beside a batch be its source and its preprocess function, as if it included them, where it names none."""
    has_source = layer.values.get("ingest_sql") is not None or layer.values.get("ingest_fn") is not None
    beside = {} if has_source else {"ingest_sql": file.sql, "ingest_fn": file.function}
    if layer.values.get("preprocess_fn") is None:
        beside["preprocess_fn"] = file.preprocess
    found = {key: path for key, path in beside.items() if path is not None}
    values = {key: f"{{% include {_quote(path.relative_to(folder))} %}}" for key, path in found.items()}
    origins: dict[KeyPath, Origin] = {(key,): Origin("file", path.as_posix(), 1) for key, path in found.items()}
    return merge_layers(layer, Layer(values, origins))


def _quote(path: Path) -> str:
    return json.dumps(f"./{path.as_posix()}", ensure_ascii=False)
