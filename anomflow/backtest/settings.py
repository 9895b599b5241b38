"""The settings of a backtest over numbers that belong to no batch: the defaults, and what is given instead of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anomflow.batches.batch import Batch
from anomflow.batches.checks import find_problems
from anomflow.batches.environment import read_overrides
from anomflow.batches.layers import DEFAULT, Layer, merge_layers
from anomflow.batches.models import lift_resampling
from anomflow.batches.validation import build_spec, find_unknown_keys
from anomflow.errors import SettingsError
from anomflow.spec import BatchSpec, owners

if TYPE_CHECKING:
    from collections.abc import Mapping

Settings = BatchSpec | Batch | None  # or a mapping of flat keys

NAME: Final = "backtest"


def build_batch(settings: Mapping[str, Any] | Settings = None, path: Path = Path(NAME)) -> Batch:
    """Build a batch of flat keys (values, or texts as ``--set`` takes them) that has no source; ``path`` is named in messages.

    Raises SettingsError with everything that is wrong.
    """
    if isinstance(settings, Batch):
        return settings
    if isinstance(settings, BatchSpec):
        return Batch(settings, path, path.parent, dict.fromkeys(owners(), DEFAULT))
    given, problems = read_overrides(settings or {})
    layer = lift_resampling(merge_layers(Layer({"metric_batch": NAME, "disable_ingest": True}), given))
    spec, of_values = build_spec(layer)
    batch = Batch(spec, path, path.parent, {key: layer.origin((key,)) for key in owners()}, layer.origins)
    odd = find_problems(batch, layer, {str(problem.key) for problem in of_values})
    wrong = [problem for problem in (*problems, *find_unknown_keys(layer), *of_values, *odd) if not problem.warning]
    if wrong:
        raise SettingsError(wrong)
    return batch
