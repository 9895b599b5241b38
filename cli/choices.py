"""Which detector the model version of a score gave a metric."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anomflow.models import FittedModel
    from cli.reading import Ledgers


def read_choice(ledgers: Ledgers, version: str, metric: str) -> str | None:
    """Say which detector a metric was given and why; None where a version chose none, or is there no more."""
    from anomflow.choices import describe_choice  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.errors import ModelError  # noqa: PLC0415 - as above
    from anomflow.frames import MODELS  # noqa: PLC0415 - as above

    rows = ledgers.read(
        MODELS, lambda session: f"{ledgers.of_batch(session)} and {session.identifier('version')} = {session.literal(version)}"
    )
    for row in (row for row in rows.iter_rows(named=True) if has_choices(row["settings"])):
        try:
            chosen = _load_model(ledgers, row["object_name"], row["sha256"]).chosen.get(metric)
        except ModelError as error:
            return f"unknown: {error}"
        if chosen is not None:
            return describe_choice(chosen)
    return None


def has_choices(settings: str | None) -> bool:
    """Tell whether the settings that a version was trained with (JSON) let it choose."""
    try:
        found = json.loads(settings or "{}")
    except ValueError:
        return False
    return isinstance(found, dict) and dict(found.get("detector") or {}).get("model_selection") == "auto"


def _load_model(ledgers: Ledgers, name: str, sha256: str) -> FittedModel:
    from anomflow.model_bytes import load  # noqa: PLC0415 - as above
    from anomflow.signing import read_key  # noqa: PLC0415 - as above
    from blocks.home import find_home  # noqa: PLC0415 - as above
    from blocks.loading import load_store  # noqa: PLC0415 - as above
    from cli.prefect_api import prefect_api  # noqa: PLC0415 - as above

    path = ledgers.batch.spec.models.model_path
    is_plain = path.strip() == "local" or "://" in path  # no block
    with nullcontext() if is_plain else prefect_api(quiet=True):
        store = load_store(path, find_home())
        return load(store.read(name), sha256, read_key(os.environ))
