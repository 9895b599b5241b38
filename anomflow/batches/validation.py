"""Merged values as a spec, or all that is wrong with their types and bounds."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel, ValidationError

from anomflow.batches.anomstack import find_foreign
from anomflow.batches.suggestions import suggest
from anomflow.spec import SECTIONS, BatchSpec, owners

if TYPE_CHECKING:
    from anomflow.batches.layers import KeyPath, Layer
    from anomflow.errors import Problem

_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text (in quotes)",
    "dict": "a mapping",
    "model": "a mapping",
    "tuple": "a list",
    "time": "a duration such as 90s, 10min, 36h, 2d or 1w",
}
_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_BOUNDS: Final = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_BOUND_ERRORS: Final = ("greater_than_equal", "greater_than", "less_than_equal", "less_than")


def find_unknown_keys(layer: Layer) -> Iterator[Problem]:
    """Report keys that are no settings; those of Anomstack only as warnings."""
    for key in layer.values:
        if key in owners():
            continue
        foreign = find_foreign(key)
        if foreign is not None and foreign.ours is None:
            yield layer.problem((key,), f"{key} is a setting of Anomstack without effect in this version: {foreign.words}", warning=True)
        elif foreign is not None:
            yield layer.problem((key,), f"{key} is not a setting; {foreign.words}")
        else:
            hint = suggest(key, list(owners())) or " Variables of your own for templates stand under vars:"
            yield layer.problem((key,), f"{key} is not a setting.{hint}")


def build_spec(layer: Layer) -> tuple[BatchSpec, tuple[Problem, ...]]:
    """Build the spec of known keys, and report every value of a wrong type or out of bounds.

    A wrong value is left out, so that the others can still be checked; a batch without a right name is called `unnamed`.
    """
    problems = tuple(problem for section in SECTIONS for problem in _validate(section, _values(section, layer.values), layer))
    wrong = {problem.key for problem in problems}
    good = {key: value for key, value in layer.values.items() if key not in wrong}
    sections: dict[str, Any] = {section: _values(section, good) for section in SECTIONS}
    sections["common"].setdefault("metric_batch", "unnamed")
    return BatchSpec(**sections), problems


def _values(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if owners().get(key) == section}


def _validate(section: str, values: dict[str, Any], layer: Layer) -> tuple[Problem, ...]:
    try:
        SECTIONS[section](**values)
    except ValidationError as error:
        return tuple(describe_errors(error, layer, SECTIONS[section]))
    return ()


def describe_errors(error: ValidationError, layer: Layer, model: type[BaseModel]) -> Iterator[Problem]:
    """Yield one problem a value; the branches of a union become alternatives of one message.

    The only setting that may be missing is metric_batch, which whoever reads the file tells about.
    """
    details: dict[KeyPath, list[Mapping[str, Any]]] = {}
    for detail in (detail for detail in error.errors(include_url=False) if _is_told(detail)):
        details.setdefault(_path(detail["loc"], layer.values), []).append(dict(detail))
    for path, of_path in details.items():
        yield layer.problem(path, _message(path, of_path) + _suggest_field(model, path, of_path))


def _suggest_field(model: type[BaseModel], path: KeyPath, details: list[Mapping[str, Any]]) -> str:
    """Return what a key that a model does not have was probably meant to be, and which it has."""
    if details[0]["type"] != "extra_forbidden":
        return ""
    for step in path[:-1]:
        field = model.model_fields.get(str(step))
        model = (_find_model(field.annotation) if field is not None else None) or model
    known = list(model.model_fields)
    return f"{suggest(str(path[-1]), known)} Allowed: {', '.join(known)}"


def _find_model(annotation: Any) -> type[BaseModel] | None:
    """Find the model in an annotation such as ``dict[str, Model] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _find_model(part)) is not None), None)


def _is_told(detail: Mapping[str, Any]) -> bool:
    return detail["type"] != "missing" or len(detail["loc"]) > 1


def _path(loc: KeyPath, values: object) -> KeyPath:
    """Cut what pydantic adds to a location (a union's branch, ``[key]``), so that it names a value that there is."""
    path: KeyPath = ()
    for step in loc:
        inside = values if isinstance(values, Mapping) else dict(enumerate(values)) if isinstance(values, list) else {}
        if step not in inside:
            break
        values = inside[step]
        path = (*path, step)
    return path or loc[:1]


def _message(path: KeyPath, details: list[Mapping[str, Any]]) -> str:
    name = ".".join(str(step) for step in path)
    first = details[0]
    if first["loc"][-1] == "[key]":
        return f"{name} is not allowed here; {_wrong_name(first)}"
    if first["type"] == "extra_forbidden":
        return f"{name} is not a setting."
    if first["type"] == "missing":
        return f"{name} has no {first['loc'][-1]}, which it needs"
    if first["type"] == "value_error":
        return f"{name}: {first['ctx']['error']}"
    if first["type"] == "literal_error":
        return f"{name} is {show(first['input'])}; {_wrong_name(first)}"
    bounds = find_bounds(str(path[0])) if first["type"] in _BOUND_ERRORS else ""
    allowed = bounds or " or ".join(dict.fromkeys(_allowed(detail) for detail in details))
    return f"{name} is {show(first['input'])}; allowed is {allowed}"


def _wrong_name(detail: Mapping[str, Any]) -> str:
    if detail["type"] != "literal_error":
        return f"allowed is {_allowed(detail)} as its name"
    expected = str(detail["ctx"]["expected"])
    names = [name.strip("' ") for name in expected.replace(" or ", ", ").split(",")]
    return f"allowed: {', '.join(names)}.{suggest(str(detail['input']), names, cutoff=0.5)}"


def _allowed(detail: Mapping[str, Any]) -> str:
    kind, context = str(detail["type"]), detail.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters"
    family = kind.split("_", 1)[0]
    return _KINDS.get(family, str(detail["msg"]).removeprefix("Input should be "))


def find_bounds(key: str) -> str:
    """Say what a number may be: ``at least 1 and at most 256``; empty where nothing bounds it."""
    if key not in owners():
        return ""
    field = SECTIONS[owners()[key]].model_fields[key]
    bounds = {name: getattr(part, name) for part in field.metadata for name in _BOUNDS if hasattr(part, name)}
    return " and ".join(f"{words} {_number(bounds[name])}" for name, words in _BOUNDS.items() if name in bounds)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def show(value: object) -> str:
    """Quote a found value for a message, shortened; no value is called empty."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    return _REPR.repr(value)
