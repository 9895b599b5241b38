"""What differs between the files and a server, and what has to be done about it; applying it leaves no difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from anomflow.deployments.automations import OFF_TAG, Automation
from anomflow.deployments.found import Applied, Found, FoundAutomation, FoundDeployment
from anomflow.deployments.wanted import FIELDS, HIDDEN, Wanted, fingerprint
from anomflow.wording import cut_text

Kind = Literal["pool", "block type", "channel", "deployment", "automation"]
Action = Literal["create", "update", "remove"]
_SHOWN: Final = 80  # characters of a value


@dataclass(frozen=True)
class Change:
    """A field that differs: what the server has and what the files say, as JSON (empty: not shown); ``drifted``: others changed it."""

    path: str
    before: str
    after: str
    drifted: bool = False


@dataclass(frozen=True)
class Step:
    """One thing to do; ``id`` is that of the server for what is there."""

    kind: Kind
    action: Action
    name: str
    changes: tuple[Change, ...] = ()
    id: str | None = None


@dataclass(frozen=True)
class Wish:
    """What the files say of a project; ``pools`` are the types of its pools by name, ``only`` a batch beside which all stays as it is."""

    project: str
    deployments: Mapping[str, Wanted]
    automations: Mapping[str, Automation]
    pools: Mapping[str, str] = field(default_factory=dict)
    only: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Steps in the order in which they are done, what is paused by hand, and what stands in the way."""

    steps: tuple[Step, ...]
    paused: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def new_deployments(self) -> tuple[str, ...]:
        """Return the names of the deployments that are new."""
        return tuple(step.name for step in self.steps if (step.kind, step.action) == ("deployment", "create"))

    @property
    def drifted(self) -> tuple[str, ...]:
        """Return the names of what others changed on the server."""
        return tuple(step.name for step in self.steps if any(change.drifted for change in step.changes))


def compare(wish: Wish, found: Found) -> Comparison:
    """Compare the files with a server; what is removed comes last, and only where it is the project's."""
    around = (*_compare_pools(wish, found), *_compare_blocks(found), *(Step("channel", "update", name) for name in found.stale_channels))
    steps = (*around, *_compare_deployments(wish, found), *_compare_automations(wish, found))
    paused = tuple(key for key, there in found.deployments.items() if key in wish.deployments and _is_held(there, wish))
    held = tuple(name for name, there in found.automations.items() if name in wish.automations and is_held(there, wish.automations[name]))
    ordered = sorted(steps, key=lambda step: step.action == "remove")
    return Comparison(tuple(ordered), (*paused, *held), (*_find_conflicts(wish, found),))


def _find_conflicts(wish: Wish, found: Found) -> Iterator[str]:
    for key, there in found.deployments.items():
        if key in wish.deployments and not there.belongs_to(wish.project):
            owner = next((tag for tag in there.fields["tags"] if tag.startswith("project:")), "no project of Anomflow")
            yield f"the deployment {key} is on the server and belongs to {owner}; rename the batch, or delete it there"
    for name, kind in wish.pools.items():
        if found.pools.get(name, kind) != kind:
            yield f"the work pool {name} has the type {found.pools[name]} on the server and {kind} in deploy.yaml; rename one of them"


def _compare_pools(wish: Wish, found: Found) -> Iterator[Step]:
    yield from (Step("pool", "create", name) for name in wish.pools if name not in found.pools)


def _compare_blocks(found: Found) -> Iterator[Step]:
    yield from (Step("block type", "create", name) for name in found.missing_blocks)


def _compare_deployments(wish: Wish, found: Found) -> Iterator[Step]:
    for key, wanted in wish.deployments.items():
        there = found.deployments.get(key)
        if there is None:
            yield Step("deployment", "create", key)
        elif there.belongs_to(wish.project) and (changes := find_changes(wanted, there)):
            yield Step("deployment", "update", key, changes, there.id)
    for key, there in found.deployments.items():
        is_ours = there.belongs_to(wish.project) and (wish.only is None or f"batch:{wish.only}" in there.fields["tags"])
        if is_ours and key not in wish.deployments:
            yield Step("deployment", "remove", key, id=there.id)


