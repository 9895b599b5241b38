"""How many runs and API requests deployments make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from anomflow.crons import open_cron
from anomflow.deploy_spec import DEPLOY_JOBS

if TYPE_CHECKING:
    from anomflow.deployments.deployment import Deployment

DAYS: Final = 30
_LONG: Final = 12  # spans over which rare schedules are counted
_RARE: Final = 100
# A Monday, the first of a month: any day would do.
_START: Final = datetime(2024, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
# A test holds a job's run to fewer than 15 requests; its worker and its schedule make a few more.
REQUESTS_PER_RUN: Final = 20


@dataclass(frozen=True)
class Load:
    """What deployments make in 30 days; ``scheduled`` of them start by themselves."""

    deployments: int
    scheduled: int
    runs: int
    requests: int

    @property
    def text(self) -> str:
        """Return it as one line."""
        counted = f"{self.deployments} deployments, {self.scheduled} of which start by themselves"
        return f"{counted}; in 30 days about {self.runs:,} runs and {self.requests:,} API requests"


@cache
def count_runs(cron: str) -> float:
    """Count how often a cron of five fields fires in 30 days; rare ones as a mean over twelve times that.

    >>> count_runs("*/10 * * * *")
    4320.0
    """
    fired = _count(cron, _START + timedelta(days=DAYS))
    return float(fired) if fired >= _RARE else _count(cron, _START + timedelta(days=DAYS * _LONG)) / _LONG


def _count(cron: str, until: datetime) -> int:
    count = 0
    for moment in open_cron(cron, _START):
        if moment > until:
            break
        count += 1
    return count


def estimate_load(deployments: Iterable[Deployment]) -> Load:
    """Estimate the runs and API requests that deployments make in 30 days; one that follows another runs as often as that."""
    by_key = {deployment.key: deployment for deployment in deployments}
    runs = [_count_runs_of(deployment, by_key) for deployment in by_key.values()]
    total = sum(runs)
    return Load(len(runs), sum(1 for count in runs if count), round(total), round(total * REQUESTS_PER_RUN))


def _count_runs_of(deployment: Deployment, by_key: Mapping[str, Deployment]) -> float:
    if deployment.starter is not None:
        return deployment.runs_per_start * _count_runs_of(by_key[deployment.starter], by_key)
    for _ in range(len(DEPLOY_JOBS)):  # no chain of a batch's jobs is longer
        if deployment.after is None:
            break
        if not deployment.after.active or deployment.after.key not in by_key:
            return 0.0
        deployment = by_key[deployment.after.key]
    return sum(count_runs(schedule.cron) for schedule in deployment.schedules if schedule.active)
