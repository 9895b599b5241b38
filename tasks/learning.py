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
from anomflow.workers import Workers, open_workers
from tasks.detection import Piece, build_fit, fit_slice
from tasks.effects import effect
from tasks.history import Library, read_history, read_void_points
from tasks.models import Pinned, Shelf, write_object
from tasks.slices import read_train_slices
from tasks.warehouse import Target, drop_void_scores

if TYPE_CHECKING:
    from anomflow.feedback import Feedback
    from anomflow.series import SeriesBatch
    from anomflow.slicing import Slice
    from anomflow.versions import Published


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
            self.published.append(write_empty(self.lesson, shard))

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


def write_empty(lesson: Lesson, shard: int) -> Published:
    """Write a model without metrics for a shard."""
    fit, _ = build_fit(lesson.library.batch)
    model, _ = fit_model(None, build_empty(), fit)
    return write_object(lesson.shelf, shard, model, lesson.library.as_of)
