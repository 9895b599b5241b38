from __future__ import annotations

import pytest

from anomflow.decisions.names import find_tags

TAGS = {
    "*": {"team": "shop", "tier": "3"},
    "orders_*": {"team": "checkout"},
    "orders_de": {"team": "germany", "page": "de"},
    "*_de": {"tier": "1", "page": "all"},
}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("visits", {"team": "shop", "tier": "3"}),
        ("orders_at", {"team": "checkout", "tier": "3"}),
        ("visits_de", {"team": "shop", "tier": "1", "page": "all"}),
        ("orders_de", {"team": "germany", "tier": "1", "page": "de"}),
        ("*", {"team": "shop", "tier": "3"}),
        ("a\nb", {"team": "shop", "tier": "3"}),
    ],
)
def test_a_metric_has_the_tags_of_all_that_matches_and_its_own_name_wins(metric: str, expected: dict[str, str]) -> None:
    assert find_tags(metric, TAGS) == expected


def test_characters_of_patterns_stand_for_themselves() -> None:
    assert find_tags("a+b", {"a.b": {"x": "1"}, "a?b": {"x": "2"}, "[a]+b": {"x": "3"}}) == {}


def test_without_tags_there_are_none() -> None:
    assert find_tags("orders", {}) == {}
