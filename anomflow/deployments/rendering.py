"""Deployments as the text of ``prefect.yaml``: a stable order, one key a line, what repeats as an anchor."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from anomflow.deployments.deployment import After, Deployment, Schedule, WorkPool

HEAD: Final = """\
# Made by `anomflow sync` from the batches and deploy.yaml; change those, and run it again.
# Deploy it with: prefect --no-prompt deploy --all
"""
_LIMIT: Final = "one_at_a_time"
# Text that every YAML reader takes for text as it stands.
_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
# Characters that YAML does not allow, or takes for the end of a line; JSON leaves them as they are.
_UNREADABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def render_prefect_yaml(deployments: Sequence[Deployment], project: str) -> str:
    """Render ``prefect.yaml``; work pools and the limit, which repeat, stand under ``definitions``, which Prefect ignores."""
    anchors = _name_pools(deployments)
    lines = [HEAD, f"name: {render_value(project)}", *_render_definitions(deployments, anchors), "deployments:"]
    for deployment, anchor in zip(deployments, anchors, strict=True):
        lines += _render_deployment(deployment, anchor)
    # An empty list, since Prefect takes no value for none at all.
    return "\n".join(lines if deployments else [*lines[:-1], "deployments: []"]) + "\n"


def _name_pools(deployments: Sequence[Deployment]) -> list[str]:
    """Name the work pool of each deployment: by pool and job, numbered where the variables of batches differ."""
    names: dict[str, str] = {}
    texts: dict[int, str] = {}
    numbers: Counter[str] = Counter()
    anchors = []
    for deployment in deployments:
        pool = deployment.work_pool
        # The same mapping serves thousands of deployments: it is written out once.
        if id(pool.job_variables) not in texts:
            texts[id(pool.job_variables)] = json.dumps(pool.job_variables, sort_keys=True, default=str)
        mark = f"{deployment.job} {pool.name} {pool.queue} {texts[id(pool.job_variables)]}"
        if mark not in names:
            name = re.sub(r"[^A-Za-z0-9]+", "_", f"{pool.name}_{deployment.job}")
            numbers[name] += 1
            names[mark] = _numbered(name, numbers[name])
        anchors.append(names[mark])
    return anchors


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}__{number}"


def _render_definitions(deployments: Sequence[Deployment], anchors: Sequence[str]) -> Iterator[str]:
    if not deployments:
        return
    yield "definitions:"
    if any(deployment.limit for deployment in deployments):
        yield f"  {_LIMIT}: &{_LIMIT}"
        yield "    limit: 1"
        yield "    collision_strategy: CANCEL_NEW"
    pools: dict[str, WorkPool] = {}
    for deployment, anchor in zip(deployments, anchors, strict=True):
        pools.setdefault(anchor, deployment.work_pool)
    for anchor, pool in pools.items():
        yield f"  {anchor}: &{anchor}"
        value = {"name": pool.name, "work_queue_name": pool.queue, "job_variables": pool.job_variables}
        yield from _render_mapping(value, "    ")
    yield ""


def _render_deployment(deployment: Deployment, anchor: str) -> Iterator[str]:
    yield f"- name: {render_value(deployment.name)}"
    yield f"  entrypoint: {deployment.entrypoint}"
    yield f"  description: {render_value(deployment.description)}"
    yield f"  tags: [{', '.join(map(render_value, deployment.tags))}]"
    if deployment.parameters:
        yield f"  parameters: {_render_inline(deployment.parameters)}"
    if deployment.limit:
        yield f"  concurrency_limit: *{_LIMIT}"
    yield f"  work_pool: *{anchor}"
    yield from _render_pull(deployment)
    yield from _render_schedules(deployment.schedules)
    if deployment.after is not None:
        yield from _render_trigger(deployment.after)


def _render_pull(deployment: Deployment) -> Iterator[str]:
    if deployment.pull is None:
        return
    if not deployment.pull:
        yield "  pull: []"
        return
    yield "  pull:"
    for step in deployment.pull:
        for name, values in step.items():
            yield f"  - {name}:"
            yield from _render_mapping(values, "      ")


def _render_schedules(schedules: Sequence[Schedule]) -> Iterator[str]:
    if not schedules:
        yield "  schedules: []"
        return
    yield "  schedules:"
    for schedule in schedules:
        words = f"cron: {_quote(schedule.cron)}, timezone: {render_value(schedule.timezone)}, slug: {render_value(schedule.slug)}"
        parameters = f", parameters: {_render_inline(schedule.parameters)}" if schedule.parameters else ""
        yield f"  - {{{words}, active: {render_value(schedule.active)}{parameters}}}"


def _render_trigger(after: After) -> Iterator[str]:
    yield "  triggers:"
    yield "  - type: event"
    yield f"    enabled: {render_value(after.active)}"
    yield "    expect: [prefect.flow-run.Completed]"
    yield "    match_related:"
    for tag in after.tags:
        yield f"    - prefect.resource.id: {render_value(f'prefect.tag.{tag}')}"


def _render_inline(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{render_value(key)}: {render_value(value)}" for key, value in values.items()) + "}"


def _render_mapping(values: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{render_value(key)}:"
            yield from _render_mapping(value, f"{indent}  ")
        else:
            yield f"{indent}{render_value(key)}: {render_value(value)}"


def render_value(value: Any) -> str:
    """Write a value on one line: plain text as it is, all else as JSON, which YAML reads.

    >>> render_value("batch:web-shop"), render_value("no"), render_value(False)
    ('batch:web-shop', '"no"', 'false')
    """
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return _quote(value)


def _quote(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _UNREADABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
