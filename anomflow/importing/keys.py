"""What becomes of each key of one of Anomstack's files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from anomflow.batches.anomstack import find_foreign
from anomflow.batches.layers import Layer, Origin
from anomflow.batches.suggestions import suggest
from anomflow.batches.validation import build_spec
from anomflow.importing.facts import JOB_QUERIES, is_shipped
from anomflow.importing.notes import Level
from anomflow.spec import MAX_DAYS, owners

Action = Literal["keep", "set", "variable", "comment", "drop"]

_BUCKETS: Final = {"s3://": "s3-bucket", "gs://": "gcs-bucket"}
BUCKET_BLOCK: Final = "anomstack-models"
_FEATURE_WORDS: Final = "features are made for models that model_configs names, and the default detector needs none"
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
# pandas' spellings of widths of buckets, by the unit here.
_UNITS: Final = {"t": "min", "min": "min", "h": "h", "d": "d", "s": "s", "w": "w"}
_FREQ: Final = re.compile(r"(\d*)\s*([A-Za-z]+)")


@dataclass(frozen=True)
class Change:
    """What becomes of a key: kept, set otherwise (``values``), a variable, commented out, or dropped; and what to tell."""

    key: str
    action: Action
    values: Mapping[str, Any] = field(default_factory=dict)
    level: Level = "done"
    words: str = ""


@dataclass(frozen=True)
class Given:
    """The keys of a file, and the variables that its templates use; ``shared`` for the defaults of all batches.

    ``models`` tells whether this file or the defaults name models of PyOD, which features are made for.
    """

    values: Mapping[str, Any]
    used: Collection[str] = ()
    shared: bool = False
    models: bool = False


def names_models(values: Mapping[str, Any]) -> bool:
    """Tell whether a file names other models than those that Anomstack ships."""
    return "model_configs" in values and not is_shipped("model_configs", values["model_configs"])


def translate_keys(given: Given) -> tuple[Change, ...]:
    """Decide what becomes of each key, so that what is kept loads here."""
    changes = [_translate(key, value, given) for key, value in given.values.items()]
    taken = {name for change in changes if change.action == "keep" for name in [change.key]}
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
    if key in JOB_QUERIES and "defaults/sql/" in str(value):
        return Change(key, "drop", words="is the query that Anomstack ships, so that Anomflow's own holds")
    special = _SPECIAL.get(key)
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


def _translate_name(value: Any, _given: Given) -> Change | None:
    text = str(value)
    name = _ODD.sub("_", text).lstrip("_.-")[:120]
    if name == value:
        return None
    words = f"becomes {name!r}, since names are letters, digits, _ . and -; rows that are stored as {text!r} keep that name"
    return Change("metric_batch", "set", {"metric_batch": name}, "look", words)


def _translate_store(value: Any, _given: Given) -> Change | None:
    kind = next((kind for scheme, kind in _BUCKETS.items() if str(value).startswith(scheme)), None)
    if kind is None:
        return None
    words = f"becomes the block {kind}/{BUCKET_BLOCK}, which is to be made for {value!r}; models are fitted anew"
    return Change("model_path", "set", {"model_path": f"{kind}/{BUCKET_BLOCK}"}, "look", words)


def _translate_features(value: Any, given: Given) -> Change | None:
    """Take the width of buckets out of the parameters of features: it is a setting of its own."""
    if not isinstance(value, dict) or not {"freq", "freq_agg"} & set(value):
        return _leave_features("preprocess_params", given)
    rest = {name: part for name, part in value.items() if name not in {"freq", "freq_agg"}}
    values: dict[str, Any] = {"preprocess_params": rest} if rest and given.models and "preprocess_params" in owners() else {}
    if value.get("freq") is not None:
        values |= {"freq": _read_freq(str(value["freq"])), "freq_agg": value.get("freq_agg", "mean")}
    left = "" if "preprocess_params" in values or not rest else f"; {', '.join(rest)} have no effect: {_FEATURE_WORDS}"
    words = f"becomes {' and '.join(values) or 'nothing'}{left}"
    return Change("preprocess_params", "set" if values else "comment", values, "look" if left else "done", words)


def _translate_hook(_value: Any, given: Given) -> Change | None:
    return _leave_features("preprocess_fn", given)


def _leave_features(key: str, given: Given) -> Change | None:
    """Leave out how features are made where no model is given any."""
    if given.models:
        return None
    return Change(key, "comment", level="look", words=f"has no effect here: {_FEATURE_WORDS}")


def _read_freq(text: str) -> str:
    match = _FREQ.fullmatch(text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    return f"{match[1] or 1}{unit}" if match and unit else text


def _keeps_all(value: object) -> bool:
    return str(value).lower() in {"true", "yes", "1"}


def _translate_retention(value: Any, _given: Given) -> Change | None:
    """Keep all rows where deleting was switched off: here ingest drops old rows by itself."""
    if not _keeps_all(value):
        return None
    words = f"becomes delete_after_n_days: {MAX_DAYS}, since ingest drops old rows by itself"
    return Change("disable_delete", "set", {"delete_after_n_days": MAX_DAYS}, words=words)


def _translate_days(_value: Any, given: Given) -> Change | None:
    if not _keeps_all(given.values.get("disable_delete")):
        return None
    return Change("delete_after_n_days", "comment", words="had no effect, since disable_delete is set")


def _translate_tags(value: Any, _given: Given) -> Change | None:
    """Write tags as texts, which is what they are shown as."""
    tags = value if isinstance(value, dict) and all(isinstance(of_metric, dict) for of_metric in value.values()) else {}
    texts = {str(name): {str(tag): _as_text(text) for tag, text in of_metric.items()} for name, of_metric in tags.items()}
    return None if texts == tags else Change("metric_tags", "set", {"metric_tags": texts}, words="holds texts only, so others became texts")


def _as_text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _translate_vars(value: Any, _given: Given) -> Change | None:
    if isinstance(value, dict):
        return None
    return Change("vars", "comment", level="look", words="is the name of the mapping of all variables here; rename it in the templates too")


_SPECIAL: Final = {
    "metric_batch": _translate_name,
    "model_path": _translate_store,
    "preprocess_fn": _translate_hook,
    "preprocess_params": _translate_features,
    "disable_delete": _translate_retention,
    "delete_after_n_days": _translate_days,
    "metric_tags": _translate_tags,
    "vars": _translate_vars,
}


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
