"""The command in a shell: completion, pipes that close, colours that are not wanted, examples of the help."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.main import build_app
from tests.cli.terminal import talk
from tests.world import START, Clock, World, at, series

COMMAND = [sys.executable, "-m", "cli.main"]
APP: Any = typer.main.get_command(build_app())


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    world.put(series("orders", 401, spikes=(390,)))
    world.configure("alert_threshold: 0.7\n")
    world.configure(batch="shelf")
    world.run("ingest", "train", "score", as_of=at(380))
    world.run("ingest", "score", as_of=at(400))
    return world


def complete(world: World, words: str) -> list[str]:
    line = f"anomflow --metrics {world.folder / 'metrics'} {words}"
    count = len(shlex.split(line)) - (not line.endswith(" "))
    program = "from cli.main import build_app; build_app()(prog_name='anomflow')"
    environ = {**os.environ, "_ANOMFLOW_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(count)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_batches_jobs_and_settings_are_completed(shop: World):
    assert complete(shop, "list sh") == ["shelf", "shop"]
    assert complete(shop, "query sho") == ["shop"]
    assert complete(shop, "run sc") == ["score"]
    assert complete(shop, "run score sh") == ["shelf", "shop"]
    assert "train_min_n=" in complete(shop, "run score shop --set train_m")


def test_ids_of_alerts_are_completed(shop: World):
    ids = list(shop.alerts()["alert_id"])
    assert sorted(complete(shop, "alerts show ")) == sorted(ids)
    assert complete(shop, f"alerts resolve {ids[0][:6]}") == [ids[0]]


def test_a_folder_that_is_not_there_completes_nothing(tmp_path: Path):
    assert complete(World(tmp_path, Clock(START)), "list sh") == []


def test_a_pipe_that_closes_early_is_no_error(shop: World):
    words = shlex.join([*COMMAND, "--metrics", str(shop.folder / "metrics")])
    sql = shlex.quote("select * from metrics, range(20)")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{words} query shop {sql} --limit 90000 | head -1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_terminal_gets_its_width_and_bold_headings_unless_asked_not_to(shop: World, monkeypatch: pytest.MonkeyPatch):
    words = ["--metrics", str(shop.folder / "metrics"), "alerts"]
    monkeypatch.setenv("NO_COLOR", "1")
    plain = talk(words, {})
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 200
    assert "..." in plain
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[1m" in talk(words, {})


def find_examples() -> list[str]:
    found: list[str] = []
    groups = [APP]
    for group in groups:
        found += re.findall(r"Example: anomflow (.*)", group.help or "")
        for command in group.commands.values():
            if hasattr(command, "commands"):
                groups.append(command)
            else:
                found += re.findall(r"Example: anomflow (.*)", command.help or "")
    return found


@pytest.mark.parametrize("example", find_examples())
def test_an_example_of_the_help_is_understood(example: str):
    command, arguments, context = APP, shlex.split(example), None
    while hasattr(command, "commands"):
        context = command.make_context("anomflow", list(arguments), parent=context)
        _, command, arguments = command.resolve_command(context, [*getattr(context, "_protected_args", []), *context.args])
    assert command.make_context("anomflow", list(arguments), parent=context).command is command


def test_the_help_has_examples_of_every_command():
    assert {example.split()[0] for example in find_examples()} == set(APP.commands)
