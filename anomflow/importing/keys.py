"""What becomes of each key of one of Anomstack's files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from anomflow.batches.anomstack import find_foreign
from anomflow.batches.layers import Layer, Origin
from anomflow.batches.suggestions import suggest
from anomflow.batches.validation import build_spec
from anomflow.importing.changes import Change, Given
from anomflow.importing.facts import JOB_QUERIES, is_shipped
from anomflow.importing.notes import Level
from anomflow.importing.special_keys import SPECIAL
from anomflow.spec import owners


def names_models(values: Mapping[str, Any]) -> bool:
    """Tell whether a file names other models than those that Anomstack ships."""
    return "model_configs" in values and not is_shipped("model_configs", values["model_configs"])


def translate_keys(given: Given) -> tuple[Change, ...]:
    """Decide what becomes of each key, so that what is kept loads here."""
    changes = [_translate(key, value, given) for key, value in given.values.items()]
    taken = {change.key for change in changes if change.action == "keep"}
    unique = [_without(change, taken) for change in changes]
    return tuple(_refuse_wrong(unique, given))


def read_values(changes: Collection[Change], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the changes leave, free variables under ``vars``."""
    result: dict[str, Any] = {}
    variables = {change.key: values[change.key] for change in changes if change.action == "variable"}
    for change in changes:
        if change.action == "keep":
            result[change.key] = values[change.key]
        elif change.action == "set":
            result |= change.values
    return {**result, "vars": {**result.get("vars", {}), **variables}} if variables else result


def _translate(key: str, value: Any, given: Given) -> Change:
    if given.shared and is_shipped(key, value) and (key in owners() or key not in given.used):
        return Change(key, "drop", words="equals what Anomstack ships, so that Anomflow's default holds")
    if key in JOB_QUERIES and is_shipped(key, value):
        return Change(key, "drop", words="is the query that Anomstack ships, so that Anomflow's own holds")
    special = SPECIAL.get(key)
    if special is not None and (change := special(value, given)) is not None:
        return change
    if key in JOB_QUERIES:
        words = "a query written for Anomstack's tables and columns decides nothing here; see docs/reference/settings.md, Queries"
        return Change(key, "comment", level="look", words=words)
    if key in owners():
        return Change(key, "keep")
    return _translate_foreign(key, value, given)


def _translate_foreign(key: str, value: Any, given: Given) -> Change:
    foreign = find_foreign(key)
    if foreign is not None and foreign.ours is not None:
        return Change(key, "set", {foreign.ours: value}, words=f"is called {foreign.ours} here")
    if key.isidentifier() and key in given.used:
        return Change(key, "variable", words="is a variable of the templates and stands under vars")
    if foreign is None:
        words = f"is no setting, and no template of the batch uses it.{suggest(key, list(owners()))}"
        return Change(key, "comment", level="look", words=words.rstrip("."))
    level: Level = "look" if foreign.fate == "not built" and not is_shipped(key, value) else "done"
    return Change(key, "comment", level=level, words=f"has no effect here: {foreign.words}")


def _without(change: Change, taken: Collection[str]) -> Change:
    """Leave a setting to the key that has its present name."""
    twice = sorted(set(change.values) & set(taken) - {change.key})
    if not twice:
        return change
    rest = {key: value for key, value in change.values.items() if key not in twice}
    words = f"{change.words}; {' and '.join(twice)} stands in the file too, and holds"
    return Change(change.key, "set" if rest else "comment", rest, "look", words)


def _refuse_wrong(changes: list[Change], given: Given) -> list[Change]:
    """Comment out what the spec refuses, so that one wrong value costs itself and not its batch."""
    values = read_values(changes, given.values)
    layer = Layer(values, {(key,): Origin("file", "") for key in values})
    wrong = {problem.key: problem.message for problem in build_spec(layer)[1]}
    return [_refuse(change, wrong) for change in changes]


def _refuse(change: Change, wrong: Mapping[str | None, str]) -> Change:
    produced = {change.key} if change.action == "keep" else set(change.values) if change.action == "set" else set[str]()
    reasons = [wrong[key] for key in sorted(produced) if key in wrong and key != "metric_batch"]
    if not reasons:
        return change
    return Change(change.key, "comment", level="look", words=f"is left out, and Anomflow's default holds: {'; '.join(reasons)}")
