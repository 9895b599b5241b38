"""Load what the checkout deploys, and write what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anomflow.batches import load_batches
from anomflow.deployments import Deployment, DeployPlan, build_deployments, find_deploy_problems, read_plan
from anomflow.errors import SettingsError

if TYPE_CHECKING:
    from anomflow.errors import Problem


def load_deployments(metrics: Path, source: Path) -> tuple[DeployPlan, tuple[Deployment, ...], tuple[Problem, ...]]:
    """Load all that is deployed, with warnings; raises SettingsError with all that is wrong with ``deploy.yaml`` and any batch."""
    loaded = load_batches(metrics, {})
    try:
        plan = read_plan(source, metrics.as_posix())
    except SettingsError as error:
        raise SettingsError([*error.problems, *loaded.errors]) from error
    problems = find_deploy_problems(loaded.batches.values(), plan)
    wrong = [*loaded.errors, *(problem for problem in problems if not problem.warning)]
    if wrong:
        raise SettingsError(wrong)
    return plan, build_deployments(loaded.batches.values(), plan), tuple(problem for problem in problems if problem.warning)


def read_text(path: Path) -> str | None:
    """Read a file of UTF-8; None where there is none that can be read as such."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
