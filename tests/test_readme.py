"""What the README shows is what one gets.

A ``console`` block right after the line ``<!-- tested -->`` is run, one command after the other, in a copy of the
checkout. Lines that start with ``$ `` are commands; those below are lines that the command must print, in this
order, with ``...`` standing for any text. An exit code other than 0 fails, unless the command ends in ``# exits N``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

_BLOCK = re.compile(r"^<!-- tested -->\n+```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exits (\d+)$")
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".anomflow", ".*_cache", ".hypothesis", "__pycache__")


@dataclass(frozen=True)
class Command:
    """A command of a document, what it must print and how it must exit."""

    text: str
    expected: tuple[str, ...]
    code: int = 0


def read_blocks(markdown: str) -> list[tuple[Command, ...]]:
    """Return the commands of each tested block; text before the first command of a block is an error."""
    return [tuple(read_command(part) for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]) for block in _BLOCK.findall(markdown)]


def read_command(part: str) -> Command:
    first, *expected = part.rstrip("\n").split("\n")
    exits = _EXIT.search(first)
    return Command(_EXIT.sub("", first), tuple(line for line in expected if line.strip()), int(exits[1]) if exits else 0)


def find_missing(expected: tuple[str, ...], output: str) -> str | None:
    """Return the first expected line that the output lacks after those before it, or None."""
    lines = iter(output.splitlines())
    patterns = ((line, re.compile(re.escape(line.strip()).replace(r"\.\.\.", ".*"))) for line in expected)
    return next((line for line, pattern in patterns if not any(pattern.search(found) for found in lines)), None)


def run_command(command: Command, folder: Path) -> None:
    shell = ["bash", "-c", command.text]  # a document's commands are the reader's shell's
    done = subprocess.run(shell, cwd=folder, env=build_environment(folder), capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == command.code, f"$ {command.text}\n{output}"
    assert find_missing(command.expected, output) is None, f"$ {command.text}\n{output}"


def build_environment(folder: Path) -> dict[str, str]:
    """Use this Python and its commands on the copy's code, with everything that Anomflow keeps inside the copy."""
    tools = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "ANOMFLOW_HOME": str(folder / ".anomflow"),
        "PREFECT_HOME": str(folder / ".prefect"),
        "COLUMNS": "160",
        "NO_COLOR": "1",
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path / "checkout", ignore=_LEFT_OUT))


@pytest.mark.parametrize("commands", read_blocks(README), ids=lambda commands: commands[0].text)
def test_a_block_of_the_readme_runs(commands: tuple[Command, ...], checkout: Path) -> None:
    for command in commands:
        run_command(command, checkout)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", README))))
def test_a_link_of_the_readme_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_a_block_is_read_as_commands_with_what_they_print() -> None:
    markdown = "<!-- tested -->\n```console\n$ echo one\none\n\n$ false  # exits 1\n```\n\n```console\n$ not marked\n```\n"
    assert read_blocks(markdown) == [(Command("echo one", ("one",)), Command("false", (), 1))]


@pytest.mark.parametrize("command", [Command("echo two", ("one",)), Command("false", ()), Command("printf 'b\\na\\n'", ("a", "b"))])
def test_a_block_that_lies_is_found(command: Command, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(command.text)):
        run_command(command, tmp_path)


def test_dots_stand_for_any_text() -> None:
    assert find_missing(("3 alerts ... seconds",), "found\n3 alerts in 2.1 seconds\n") is None
