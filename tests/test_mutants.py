"""The list of sabotages fits the code that it is for; ``make mutants`` shows that each is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[1]
named = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@named
def test_the_text_to_sabotage_occurs_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert "\n" not in mutant.old + mutant.new


@named
def test_the_test_that_catches_it_exists(mutant: Mutant) -> None:
    file, _, function = mutant.test.partition("::")
    assert f"def {function or 'test_'}" in (ROOT / file).read_text(encoding="utf-8")


def test_every_law_is_sabotaged() -> None:
    assert {mutant.law for mutant in MUTANTS} == set(range(1, 10))
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
