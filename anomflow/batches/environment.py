"""Values from outside the files: environment variables ``ANOMFLOW__<BATCH>__<KEY>`` and ``--set KEY=VALUE``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

from anomflow.batches.documents import parse_value
from anomflow.batches.layers import KeyPath, Layer, Origin
from anomflow.batches.suggestions import suggest
from anomflow.errors import Problem
from anomflow.spec import SECTIONS, owners

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX: Final = "ANOMFLOW__"
EXAMPLES_VARIABLE: Final = "ANOMFLOW_IGNORE_EXAMPLES"
_NAME_IS_FIXED: Final = "metric_batch names the batch and cannot be overridden"
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(frozen=True)
class Overrides:
    """The environment's variables by the batch that they are for, and those that are for none or for several."""

    variables: Mapping[str, Mapping[str, str]]
    problems: tuple[Problem, ...]

    def problems_of(self, batch: str) -> tuple[Problem, ...]:
        """Return the errors that concern a batch."""
        prefix = environment_prefix(batch)
        return tuple(problem for problem in self.problems if not problem.warning and problem.where.upper().startswith(prefix))


def environment_prefix(batch: str) -> str:
    """Return what the names of a batch's environment variables begin with.

    >>> environment_prefix("web-shop.eu")
    'ANOMFLOW__WEB_SHOP_EU__'
    """
    return f"{PREFIX}{re.sub(r'[^A-Za-z0-9]', '_', batch).upper()}__"


def ignores_examples(environ: Mapping[str, str]) -> bool:
    """Tell whether ``ANOMFLOW_IGNORE_EXAMPLES`` leaves the examples out; raise ValueError for an unclear value."""
    text = environ.get(EXAMPLES_VARIABLE, "").strip().lower()
    if text not in _BOOLEANS:
        raise ValueError(f"{EXAMPLES_VARIABLE} is {environ[EXAMPLES_VARIABLE]!r}; allowed: true or false")
    return _BOOLEANS[text]


def find_overrides(environ: Mapping[str, str], batches: Iterable[str]) -> Overrides:
    """Assign environment variables to batches; the longest name wins where one begins with another (`a`, `a--b`)."""
    prefixes: dict[str, list[str]] = {}
    for batch in sorted(set(batches)):
        prefixes.setdefault(environment_prefix(batch), []).append(batch)
    variables: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        fitting = [prefix for prefix in prefixes if name.startswith(prefix)]
        if not fitting:
            problems.append(_unknown_batch(name, prefixes))
            continue
        owners_of_it = prefixes[max(fitting, key=len)]
        if len(owners_of_it) > 1:
            message = f"means both batches {' and '.join(owners_of_it)}; rename one, or set the value in its file"
            problems.append(Problem(name, None, message))
            continue
        variables.setdefault(owners_of_it[0], {})[name] = environ[name]
    return Overrides(variables, tuple(problems))


def _unknown_batch(name: str, prefixes: Iterable[str]) -> Problem:
    head = "__".join(name.split("__")[:2]) + "__"
    return Problem(name, None, f"is for no batch that there is.{suggest(head, list(prefixes))}", warning=True)


@dataclass
class _Reader:
    """Gather values that are read by the types of their settings."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def read(self, key: str, value: object, origin: Origin) -> None:
        try:
            self.values[key] = parse_setting(key, value) if isinstance(value, str) else value
        except ValueError as error:
            self.refuse(key, f"{key} is {value!r}, which cannot be read: {error}", origin)
        else:
            self.origins[(key,)] = origin

    def refuse(self, key: str, message: str, origin: Origin) -> None:
        self.problems.append(Problem(origin.where, None, message, key))

    def result(self) -> tuple[Layer, tuple[Problem, ...]]:
        return Layer(self.values, self.origins), tuple(self.problems)


def read_variables(batch: str, variables: Mapping[str, str]) -> tuple[Layer, tuple[Problem, ...]]:
    """Read a batch's environment variables, each by the type of its setting."""
    prefix = environment_prefix(batch)
    known = {key.upper(): key for key in owners() if key != "metric_batch"}
    reader = _Reader()
    for name, text in variables.items():
        upper, origin = name.removeprefix(prefix), Origin("environment", name)
        if upper in known:
            reader.read(known[upper], text, origin)
        elif upper == "METRIC_BATCH":
            reader.refuse("metric_batch", _NAME_IS_FIXED, origin)
        else:
            reader.refuse(upper.lower(), f"{upper} is not a setting.{suggest(upper, list(known))}", origin)
    return reader.result()


def read_overrides(overrides: Mapping[str, object]) -> tuple[Layer, tuple[Problem, ...]]:
    """Read the values of ``--set`` (texts, by the type of the setting) or of a flow's parameters (as they are)."""
    reader = _Reader()
    for key, value in overrides.items():
        origin = Origin("set", f"--set {key}")
        if key == "metric_batch":
            reader.refuse(key, _NAME_IS_FIXED, origin)
        elif key not in owners():
            reader.refuse(key, f"{key} is not a setting.{suggest(key, list(owners()))}", origin)
        else:
            reader.read(key, value, origin)
    return reader.result()


def parse_setting(key: str, text: str) -> Any:
    """Read a text by the type of a setting: texts as they are, anything else as YAML or JSON; the empty text is no value.

    >>> parse_setting("disable_train", "False"), parse_setting("db", "123"), parse_setting("freq", "10min")
    (False, '123', '10min')
    """
    if text == "":
        return None
    if _is_text(key) or (_is_names(key) and not text.lstrip().startswith("[")):
        return text
    return parse_value(text)


def _annotation(key: str) -> Any:
    return SECTIONS[owners()[key]].model_fields[key].annotation


def _is_text(key: str) -> bool:
    annotation = _annotation(key)
    kinds = [annotation] if get_origin(annotation) in (None, Literal) else [kind for kind in get_args(annotation) if kind is not NoneType]
    return all(kind is str or get_origin(kind) is Literal for kind in kinds)


def _is_names(key: str) -> bool:
    return bool(_annotation(key) == tuple[str, ...])
