"""Texts that Prefect takes for templates when it deploys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = re.compile(r"\{\{\s*\$([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_MARKS: Final = ("{{", "}}", "{%", "%}")


def find_variable(text: str) -> tuple[tuple[str, ...], str]:
    """Return the names of the environment variables that a text is filled with, and the text without them.

    >>> find_variable("registry/{{ $NAME }}:1")
    (('NAME',), 'registry/:1')
    """
    return tuple(_VARIABLE.findall(text)), _VARIABLE.sub("", text)


def fill_text(text: str, environ: Mapping[str, str]) -> str:
    """Fill the variables of a text; each of them is set.

    >>> fill_text("registry/{{ $NAME }}:1", {"NAME": "shop"})
    'registry/shop:1'
    """
    return _VARIABLE.sub(lambda match: environ[match[1]], text)


def find_template(text: str) -> str | None:
    """Return the mark of a template in a text; None where it has none."""
    return next((mark for mark in _MARKS if mark in text), None)
