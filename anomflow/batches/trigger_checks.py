"""Which job starts after which: jobs that there are, not themselves, and no circle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from anomflow.batches.suggestions import suggest
from anomflow.spec import JOBS, Job

if TYPE_CHECKING:
    from anomflow.batches.batch import Batch
    from anomflow.batches.layers import Layer
    from anomflow.errors import Problem


def check_triggers(batch: Batch, layer: Layer) -> Iterator[Problem]:
    """Report triggers that name no job, or that wait for one another; warn of those whose job never completes by itself."""
    after = {job: words[1] for job in JOBS if (words := batch.spec.trigger(job).split())[0] == "after"}
    for job, other in after.items():
        key = f"{job}_trigger"
        path = _follow(job, after)
        if other not in JOBS:
            yield layer.problem((key,), f"{key} is 'after {other}', which is no job.{suggest(other, JOBS)} Jobs: {', '.join(JOBS)}")
        elif path[-1] == job:
            yield layer.problem((key,), f"{key} is 'after {other}', so that jobs wait for one another: {' after '.join(path)}")
        elif batch.spec.is_disabled(other) and not batch.spec.is_disabled(job):
            yield layer.problem((key,), f"{key} is 'after {other}', which is switched off and so never completes", warning=True)


def _follow(job: Job, after: dict[Job, str]) -> list[str]:
    """Return the jobs that a job waits for one after the other, up to the first that comes again."""
    path: list[str] = [job]
    while (found := after.get(path[-1])) is not None:  # type: ignore[call-overload]  # a word that is no job is not there
        path.append(found)
        if found in path[:-1]:
            break
    return path
