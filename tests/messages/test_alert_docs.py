"""What docs/alerts.md promises: its settings are right, its templates render, its names are all there are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from anomflow.alert_words import KINDS, AlertView
from anomflow.batches import load_batches
from anomflow.letters import Entry, Letter
from blocks.notifiers.email import EmailNotifier
from blocks.notifiers.slack import SlackNotifier

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def read_row(first: str) -> set[str]:
    """Return the names in the row of a table that starts so."""
    (row,) = re.findall(rf"^\| {re.escape(first)} \|(.*)\|$", PAGE, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_settings_validates(number: int, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "shop.yaml").write_text(f"metric_batch: shop\ningest_sql: select 1\n{SNIPPETS[number]}")
    assert [str(problem) for problem in load_batches(tmp_path, {}).problems] == []


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) == 3


@pytest.mark.parametrize(("row", "cls"), [("`letter`", Letter), ("an entry", Entry), ("an alert", AlertView)])
def test_a_template_may_use_what_the_page_says(row: str, cls: type) -> None:
    public = {field.name for field in fields(cls)} | {name for name, value in vars(cls).items() if isinstance(value, property)}
    assert read_row(row) - {"name", "title"} == public - {"title"}


def test_the_page_names_the_variables_of_the_channels() -> None:
    named = read_row("`slack`") | read_row("`email`")
    assert {name.removeprefix("ANOMFLOW_SLACK").removeprefix("ANOMFLOW_EMAIL") for name in named} >= {
        f"_{name.upper()}" for cls in (SlackNotifier, EmailNotifier) for name in cls.model_fields
    }


def test_the_page_shows_the_shapes_of_the_kinds() -> None:
    shown = dict(re.findall(r"^\| (\w[\w ]*) \| .* \| (\S) \|$", PAGE, re.MULTILINE))
    looks = {label: shape for label, _, shape in KINDS.values()}
    assert shown == {label: looks[label] for label in shown}
    assert len(shown) == 8
