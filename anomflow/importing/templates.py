"""What templates use: variables and files, through all includes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from jinja2 import Environment, TemplateSyntaxError, meta

# Text is only parsed here, never rendered.
_PARSER = Environment(autoescape=False)  # noqa: S701 - as above; SQL is not HTML


def find_variables(text: str, files: Mapping[str, str]) -> frozenset[str]:
    """Find the variables that a template and the files that it includes leave for others to give."""
    texts = [text, *(files[name] for name in find_includes(text, files))]
    return frozenset(name for part in texts for name in _find_undeclared(part))


def _find_undeclared(text: str) -> set[str]:
    try:
        return meta.find_undeclared_variables(_PARSER.parse(text))
    except (TemplateSyntaxError, RecursionError):  # the loader tells, with its line
        return set()


def find_includes(text: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """Find the files that a template includes, and those that these include; names that are no file are left out."""
    found: dict[str, None] = {}
    rest = [text]
    while rest:
        new = [name for name in _find_referenced(rest.pop()) if name in files and name not in found]
        found |= dict.fromkeys(new)
        rest += [files[name] for name in new]
    return tuple(found)


def _find_referenced(text: str) -> Iterator[str]:
    try:
        names = list(meta.find_referenced_templates(_PARSER.parse(text)))
    except (TemplateSyntaxError, RecursionError):  # as above
        return
    yield from (PurePosixPath(name).as_posix() for name in names if name is not None)
