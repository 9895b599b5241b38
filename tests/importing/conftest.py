"""A checkout of Anomstack made of texts, and the command that imports it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import build_app


@pytest.fixture
def write_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Path]:
    """Write files of Anomstack by their path in its metrics folder, and stand beside it with an empty one of ours."""
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = Path("theirs/metrics") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Path("theirs/metrics")

    return write


@pytest.fixture
def bring() -> Callable[..., Result]:
    """Run `anomflow import theirs` with further arguments."""
    return lambda *arguments: CliRunner().invoke(build_app(), ["import", "theirs", *arguments])
