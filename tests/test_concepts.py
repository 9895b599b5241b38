"""The words of docs/concepts.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anomflow import frames, judging, scoring
from anomflow.ledger.states import AlertState, DeliveryState
from anomflow.spec import JOBS, owners

TEXT = (Path(__file__).parent.parent / "docs" / "concepts.md").read_text(encoding="utf-8")


def read_words(header: str) -> set[str]:
    """Return the first column of the table with this header."""
    table = TEXT.split(f"| {header} |", 1)[1].split("\n\n", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("job", set(JOBS)),
        ("reason", {scoring.COLD_START, judging.NOT_FINITE, judging.EXCLUDED, judging.BEFORE_START, judging.IGNORED}),
        ("status", {state.status for state in AlertState if state is not AlertState.ABSENT}),
        ("state", {state.value for state in DeliveryState if state.value != "absent"}),
        ("table", {table.name("<table_key>") for table in (frames.OBSERVATIONS, frames.MODELS, frames.ALERTS, frames.DELIVERIES)}),
    ],
)
def test_the_tables_of_the_concepts_name_what_there_is(header: str, expected: set[str]) -> None:
    assert read_words(header) == expected


def test_the_concepts_name_settings_that_exist() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)(?:: [^`]*)?`", TEXT))
    columns = {*frames.OBSERVATIONS.columns, "as_of"}
    reasons = read_words("reason") | read_words("state")
    assert named - columns - reasons <= set(owners())
