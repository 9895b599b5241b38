"""The effective settings of a batch: its sections, and which of them owns each flat key.

The sections, each key with its default as it stands in the YAML, are in ``anomflow.sections``; loading, merging and
the messages about wrong keys live in ``anomflow.batches``.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from anomflow.sections.alerts import AlertSpec, ChangeSpec, FeedbackSpec, ThresholdSpec
from anomflow.sections.base import Section
from anomflow.sections.calendar import CalendarSpec
from anomflow.sections.common import CommonSpec, FeatureSpec
from anomflow.sections.detector import DetectorSpec
from anomflow.sections.jobs import IngestSpec, PipelineSpec, PlotSpec, ScoreSpec, TrainSpec
from anomflow.sections.places import DeploySpec, ModelSpec

Job = Literal["ingest", "train", "score", "change", "alert", "plot", "pipeline"]
JOBS: Final[tuple[Job, ...]] = ("ingest", "train", "score", "change", "alert", "plot", "pipeline")


class BatchSpec(BaseModel):
    """The effective settings of one batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    common: CommonSpec
    features: FeatureSpec = FeatureSpec()
    calendar: CalendarSpec = CalendarSpec()
    detector: DetectorSpec = DetectorSpec()
    models: ModelSpec = ModelSpec()
    ingest: IngestSpec = IngestSpec()
    thresholds: ThresholdSpec = ThresholdSpec()
    train: TrainSpec = TrainSpec()
    score: ScoreSpec = ScoreSpec()
    change: ChangeSpec = ChangeSpec()
    alert: AlertSpec = AlertSpec()
    feedback: FeedbackSpec = FeedbackSpec()
    plot: PlotSpec = PlotSpec()
    pipeline: PipelineSpec = PipelineSpec()
    deploy: DeploySpec = DeploySpec()

    @property
    def name(self) -> str:
        """Return the batch's name."""
        return self.common.metric_batch

    def is_disabled(self, job: Job) -> bool:
        """Tell whether a job of this batch is switched off."""
        return self.common.disable_batch or bool(getattr(getattr(self, job), f"disable_{job}"))

    def is_scheduled(self, job: Job) -> bool:
        """Tell whether a deployment of a job starts by itself: neither switched off nor STOPPED."""
        return not self.is_disabled(job) and bool(getattr(getattr(self, job), f"{job}_default_schedule_status") == "RUNNING")

    def trigger(self, job: Job) -> str:
        """Return what starts a job that is deployed: `cron`, `manual` or `after JOB`."""
        return str(getattr(getattr(self, job), f"{job}_trigger"))


SECTIONS: Final[dict[str, type[Section]]] = {
    "common": CommonSpec,
    "features": FeatureSpec,
    "calendar": CalendarSpec,
    "detector": DetectorSpec,
    "models": ModelSpec,
    "ingest": IngestSpec,
    "thresholds": ThresholdSpec,
    "train": TrainSpec,
    "score": ScoreSpec,
    "change": ChangeSpec,
    "alert": AlertSpec,
    "feedback": FeedbackSpec,
    "plot": PlotSpec,
    "pipeline": PipelineSpec,
    "deploy": DeploySpec,
}


@cache
def owners() -> dict[str, str]:
    """Return the section that owns each flat key."""
    return {key: name for name, section in SECTIONS.items() for key in section.model_fields}
