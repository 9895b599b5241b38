"""What the sections of a batch's settings have in common: a frozen model, and the words of keys that each job has."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

STATUS_WORDS: Final = "Whether the job's schedule is active (`RUNNING`) or made but paused (`STOPPED`) when it is deployed."
TRIGGER_WORDS: Final = "What starts the job when it is deployed: its `cron`, another job of the batch (`after ingest`), or you (`manual`)."

# A century and more, which no clock or type has trouble with.
MAX_DAYS: Final = 100_000


class Section(BaseModel):
    """The settings of a batch that belong to one job or idea."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
