"""What a wrong name was probably meant to be."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def suggest(name: str, known: Sequence[str], cutoff: float = 0.75) -> str:
    """Return the sentence that names what was probably meant, with a space before it; empty where nothing comes near.

    >>> suggest("alert_treshold", ["alert_threshold", "db"])
    ' Did you mean alert_threshold?'
    """
    close = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f" Did you mean {close[0]}?" if close else ""