def find_changes(wanted: Wanted, there: FoundDeployment) -> tuple[Change, ...]:
    """Find what differs, field by field; what is paused by hand does not."""
    goal = hold(wanted, there).fields
    actual = {**there.fields, "tags": sorted(there.fields["tags"])}
    found = [
        change
        for name in FIELDS
        for change in _differ(name, actual[name], sorted(goal[name]) if name == "tags" else goal[name], is_drift=_has_drifted(name, there))
    ]
    # What others deployed has no marks of ours, which are needed to see what is changed by hand from now on.
    return tuple(found) or ((Change("marks", "", ""),) if there.applied is None or there.applied.off != wanted.off else ())


def _has_drifted(name: str, there: FoundDeployment) -> bool:
    if there.applied is None or name not in there.applied.marks:
        return False
    if name == "schedules" and not there.fields[name]:
        return False  # an apply that was killed leaves a new deployment like this, too
    return fingerprint(normalize(name, there)) != there.applied.marks[name]


def normalize(name: str, there: FoundDeployment) -> Any:
    """Return a field of a server as it would be, were nothing paused by hand."""
    value = there.fields[name]
    if name == "tags":
        return sorted(value)
    if name != "schedules":
        return value
    return {slug: {**schedule, "active": schedule["active"] or there.is_held(slug)} for slug, schedule in value.items()}


def mark(wanted: Wanted) -> Applied:
    """Return what is remembered on the server of a deployment that is applied."""
    fields = {name: sorted(value) if name == "tags" else value for name, value in wanted.fields.items()}
    return Applied({name: fingerprint(fields[name]) for name in FIELDS}, wanted.off)


def hold(wanted: Wanted, there: FoundDeployment | None) -> Wanted:
    """Return a deployment with the schedules off that are paused by hand."""
    if there is None:
        return wanted
    schedules = {
        slug: {**schedule, "active": schedule["active"] and not there.is_held(slug)}
        for slug, schedule in wanted.fields["schedules"].items()
    }
    return Wanted(wanted.key, {**wanted.fields, "schedules": schedules})


def _is_held(there: FoundDeployment, wish: Wish) -> bool:
    schedules = wish.deployments[there.key].fields["schedules"]
    return there.belongs_to(wish.project) and (
        there.is_paused or any(schedules[slug]["active"] and there.is_held(slug) for slug in schedules)
    )


def _differ(path: str, before: Any, after: Any, *, is_drift: bool) -> Iterator[Change]:
    """Yield the differences of two JSON values by path, the values of hidden fields left out."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping) and not path.startswith("parameter_schema"):
        for name in dict.fromkeys((*before, *after)):
            yield from _differ(f"{path}.{name}", before.get(name), after.get(name), is_drift=is_drift)
        return
    hidden = path.partition(".")[0] in HIDDEN
    yield Change(path, "" if hidden else _show(before), "" if hidden else _show(after), is_drift)


def _show(value: Any) -> str:
    return cut_text(json.dumps(value, ensure_ascii=False), _SHOWN)


def _compare_automations(wish: Wish, found: Found) -> Iterator[Step]:
    for name, wanted in wish.automations.items():
        there = found.automations.get(name)
        if there is None:
            yield Step("automation", "create", name)
        elif changes := tuple(_find_automation_changes(wanted, there)):
            yield Step("automation", "update", name, changes, there.id)
    if wish.only is not None:
        return
    for name, there in found.automations.items():
        if name not in wish.automations:
            yield Step("automation", "remove", name, id=there.id)


def _find_automation_changes(wanted: Automation, there: FoundAutomation) -> Iterator[Change]:
    if not covers(there.trigger, wanted.trigger):
        yield Change("trigger", "", "")
    if not covers(list(there.actions), list(wanted.actions)):
        yield Change("actions", "", "")
    enabled = wanted.enabled and not is_held(there, wanted)
    if there.enabled != enabled or (OFF_TAG in there.tags) == wanted.enabled:
        yield Change("enabled", _show(there.enabled), _show(enabled))


def is_held(there: FoundAutomation, wanted: Automation) -> bool:
    """Tell whether somebody switched an automation off by hand."""
    return wanted.enabled and not there.enabled and OFF_TAG not in there.tags


def covers(found: Any, wanted: Any) -> bool:
    """Tell whether a value of the server has all that is wanted; it adds defaults, and writes one value as a list of one.

    >>> covers({"expect": ["b", "a"], "id": 1}, {"expect": ["a", "b"]})
    True
    """
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(covers(found.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        if all(isinstance(item, str) for item in (*found, *wanted)):
            return sorted(found) == sorted(wanted)
        return all(covers(one, other) for one, other in zip(found, wanted, strict=True))
    return bool(found in (wanted, [wanted]))
