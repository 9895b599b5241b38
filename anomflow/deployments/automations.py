"""The automations of a project: what starts a job after another, and what tells of runs that fail or get stuck.

Names carry the project and stay, so that an automation is updated in place. A reference to what only the server can
name (a deployment, a block document) is a text that starts with ``@``, which whoever applies it fills in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from anomflow.deploy_spec import DeployFile, Watch
    from anomflow.deployments.deployment import Deployment

DEPLOYMENT_REF: Final = "@deployment:"
BLOCK_REF: Final = "@block:"
OFF_TAG: Final = "off-in-files"  # tells a pause of the files from one by hand
_RUN: Final = "prefect.flow-run"
_ONCE_IN: Final = timedelta(minutes=1)
_TEXT: Final = """\
{{ flow.name }}/{{ deployment.name if deployment else '-' }}: {{ flow_run.name }} is {{ flow_run.state.name }}.
{{ flow_run.state.message or '' }}
{{ flow_run|ui_url }}"""


@dataclass(frozen=True)
class Automation:
    """An automation by its name: its trigger and actions as the API takes them; ``owner`` is the deployment that it goes with."""

    name: str
    trigger: Mapping[str, Any]
    actions: tuple[Mapping[str, Any], ...]
    enabled: bool = True
    owner: str | None = None


def build_automations(deployments: Sequence[Deployment], spec: DeployFile) -> tuple[Automation, ...]:
    """Build all automations of a project: one for each job that follows another, then those that watch its runs."""
    return (*_build_followers(deployments, spec.project), *_build_watches(spec.watch, spec.project))


def _build_followers(deployments: Sequence[Deployment], project: str) -> Iterator[Automation]:
    for deployment in deployments:
        if deployment.after is None:
            continue
        action = {"type": "run-deployment", "source": "selected", "deployment_id": f"{DEPLOYMENT_REF}{deployment.key}"}
        trigger = _react([f"{_RUN}.Completed"], deployment.after.tags)
        name = f"anomflow {project}: {deployment.key} after {deployment.after.key}"
        yield Automation(name, trigger, (action,), deployment.after.active, deployment.key)


def _build_watches(watch: Watch, project: str) -> Iterator[Automation]:
    tags = ("anomflow", f"project:{project}")
    if watch.heartbeat_timeout is not None:
        crash = {"type": "change-flow-run-state", "state": "CRASHED", "message": "No sign of life: the process is gone."}
        trigger = _await(f"{_RUN}.heartbeat", watch.heartbeat_timeout, tags)
        yield Automation(f"anomflow {project}: no sign of life", trigger, (crash,))
    if not watch.failure_methods:
        return
    ended = [f"{_RUN}.{state}" for state in ("Crashed", "Failed", "TimedOut")]
    yield Automation(f"anomflow {project}: run failed", _react(ended, tags), _notify(watch, project, "A run failed"))
    for state, after, words in (("Late", watch.late_after, "A run is late"), ("Pending", watch.pending_after, "A run does not start")):
        if after is not None:
            trigger = _await(f"{_RUN}.{state}", after, tags)
            yield Automation(f"anomflow {project}: {state.lower()}", trigger, _notify(watch, project, words))


def _notify(watch: Watch, project: str, words: str) -> tuple[Mapping[str, Any], ...]:
    subject = f"{project}: {words}"
    common = {"type": "send-notification", "subject": subject, "body": _TEXT}
    return tuple({**common, "block_document_id": f"{BLOCK_REF}{method}"} for method in watch.failure_methods)


def _react(events: Sequence[str], tags: Sequence[str]) -> dict[str, Any]:
    """Build the trigger that fires at an event of a run, at most once in a minute.

    A server takes up an event again where its database was locked while it looked at the next automation, and without a
    period fires again; a run that failed may be said to have crashed a moment later.
    """
    return _trigger(tags, _ONCE_IN) | {"posture": "Reactive", "expect": list(events)}


def _await(event: str, within: timedelta, tags: Sequence[str]) -> dict[str, Any]:
    """Build the trigger that fires where nothing follows an event of a run in time."""
    return _trigger(tags, within) | {"posture": "Proactive", "after": [event], "expect": [f"{_RUN}.*"]}


def _trigger(tags: Sequence[str], within: timedelta) -> dict[str, Any]:
    """Build what all triggers share: they watch each run with these tags by itself."""
    related = [{"prefect.resource.id": f"prefect.tag.{tag}"} for tag in tags]
    watched = {"match": {"prefect.resource.id": f"{_RUN}.*"}, "match_related": related, "for_each": ["prefect.resource.id"]}
    return {"type": "event", **watched, "threshold": 1, "within": within.total_seconds()}
