"""What the pages about deploying name exists: commands and their options, snippets that load, services, build arguments."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.main import build_app

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "deploy").glob("*.md"))
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMMAND = re.compile(r"(?:^\$ (?:\w+=\S+ )*|`|run: \.venv/bin/)(anomflow [^`\n#|]+)", re.MULTILINE)
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def find_commands() -> list[tuple[str, str]]:
    return sorted({(name, " ".join(text.split())) for name, page in TEXTS.items() for text in COMMAND.findall(page)})


def find_options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def find_unknown(text: str) -> list[str]:
    """Return the words of a command of ours that its command line does not have."""
    words = shlex.split(text)[1:]
    command: Any = get_command(build_app())
    known = find_options(command)
    while words and hasattr(command, "commands"):
        word = words.pop(0)
        if word.startswith("-"):
            return [] if word in known else [word]
        if word not in command.commands:
            return [word]
        command = command.commands[word]
        known |= find_options(command)
    return [word for word in words if word.startswith("-") and word.split("=")[0] not in known]


@pytest.mark.parametrize(("page", "text"), find_commands(), ids=str)
def test_a_command_of_ours_exists_with_its_options(page, text):
    assert find_unknown(text) == [], page


def test_a_command_that_is_not_there_is_found():
    assert find_unknown("anomflow snyc") == ["snyc"]
    assert find_unknown("anomflow sync --chekc") == ["--chekc"]


@pytest.mark.parametrize(("page", "text"), [(name, text) for name, page in TEXTS.items() for text in BLOCK.findall(page)])
def test_a_snippet_loads(page, text):
    assert isinstance(yaml.safe_load(text), dict), page


def test_the_pages_of_all_targets_are_there():
    assert {"overview.md", "prefect-cloud.md", "cloud-run.md", "ecs.md", "self-hosted.md", "codespaces.md"} <= TEXTS.keys()


@pytest.mark.parametrize("page", [name for name, text in TEXTS.items() if "$ prefect worker start" in text or "$ anomflow apply" in text])
def test_a_page_that_starts_a_worker_or_applies_says_at_which_api(page):
    assert "PREFECT_API_URL" in TEXTS[page]


def test_build_arguments_and_services_that_pages_name_exist():
    text = "\n".join(TEXTS.values())
    arguments = set(re.findall(r"--build-arg (\w+)=", text))
    assert {"ANOMFLOW_EXTRAS", "DEBIAN_PACKAGES"} <= arguments <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"docker compose (?:run --rm|logs --follow) (\w+)", text)) <= COMPOSE["services"].keys()


def test_the_codespace_installs_and_forwards_the_server():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert (container["postCreateCommand"], container["forwardPorts"]) == ("make install", [4200])
    assert set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)) >= {"install"}
