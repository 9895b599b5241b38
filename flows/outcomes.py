"""What every job does after its own steps: tell what came of them, end in the right state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prefect.states import Completed

from anomflow.errors import RunError
from tasks.artifacts import publish_failures
from tasks.effects import log_line
from tasks.handover import Gathered, Handover, name_handover, write_handover

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from anomflow.spec import Job
    from anomflow.versions import Published
    from flows.jobrun import Run


@dataclass(frozen=True)
class Outcome:
    """What a stage did: counts by name, metrics and shards that failed with their reasons, other things to tell."""

    job: Job
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    worked: bool = True
    lost: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Return the outcome as one line."""
        counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items() if count)
        parts = [*([counted] if counted else []), *self.notes]
        for what, reasons in (("shards", self.lost), ("metrics", self.failures)):
            shown = "; ".join(f"{name!r}: {reason}" for name, reason in list(reasons.items())[:5])
            parts += [f"{len(reasons)} {what} failed ({shown})"] if reasons else []
        return f"{self.job}: {'; '.join(parts) or 'nothing to do'}"


def hand_over(run: Run, outcome: Outcome, published: Published | None = None) -> None:
    """Tell the run that waits for this one, where there is one, what became of the metrics."""
    if run.part is not None:
        name = name_handover(outcome.job, str(run.request.parent), run.part.shard)
        write_handover(run.shelf, name, Handover(outcome.counts, outcome.failures, outcome.notes, published, run.lease.until))


def sum_up(job: Job, gathered: Gathered) -> Outcome:
    """Return the outcome of the runs of all shards."""
    total = gathered.total
    lost = {str(shard): reason for shard, reason in gathered.lost.items()}
    return Outcome(job, total.counts, total.failures, total.notes, bool(gathered.parts), lost)


def finish(run: Run, outcome: Outcome) -> Outcome:
    """Log a stage's line and publish its failures; raise RunError where nothing worked."""
    log_line(f"{run.batch.spec.name} {outcome.text}")
    if outcome.failures:
        publish_failures(run.spec.name, outcome.job, outcome.failures)
    if not outcome.worked:
        raise RunError(outcome.text)
    return outcome


def completed(*outcomes: Outcome) -> State[None]:
    """Return the state in which a run of these stages ends."""
    failed = sum(len(outcome.failures) + len(outcome.lost) for outcome in outcomes)
    suffix = f" [{failed} failures]" if failed else ""
    return Completed(message=" | ".join(outcome.text for outcome in outcomes)[:1500] + suffix)


def skipped(job: Job) -> Outcome:
    """Return the outcome of a job that the settings switch off."""
    return Outcome(job, notes=(f"switched off by disable_{job} or disable_batch",))
