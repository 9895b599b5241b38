"""Run the command in this process and read what it printed."""

from __future__ import annotations

import json
from typing import Any

from typer.testing import CliRunner, Result

from cli.main import build_app
from tests.world import World


def invoke(world: World, *words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(build_app(), ["--metrics", str(world.folder / "metrics"), *words], input=stdin)


def read(world: World, *words: str, code: int = 0) -> Any:
    result = invoke(world, "--json", *words)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)
