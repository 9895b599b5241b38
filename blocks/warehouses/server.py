"""What warehouses behind a server share: how long a statement and a wait for a lock may take, and no input in errors."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ConfigDict, Field

from blocks.warehouses.block import RelationalWarehouse


@dataclass(frozen=True)
class Limits:
    """How long a statement and a wait for a lock may take, in seconds."""

    statement_seconds: float
    lock_seconds: float

    def describe_wait(self, location: str, words: str) -> str:
        """Tell that a lock was waited for too long, and what to do."""
        waited = f"another session held what this one needs for longer than {self.lock_seconds:g} s, so this session was undone"
        return f"{location}: {waited}; run again, or raise lock_timeout_seconds ({words})"


@dataclass(frozen=True)
class LeaseLimits(Limits):
    """How long a writer may give no sign of life, in seconds, too, where others can end it."""

    lease_seconds: float


@dataclass(frozen=True)
class Place:
    """A database: its name for messages, its limits, the schema of unqualified names (None: the role's own)."""

    location: str
    limits: Limits
    schema: str | None


class ServerWarehouse(RelationalWarehouse):
    """Be the base of the blocks of warehouses behind a server."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a wrong field's error would quote the others, a secret too

    statement_timeout_seconds: float = Field(
        default=600.0, gt=0, le=86400, description="Seconds that one statement may take before it is ended, up to a day."
    )
    lock_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds to wait while another session writes the same tables, up to 3600."
    )

    @property
    def limits(self) -> Limits:
        """Return how long a statement and a wait for a lock may take."""
        return Limits(self.statement_timeout_seconds, self.lock_timeout_seconds)
