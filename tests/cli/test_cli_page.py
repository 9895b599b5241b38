"""docs/cli.md says what `--help` says."""

from __future__ import annotations

from cli.reference import PAGE, build_page


def test_the_page_is_not_stale():
    text = PAGE.read_text(encoding="utf-8")
    assert build_page(text) == text, "stale; write it by `PYTHONPATH=. python -m cli.reference`"
