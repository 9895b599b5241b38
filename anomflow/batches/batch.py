"""One batch as it was loaded: its settings, its file, where each value came from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.layers import DEFAULT, KeyPath, Origin
from anomflow.spec import SECTIONS, BatchSpec, owners
from anomflow.sql import Template, resolve_include

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anomflow.detectors import Choice
    from anomflow.errors import Problem
    from anomflow.sections.detector import DetectorSpec

_LONE_INCLUDE: Final = re.compile(r"""\s*\{%-?\s*include\s+(?P<quote>["'])(?P<name>[^"']+)(?P=quote)\s*-?%\}\s*""")
_KINDS: Final = ("default", "file", "environment", "set")
_MESSAGE_TEMPLATES: Final = {"alert_message_subject", "alert_message_text", "alert_message_html"}
_ANY_INCLUDE: Final = re.compile(r"\{%-?\s*include\b")


@dataclass(frozen=True)
class FunctionSource:
    """Python source of an ingest or preprocess function.

    With ``path`` it is that whole file, to be imported as a module; else ``text`` stands in ``where`` from ``line`` on.
    """

    text: str
    where: str
    line: int = 1
    path: Path | None = None


@dataclass(frozen=True)
class Batch:
    """The effective settings of a batch and their provenance.

    ``folder`` is the metrics folder, ``origins`` has an entry for each flat key, ``paths`` also for the values inside.
    """

    spec: BatchSpec
    path: Path
    folder: Path
    origins: Mapping[str, Origin] = field(repr=False)
    paths: Mapping[KeyPath, Origin] = field(repr=False, default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        """Return the batch's name."""
        return self.spec.name

    def value(self, key: str) -> Any:
        """Return the effective value of a flat key."""
        return getattr(getattr(self.spec, owners()[key]), key)

    def values(self) -> dict[str, Any]:
        """Return the effective value of each flat key, in the order of the sections."""
        return {key: self.value(key) for section in SECTIONS.values() for key in section.model_fields}

    def sources(self, key: str) -> tuple[Origin, ...]:
        """Return the origins of a setting: one, or those of all parts of a mapping that several layers made."""
        inside = (origin for path, origin in self.paths.items() if path[0] == key and not isinstance(path[-1], int))
        places = {(origin.kind, origin.where): origin for origin in (*inside, self.origins[key])}
        return tuple(sorted(places.values(), key=lambda origin: (_KINDS.index(origin.kind), origin.where)))

    def variables(self) -> dict[str, object]:
        """Return what the batch's templates may use: its settings by key (but not its sources) and its ``vars``."""
        settings = {key: value for key, value in self.values().items() if not _is_source(key)}
        return {**settings, **self.spec.common.vars}

    def template(self, key: str) -> Template | None:
        """Return the template under a key such as ``ingest_sql``, or None where the batch has none (or no such key)."""
        text = self.value(key) if key in owners() else None
        if text is None:
            return None
        origin = self.origins.get(key, DEFAULT)
        line = origin.text_line or origin.line or 1
        return Template(text, origin.where, line, self.folder, folded=origin.text_line is None)

    @property
    def function(self) -> FunctionSource | None:
        """Return the source of the ingest function; a lone include is its file. Raises OSError, UnicodeDecodeError for that file."""
        return self.find_source("ingest_fn")

    @property
    def detector(self) -> Choice:
        """Return the detector that the settings choose, with all that it is built from; the default one where each metric has its own.

        Raises as ``find_source``.
        """
        from anomflow.detectors import DEFAULT_DETECTOR, Choice  # noqa: PLC0415 - imports numpy, which settings do not need

        spec = self.spec.detector
        is_default = not spec.model_configs or spec.model_configs[0].model_name == DEFAULT_DETECTOR
        if is_default or spec.alternatives:
            return Choice(options=find_calendar_options(self.spec))
        return self._build_choice(spec)

    @property
    def alternatives(self) -> Mapping[str, Choice]:
        """Return the detectors that may be chosen for a metric instead of the default one, by label. Raises as ``find_source``."""
        spec = self.spec.detector
        alone = {model.label: {"model_configs": (model,), "model_selection": "fixed"} for model in spec.alternatives}
        return {label: self._build_choice(spec.model_copy(update=update)) for label, update in alone.items()}

    def _build_choice(self, spec: DetectorSpec) -> Choice:
        from anomflow.detectors import PYOD, Choice  # noqa: PLC0415 - as above
        from anomflow.detectors.pyod_models.recipe import Recipe  # noqa: PLC0415 - only batches that name a model need it
        from anomflow.preprocessing import PreprocessHook  # noqa: PLC0415 - as above

        source = self.find_source("preprocess_fn")
        if source is None:
            return Choice(PYOD, Recipe(spec).options)
        # Relative to the metrics folder: the same batch elsewhere has the same models.
        where = source.path.relative_to(self.folder).as_posix() if source.path is not None else self.path.name
        return Choice(PYOD, Recipe(spec, PreprocessHook(source.text, where, source.line)).options)

    def find_source(self, key: str) -> FunctionSource | None:
        """Return the source under ``ingest_fn`` or ``preprocess_fn``; a lone include is its file.

        Raises OSError, UnicodeDecodeError for that file.
        """
        text = self.value(key)
        if text is None:
            return None
        included = find_lone_include(text)
        path = None if included is None else resolve_include(self.folder, included)
        if path is not None:
            return FunctionSource(path.read_text(encoding="utf-8-sig"), path.as_posix(), 1, path)
        origin = self.origins.get(key, DEFAULT)
        return FunctionSource(text, origin.where, origin.text_line or origin.line or 1)


def find_calendar_options(spec: BatchSpec) -> dict[str, Any]:
    """Return what the default detector is told of local time and of days unlike others: nothing where all is as in UTC."""
    epoch = date(1970, 1, 1)
    calendar = spec.calendar
    special = {name: [(day - epoch).days for day in sorted(set(days))] for name, days in calendar.special_days.items()}
    options = {"timezone": spec.common.timezone, "holidays": list(calendar.holidays), "special_days": special}
    return {key: value for key, value in options.items() if value and value != "UTC"}


def _is_source(key: str) -> bool:
    return key.endswith(("_sql", "_fn")) or key in _MESSAGE_TEMPLATES


def find_lone_include(text: str) -> str | None:
    """Return the name that a text includes, where the include is all of the text.

    >>> find_lone_include("{%- include './sales/sales.py' -%}")
    './sales/sales.py'
    """
    match = _LONE_INCLUDE.fullmatch(text)
    return None if match is None else match["name"]


def has_include(text: str) -> bool:
    """Tell whether a text includes a file anywhere."""
    return _ANY_INCLUDE.search(text) is not None
