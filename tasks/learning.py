"""Learn a batch slice by slice: read its history, fit, drop the scores that it makes void, write each shard's model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from anomflow.choices import describe_choices
from anomflow.fitting import COLD_START, FitReport, fit_model
from anomflow.models import Chosen, merge_models
from anomflow.series import build_empty, drop_points
from anomflow.sight import build_seen, build_sight
from anomflow.slicing import Part
from anomflow.workers import Workers, open_workers
from tasks.detection import Piece, build_fit, fit_slice
from tasks.effects import effect
from tasks.history import Library, read_history, read_void_points
from tasks.models import Pinned, Shelf, keep_object, pin_version, write_object
from tasks.slices import read_train_slices
from tasks.warehouse import Target, drop_void_scores

if TYPE_CHECKING:
    from datetime import datetime

    from anomflow.batches import Batch
    from anomflow.feedback import Feedback
    from anomflow.series import SeriesBatch
    from anomflow.slicing import Slice
    from anomflow.versions import Published
    from tasks.handover import Gathered


@dataclass(frozen=True, eq=False)
class Lesson:
    """What to learn from, by which models, and where it goes."""

    library: Library
    target: Target
    shelf: Shelf
    pinned: Pinned | None
    feedback: Feedback


@dataclass(frozen=True)
class Learned:
    """The objects of the shards, and what became of the metrics: counts by name, failures, things to tell."""

    shards: tuple[Published, ...]
    counts: Mapping[str, int]
    failures: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def worked(self) -> bool:
        """Tell whether any metric was learned, or none failed."""
        return bool(self.counts["metrics_continued"] + self.counts["metrics_rebuilt"]) or not self.failures


@effect("learn")
def learn(lesson: Lesson) -> Learned:
    """Learn the shards of a run one after another; a metric that fails is named, and keeps nobody up."""
    learning = _Learning(lesson)
    with open_workers(lesson.library.batch.spec.models) as workers:
        for shard, pieces in groupby(learning.fit(workers), key=lambda piece: piece.shard):
            learning.publish(shard, list(pieces))
    learning.publish_empty()
    return learning.sum_up()


class _Learning:
    """What a run has learned so far."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.published: list[Published] = []
        self.reports: list[FitReport] = []
        self.chosen: list[Chosen] = []
        self.voided = 0

    def fit(self, workers: Workers) -> Iterator[Piece]:
        """Read and fit slice after slice, and yield their pieces by shard."""
        pinned, batch = self.lesson.pinned, self.lesson.library.batch
        for work in read_train_slices(self.lesson.library):
            series = self._read(work)
            yield from fit_slice(series, pinned.models if pinned else {}, batch, workers)

    def _read(self, work: Slice) -> SeriesBatch:
        lesson = self.lesson
        history = read_history(lesson.library, work.names)
        void = read_void_points(lesson.library, history, work.names)
        if void.height:
            self.voided += drop_void_scores(lesson.target, void)
        seen = build_seen(history, build_sight(lesson.library.batch.spec), lesson.library.as_of)
        return drop_points(seen, lesson.feedback.points)

    def publish(self, shard: int, pieces: list[Piece]) -> None:
        """Write the model of a shard that is whole."""
        model = merge_models([piece.model for piece in pieces])
        self.reports += [piece.report for piece in pieces]
        self.chosen += model.chosen.values()
        self.published.append(write_object(self.lesson.shelf, shard, model, self.lesson.library.as_of))

    def publish_empty(self) -> None:
        """Write models without metrics for the shards that have none: a version has all shards."""
        part = self.lesson.library.part
        wanted = range(self.lesson.shelf.spec.models.shards) if part is None else [part.shard]
        for shard in sorted({*wanted} - {published.ref.shard for published in self.published}):
            self.published.append(write_empty(self.lesson.shelf, self.lesson.library.batch, shard, self.lesson.library.as_of))

    def sum_up(self) -> Learned:
        """Return what was learned."""
        skipped = {name: reason for report in self.reports for name, reason in report.skipped.items()}
        counts = {
            "metrics_continued": sum(len(report.continued) for report in self.reports),
            "metrics_rebuilt": sum(len(report.rebuilt) for report in self.reports),
            "metrics_with_too_few_rows": sum(reason == COLD_START for reason in skipped.values()),
            "scores_void": self.voided,
        }
        failures = {name: reason for name, reason in skipped.items() if reason != COLD_START}
        _, missing = build_fit(self.lesson.library.batch)
        return Learned(tuple(self.published), counts, failures, tuple(describe_choices(self.chosen, self.reports, missing)))


def write_empty(shelf: Shelf, batch: Batch, shard: int, checkpoint: datetime) -> Published:
    """Write a model without metrics for a shard."""
    model, _ = fit_model(None, build_empty(), build_fit(batch)[0])
    return write_object(shelf, shard, model, checkpoint)


@effect("fill shards")
def fill_shards(shelf: Shelf, batch: Batch, gathered: Gathered, checkpoint: datetime) -> list[Published]:
    """Return the objects of all shards: one that was lost keeps the object that it has, if it was made by these settings.

    Else it gets a model without metrics, whose points are judged from scratch.
    """
    found = [part.published for part in gathered.parts.values() if part.published is not None]
    lost = [Part(shard, shelf.spec.models.shards) for shard in gathered.lost]
    pinned, _ = pin_version(shelf, checkpoint, lost) if lost else (None, ())
    for shard in gathered.lost:
        kept = None if pinned is None else keep_object(pinned, shard, shelf.spec.models.shards)
        is_usable = kept is not None and kept.fingerprint == found[0].fingerprint
        found.append(kept if kept is not None and is_usable else write_empty(shelf, batch, shard, checkpoint))
    return found
