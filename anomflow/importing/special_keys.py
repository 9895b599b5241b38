"""The keys whose values mean something else here, and what becomes of each."""

from __future__ import annotations

import re
from typing import Any, Final

from anomflow.importing.changes import Change, Given
from anomflow.sections.base import MAX_DAYS
from anomflow.spec import owners

_FEATURE_WORDS: Final = "features are made for models that model_configs names, and the default detector needs none"
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
# pandas' spellings of widths of buckets, by the unit here.
_UNITS: Final = {"t": "min", "min": "min", "h": "h", "d": "d", "s": "s", "w": "w"}
_FREQ: Final = re.compile(r"(\d*)\s*([A-Za-z]+)")


def _translate_name(value: Any, _given: Given) -> Change | None:
    text = str(value)
    name = _ODD.sub("_", text).lstrip("_.-")[:120]
    if name == value:
        return None
    words = f"becomes {name!r}, since names are letters, digits, _ . and -; rows that are stored as {text!r} keep that name"
    return Change("metric_batch", "set", {"metric_batch": name}, "look", words)


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


SPECIAL: Final = {
    "metric_batch": _translate_name,
    "preprocess_fn": _translate_hook,
    "preprocess_params": _translate_features,
    "disable_delete": _translate_retention,
    "delete_after_n_days": _translate_days,
    "metric_tags": _translate_tags,
    "vars": _translate_vars,
}
