"""What becomes of each key: the table of Anomstack's defaults against ours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomflow.batches.anomstack import find_foreign
from anomflow.batches.documents import parse_document
from anomflow.importing.changes import Given
from anomflow.importing.facts import OPTIONAL, SHIPPED, is_shipped
from anomflow.importing.keys import read_values, translate_keys
from anomflow.importing.rewriting import rewrite
from anomflow.reference import ROOT, to_yaml
from anomflow.spec import owners

# Of jobs and features that this version does not have, and of such as work otherwise: they load, and do nothing.
NOT_OURS = re.findall(
    r"\w+",
    """
alert_max_n alert_metric_timestamp_max_days_ago alert_sql change_smooth_n dashboard_sql dashboard_stale_metric_max_days_ago
delete_cron_schedule delete_default_schedule_status
delete_sql disable_dashboard disable_delete disable_llmalert disable_summary llmalert_anomaly_agent_detection_prompt
llmalert_anomaly_agent_verification_prompt llmalert_cron_schedule llmalert_default_schedule_status llmalert_include_plot
llmalert_metric_rounding llmalert_metric_timestamp_max_days_ago llmalert_model llmalert_prompt_max_n llmalert_recent_n llmalert_smooth_n
llmalert_sql model_combination_method model_configs preprocess_fn preprocess_params prompt_fn summary_cron_schedule
summary_metric_timestamp_max_days_ago summary_sql tholdalert_methods tholdalert_recent_n
""",
)
# What another part of the system may have built meanwhile.
MOVING = {"model_configs", "model_combination_method", "preprocess_fn", "preprocess_params", "prompt_fn"}


def change_of(key: str, value: Any, **beside: Any) -> tuple[str, dict[str, Any], str]:
    changes = translate_keys(Given({"metric_batch": "x", key: value, **beside}))
    (change,) = (change for change in changes if change.key == key)
    return change.action, dict(change.values), change.level


@pytest.mark.parametrize("key", [*SHIPPED, *OPTIONAL])
def test_every_key_of_anomstack_is_a_setting_or_known_to_be_none(key: str) -> None:
    assert (key in owners()) != (key in set(NOT_OURS) - (MOVING & set(owners())))
    assert key in owners() or find_foreign(key) is not None


@pytest.mark.parametrize("key", SHIPPED)
def test_a_shipped_value_is_nobody_s_choice_in_the_defaults_and_one_in_a_batch(key: str) -> None:
    (shared,) = translate_keys(Given({key: SHIPPED[key]}, shared=True))

    assert shared.action == "drop"
    assert change_of(key, SHIPPED[key])[0] in {"keep", "set", "comment", "drop"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("alert_methods", "email, slack"),
        ("alert_methods", ["email", "slack"]),
        ("train_sql", "{% include './defaults/sql/train.sql' %}\n"),
        ("alert_threshold", 0.80),
    ],
)
def test_a_shipped_value_is_known_however_it_is_spelt(key: str, value: Any) -> None:
    assert is_shipped(key, value)


@pytest.mark.parametrize(("key", "value"), [("disable_alert", 0), ("alert_always", True), ("alert_threshold", 0.81), ("country", "ie")])
def test_another_value_is_none_that_ships(key: str, value: Any) -> None:
    assert not is_shipped(key, value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("alert_threshold", 0.9, ("keep", {}, "done")),
        ("alert_threshold", 9, ("comment", {}, "look")),
        ("train_min_n", 1, ("comment", {}, "look")),
        ("disable_alerts", True, ("set", {"disable_alert": True}, "done")),
        ("country", "ie", ("comment", {}, "look")),
        ("alert_treshold", 0.9, ("comment", {}, "look")),
        ("my-country", "ie", ("comment", {}, "look")),
        ("vars", 5, ("comment", {}, "look")),
        ("alert_sql", "select 1", ("comment", {}, "look")),
        ("score_sql", "select 1", ("comment", {}, "look")),
        ("train_sql", '{% include "./defaults/sql/train.sql" %}', ("drop", {}, "done")),
        ("train_sql", '{% include "./defaults/sql/mine.sql" %}', ("comment", {}, "look")),
        ("change_threshold", 5, ("keep", {}, "done")),
        ("change_smooth_n", 2, ("comment", {}, "done")),
        ("tholdalert_methods", "email", ("comment", {}, "done")),
        ("disable_delete", True, ("set", {"delete_after_n_days": 100_000}, "done")),
        ("disable_delete", False, ("comment", {}, "done")),
        ("model_path", "s3://bucket/models", ("keep", {}, "done")),
        ("model_path", "local://./models", ("keep", {}, "done")),
        ("metric_tags", {"a": {"level": 1, "on": True}}, ("set", {"metric_tags": {"a": {"level": "1", "on": "true"}}}, "done")),
        ("metric_tags", {"a": {"level": "1"}}, ("keep", {}, "done")),
        ("metric_tags", "x", ("comment", {}, "look")),
    ],
)
def test_a_key_becomes(key: str, value: Any, expected: tuple[str, dict[str, Any], str]) -> None:
    assert change_of(key, value) == expected


@pytest.mark.parametrize(
    ("freq", "expected"), [("10min", "10min"), ("10T", "10min"), ("H", "1h"), ("D", "1d"), ("2 W", "2w"), ("30S", "30s"), ("15m", "15m")]
)
def test_the_width_of_buckets_is_a_setting_of_its_own(freq: str, expected: str) -> None:
    _, values, _ = change_of("preprocess_params", {"freq": freq, "freq_agg": "sum"})

    assert values.get("freq", "15m") == expected


@pytest.mark.parametrize(("name", "expected"), [("web shop", "web_shop"), ("é/ü", ""), ("_x", "x"), (5, "5"), ("a.b-c_d", "a.b-c_d")])
def test_a_batch_gets_a_name_that_is_allowed(name: Any, expected: str) -> None:
    values = {"metric_batch": name}

    assert read_values(translate_keys(Given(values)), values)["metric_batch"] == expected


def test_a_setting_under_two_names_keeps_the_present_one() -> None:
    assert change_of("disable_alerts", True, disable_alert=False)[0] == "comment"
    assert change_of("delete_after_n_days", 30, disable_delete=True)[0] == "comment"


@pytest.mark.parametrize("key", ["alert_max_n", "country", "metrics", "since"])
def test_a_key_that_a_template_uses_becomes_a_variable(key: str) -> None:
    (change,) = translate_keys(Given({key: 5}, {key}))

    assert change.action == "variable"


@pytest.mark.parametrize(("key", "value"), [("preprocess_fn", "def preprocess(df): ..."), ("preprocess_params", {"diff_n": 0})])
def test_features_are_left_out_where_no_model_is_named(key: str, value: Any) -> None:
    assert change_of(key, value)[::2] == ("comment", "look")


def test_a_misspelt_setting_is_told_with_what_was_meant() -> None:
    (change,) = translate_keys(Given({"alert_treshold": 0.9}))

    assert change.words == "is no setting, and no template of the batch uses it. Did you mean alert_threshold?"


def is_in(key: str, value: Any, result: dict[str, Any]) -> bool:
    """Tell whether a value arrived; the variables that were there may have got company."""
    return key in result and (
        result[key] == value
        or (key == "vars" and isinstance(value, dict) and all(result[key].get(name) == part for name, part in value.items()))
    )


VALUES = st.none() | st.booleans() | st.integers(-5, 2000) | st.text(st.sampled_from("ab:#'\"{} \n\r\t\u2028\x85\x1b-%é"), max_size=8)
NESTED = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2), max_leaves=4
)
KEYS = st.sampled_from(
    [*SHIPPED, *OPTIONAL, "disable_alerts", "country", "vars", "since", "my key", "a\nmetric_batch: b", "k\u2028x: 1", "metric_bach"]
)
MIXES = st.dictionaries(KEYS, NESTED | st.sampled_from(list(SHIPPED.values())), max_size=8)


@settings(max_examples=300)
@given(MIXES, st.sampled_from(["", "# a comment\n", "\n\n# margin\n# margin\n"]), st.booleans())
def test_nothing_that_was_given_is_lost(mix: dict[str, Any], comment: str, shared: bool) -> None:
    """Each key is in the output with its value, or among what is told; and the text says just what was decided."""
    text = "".join(f"{comment}{to_yaml(key, value)}\n" for key, value in {"metric_batch": "x", **mix}.items())
    values = parse_document(text, "x.yaml").layer.values
    changes = translate_keys(Given(values, {"alert_max_n", "country", "since"}, shared=shared))

    result = read_values(changes, values)
    written = rewrite(text, changes, values)

    assert parse_document(written.text, "x.yaml").layer.values == result
    for change in changes:
        kept = is_in(change.key, values[change.key], result) or is_in(change.key, values[change.key], result.get("vars", {}))
        assert kept if change.action in {"keep", "variable"} else change.words
    assert not written.kept or written.text.count("# a comment") == text.count("# a comment")
    assert {change.key for change in changes} == set(values)


def test_every_key_is_on_the_page_about_migrating() -> None:
    page = (ROOT / "docs" / "migrating-from-anomstack.md").read_text(encoding="utf-8")

    assert [key for key in [*SHIPPED, *OPTIONAL] if page.count(f"\n| `{key}` | ") != 1] == []
