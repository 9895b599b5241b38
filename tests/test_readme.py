"""What the README and the pages of docs/ show is what one gets.

A ``console`` block right after the line ``<!-- tested -->`` is run, one command after the other. Lines that start with
``$ `` are commands; those below are lines that the command must print, in this order, with ``...`` standing for any text.
An exit code other than 0 fails, unless the command ends in ``# exits N``. A block of another kind right after
``<!-- tested: PATH -->`` is written to that file. All blocks of a page are taken in their order, in one copy of the checkout.
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
PAGES = (ROOT / "README.md", ROOT / "metrics" / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^<!-- tested(?:: (?P<path>\S+))? -->\n+```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^<!-- tested.*$", re.MULTILINE)
_EXIT = re.compile(r"\s+# exits (\d+)$")
# The last two are what another test has Python and numba write at that moment.
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".anomflow", ".*_cache", ".hypothesis", "*.pyc.*", "*.tmp.*")


@dataclass(frozen=True)
class Command:
    """A command of a document, what it must print and how it must exit."""

    text: str
    expected: tuple[str, ...]
    code: int = 0


@dataclass(frozen=True)
class Page:
    """A file that a document shows."""

    path: str
    text: str


def read_steps(markdown: str) -> list[Command | Page]:
    """Return the files and commands of the tested blocks, in their order; a mark without a block of its kind is an error."""
    blocks = list(_BLOCK.finditer(markdown))
    assert len(blocks) == len(_MARK.findall(markdown)), "a mark `tested` stands before no block"
    steps: list[Command | Page] = []
    for block in blocks:
        assert (block["kind"] == "console") == (block["path"] is None), f"{block['kind']} block with the mark {block[0].splitlines()[0]}"
        parts = re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]
        steps += [read_command(part) for part in parts] if block["path"] is None else [Page(block["path"], block["text"])]
    return steps


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


def take_step(step: Command | Page, folder: Path) -> None:
    if isinstance(step, Command):
        run_command(step, folder)
    else:
        path = folder / step.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step.text, encoding="utf-8")


def name_page(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def find_links() -> list[tuple[Path, str]]:
    """Return each link to a file of the checkout, with the page that it stands on."""
    pattern = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
    return sorted({(page, target) for page in PAGES for target in pattern.findall(page.read_text(encoding="utf-8"))})


@pytest.mark.parametrize("page", [page for page in PAGES if _MARK.search(page.read_text(encoding="utf-8"))], ids=name_page)
def test_what_a_page_shows_is_what_one_gets(page: Path, checkout: Path) -> None:
    for step in read_steps(page.read_text(encoding="utf-8")):
        take_step(step, checkout)


@pytest.mark.parametrize(("page", "target"), find_links(), ids=str)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    assert (page.parent / target).exists()


def test_blocks_are_read_as_files_and_commands_with_what_they_print() -> None:
    markdown = "<!-- tested -->\n```console\n$ echo one\none\n\n$ false  # exits 1\n```\n\n```console\n$ not marked\n```\n"
    markdown += "<!-- tested: a/b.yaml -->\n```yaml\nc: $ 1\n```\n"
    assert read_steps(markdown) == [Command("echo one", ("one",)), Command("false", (), 1), Page("a/b.yaml", "c: $ 1\n")]


@pytest.mark.parametrize(
    "markdown", ["<!-- tested -->\n\ntext\n", "<!-- tested -->\n```yaml\na: 1\n```\n", "<!-- tested: a -->\n```console\n$ true\n```\n"]
)
def test_a_mark_that_marks_nothing_is_found(markdown: str) -> None:
    with pytest.raises(AssertionError):
        read_steps(markdown)


@pytest.mark.parametrize("command", [Command("echo two", ("one",)), Command("false", ()), Command("printf 'b\\na\\n'", ("a", "b"))])
def test_a_block_that_lies_is_found(command: Command, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(command.text)):
        run_command(command, tmp_path)


def test_dots_stand_for_any_text() -> None:
    assert find_missing(("3 alerts ... seconds",), "found\n3 alerts in 2.1 seconds\n") is None
