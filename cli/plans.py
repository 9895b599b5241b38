"""A plan for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import typer

from anomflow.wording import render_count
from cli.output import describe_problem
from cli.tables import escape_text, paint

if TYPE_CHECKING:
    from anomflow.deployments import Load
    from anomflow.deployments.comparing import Change, Comparison, Step
    from anomflow.errors import Problem

_SIGNS: Final = {"create": ("+", typer.colors.GREEN), "update": ("~", typer.colors.YELLOW), "remove": ("-", typer.colors.RED)}
_DONE: Final = {"create": "new", "update": "changed", "remove": "removed"}


@dataclass(frozen=True)
class Sums:
    """What the deployments make in a month, the limits that they touch, and about how many requests an apply takes."""

    load: Load
    limits: tuple[str, ...]
    requests: int


def describe_step(step: Step) -> dict[str, Any]:
    """Return a step as JSON-ready facts."""
    changes = [asdict(change) for change in step.changes]
    return {"kind": step.kind, "action": step.action, "name": step.name, "changes": changes}


def describe_plan(comparison: Comparison, sums: Sums, warnings: Sequence[Problem]) -> dict[str, Any]:
    """Return a plan as JSON-ready facts."""
    return {
        "differs": bool(comparison.steps or comparison.conflicts),
        "steps": [describe_step(step) for step in comparison.steps],
        "paused": comparison.paused,
        "drifted": comparison.drifted,
        "conflicts": comparison.conflicts,
        **asdict(sums.load),
        "apply_requests": sums.requests,
        "limits": sums.limits,
        "problems": [describe_problem(problem) for problem in warnings],
    }


def estimate_requests(steps: Iterable[Step], *, in_parts: bool = False) -> int:
    """Estimate the API requests of an apply: reading, then one a step, more for what has parts, as new deployments may have."""
    weights = {("pool", "create"): 2, ("block type", "create"): 4, ("channel", "update"): 5, ("deployment", "create"): 1 + in_parts}
    return 12 + sum(weights.get((step.kind, step.action), 1) for step in steps)


def count_steps(steps: Iterable[Step]) -> str:
    """Count steps in words: ``3 deployments new, 1 automation removed``."""
    counts = Counter((step.kind, step.action) for step in steps)
    return ", ".join(f"{render_count(count, kind)} {_DONE[action]}" for (kind, action), count in counts.items())


def print_steps(comparison: Comparison) -> None:
    """Print the steps, field by field, and what is paused or stands in the way."""
    for step in comparison.steps:
        sign, colour = _SIGNS[step.action]
        typer.echo(paint(f"{sign} {step.kind} {escape_text(step.name)}", fg=colour))
        for change in step.changes:
            typer.echo(f"    {_describe_change(change)}")
    for name in comparison.paused:
        typer.echo(f"paused by hand: {escape_text(name)}")
    for conflict in comparison.conflicts:
        typer.echo(f"in the way: {escape_text(conflict)}")


def _describe_change(change: Change) -> str:
    values = f": {escape_text(change.before)} -> {escape_text(change.after)}" if change.before or change.after else ""
    return f"{escape_text(change.path)}{values}{' (changed on the server)' if change.drifted else ''}"


def print_plan(comparison: Comparison, sums: Sums) -> None:
    """Print a plan with its sums."""
    print_steps(comparison)
    typer.echo(f"{count_steps(comparison.steps)}; apply takes about {sums.requests} API requests" if comparison.steps else "no difference")
    typer.echo(sums.load.text)
    for limit in sums.limits:
        typer.echo(f"limit: {limit}")
