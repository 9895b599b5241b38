"""docs/detection.md tells of the views that there are, and shows pictures that exist."""

from __future__ import annotations

import re
from pathlib import Path

from anomflow.detectors.multiview.layout import SHARED_WEIGHTS, STATE_VIEWS, STATE_WEIGHTS, VIEWS, WEIGHTS

PAGE = Path(__file__).parent.parent.parent / "docs" / "detection.md"
TEXT = PAGE.read_text(encoding="utf-8")


def read_views() -> dict[str, str]:
    """Return which scores each view of the table takes part in."""
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| ([^|]+) \|$", TEXT, flags=re.MULTILINE)
    return {name: scores for names, scores in rows for name in re.findall(r"`(\w+)`", names)}


def weigh(scores: str, score: str) -> float:
    """Return the weight that the words of the table give a view in a score."""
    found = re.search(rf"\b{score}\b(,? twice)?", scores)
    return 0.0 if found is None else 2.0 if found[1] else 1.0


def test_the_page_tells_the_views_and_their_weights() -> None:
    told = {name: (weigh(scores, "A"), weigh(scores, "S")) for name, scores in read_views().items()}
    shared = {name: (WEIGHTS[i], SHARED_WEIGHTS[i]) for i, name in enumerate(VIEWS)}
    alone = {name: (0.0, STATE_WEIGHTS[i]) for i, name in enumerate(STATE_VIEWS)}
    assert told == {**shared, **alone}


def test_the_pictures_of_the_page_exist() -> None:
    names = re.findall(r"\]\((images/[^)]+)\)", TEXT)
    assert len(names) == 3
    assert all((PAGE.parent / name).is_file() for name in names)
