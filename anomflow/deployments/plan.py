"""What ``deploy.yaml`` says, with the lines on which it says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from anomflow.batches.documents import read_document
from anomflow.batches.layers import Layer
from anomflow.batches.validation import describe_errors
from anomflow.deploy_spec import DeployFile
from anomflow.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "deploy.yaml"


@dataclass(frozen=True, eq=False)
class DeployPlan:
    """What the project deploys to; ``layer`` knows the lines of the file, ``metrics`` is the folder of the batches."""

    spec: DeployFile = field(default_factory=DeployFile)
    layer: Layer = field(default_factory=Layer)
    metrics: str = "metrics"


def read_plan(path: Path, metrics: str = "metrics") -> DeployPlan:
    """Read ``deploy.yaml``, or the defaults where there is no such file; raises SettingsError with all that is wrong with it."""
    if not path.exists():
        return DeployPlan(metrics=metrics)
    document = read_document(path)
    layer = document.layer
    problems = [*document.problems]
    values: dict[str, Any] = dict(layer.values)
    try:
        spec = DeployFile.model_validate(values)
    except ValidationError as error:
        raise SettingsError([*problems, *describe_errors(error, layer, DeployFile)]) from error
    if problems:
        raise SettingsError(problems)
    return DeployPlan(spec, layer, metrics)
