"""What a server holds of a project: values only, in the words of the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LABEL: Final = "anomflow.applied"  # label of a deployment: marks of its fields as we left them, and what the files had off


@dataclass(frozen=True)
class Applied:
    """What ``anomflow apply`` left: a mark for each field, and the schedules that the files switched off."""

    marks: Mapping[str, str]
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundDeployment:
    """A deployment of the server; ``applied`` is None where others deployed it, ``schedule_ids`` are by slug."""

    key: str
    id: str
    fields: Mapping[str, Any] = field(repr=False)
    is_paused: bool = False
    applied: Applied | None = None
    schedule_ids: Mapping[str, str] = field(default_factory=dict)

    def belongs_to(self, project: str) -> bool:
        """Tell whether it carries our tag and the project's."""
        return {"anomflow", f"project:{project}"} <= set(self.fields["tags"])

    def is_held(self, slug: str) -> bool:
        """Tell whether somebody paused a schedule by hand: it is off, and the files had not switched it off."""
        schedule = self.fields["schedules"].get(slug)
        return schedule is not None and not schedule["active"] and (self.applied is None or slug not in self.applied.off)


@dataclass(frozen=True)
class FoundAutomation:
    """An automation of the server; ``tags`` are its own, references are those of ``anomflow.deployments.automations``."""

    name: str
    id: str
    trigger: Mapping[str, Any]
    actions: tuple[Mapping[str, Any], ...]
    enabled: bool = True
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """All that a server holds that could be the project's: deployments by key, automations by name, types of pools by name."""

    deployments: Mapping[str, FoundDeployment] = field(default_factory=dict)
    automations: Mapping[str, FoundAutomation] = field(default_factory=dict)
    pools: Mapping[str, str] = field(default_factory=dict)
    missing_blocks: tuple[str, ...] = ()
    stale_channels: tuple[str, ...] = ()
