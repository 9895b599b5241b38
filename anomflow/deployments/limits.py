"""Which limits deployments touch: of Prefect Cloud's plans, and of a server of one's own.

Source: https://docs.prefect.io/v3/concepts/rate-limits (September 2026).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from anomflow.crons import open_cron
from anomflow.deployments.counting import REQUESTS_PER_RUN

if TYPE_CHECKING:
    from anomflow.deployments.deployment import Deployment

_HOBBY_DEPLOYMENTS: Final = 5
# Requests to the API in a minute.
RATES: Final = (("Hobby", 625), ("Starter", 1_250), ("Team", 2_500), ("Pro", 5_000))
# More in one request a busy server on SQLite did not take: 2,000 were refused after 41 s, since its other tasks write meanwhile.
_SCHEDULES: Final = 1_000
_DAY_START: Final = datetime(2024, 1, 1, tzinfo=UTC)


def count_peak(deployments: Iterable[Deployment]) -> int:
    """Count the runs that start in the busiest minute of a day, as if all time zones were one."""
    crons = Counter(schedule.cron for deployment in deployments for schedule in deployment.schedules if schedule.active)
    starts: Counter[datetime] = Counter()
    for cron, count in crons.items():
        for moment in open_cron(cron, _DAY_START - timedelta(seconds=1)):
            if moment >= _DAY_START + timedelta(days=1):
                break
            starts[moment] += count
    return max(starts.values(), default=0)


def find_limits(deployments: Iterable[Deployment], rate: int) -> tuple[str, ...]:
    """Name the limits that deployments, or the rate at which they are applied, touch."""
    return tuple(_find(list(deployments), rate))


def _find(deployments: list[Deployment], rate: int) -> Iterator[str]:
    if len(deployments) > _HOBBY_DEPLOYMENTS:
        yield f"Prefect Cloud's Hobby plan holds {_HOBBY_DEPLOYMENTS} deployments; these are {len(deployments)}"
    most = max(deployments, key=lambda item: len(item.schedules), default=None)
    if most is not None and len(most.schedules) > _SCHEDULES:
        yield (
            f"{most.key} has {len(most.schedules):,} schedules, which are one request; a server on SQLite may refuse it, or need longer"
            " than the minute that apply waits: use another layout"
        )
    requests = count_peak(deployments) * REQUESTS_PER_RUN
    if beaten := [name for name, limit in RATES if requests > limit]:
        yield (
            f"in the busiest minute runs make about {requests:,} API requests, more than Prefect Cloud's plan {beaten[-1]} allows"
            f" ({dict(RATES)[beaten[-1]]:,}); let the crons of batches start at different minutes"
        )
    if beaten := [name for name, limit in RATES if rate > limit]:
        yield f"requests_per_minute is {rate:,}, more than Prefect Cloud's plan {beaten[-1]} allows ({dict(RATES)[beaten[-1]]:,})"
