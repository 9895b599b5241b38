"""Where everything lies that a batch gives no other place."""

from __future__ import annotations

import os
from pathlib import Path


def find_home() -> Path:
    """Return the folder named by ``ANOMFLOW_HOME``, else ``.anomflow`` in the working directory."""
    return Path(os.environ.get("ANOMFLOW_HOME") or ".anomflow")
