"""Measure what a score run costs its container beyond an empty flow; exit code 1 where that is over the budget.

    python benchmarks/cold_start.py [--pairs N] [--json] [--imports]

A pair is ``prefect flow-run execute`` of an empty flow and of a score run that finds nothing to do, one right after the
other, each in a process of its own against a server that this script starts. The least of each kind counts: all that
disturbs a machine only adds. ``--imports`` prints instead which imports of the score flow take longest.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from run import BATCH, Figure, World, prefect_server, quiet_environ, time_of  # noqa: E402 - as a script, its folder only is on the path

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = 2.0
METRICS = 20
EMPTY = """\
from prefect import flow


@flow(name="empty")
def empty() -> None:
    pass
"""


@dataclass(frozen=True)
class Cost:
    """What a process took, in seconds."""

    wall: float
    cpu: float


def prepare(folder: Path, environ: dict[str, str]) -> World:
    """Make a batch whose points have their scores."""
    (folder / "empty.py").write_text(EMPTY)
    world = World(folder, METRICS, environ)
    for step in ("make", "train", "first"):
        world.step(step)
    return world


def deploy(folder: Path) -> dict[str, UUID]:
    from prefect.client.orchestration import get_client

    entrypoints = {"empty": f"{folder}/empty.py:empty", "score": f"{ROOT}/flows/score.py:score"}
    with get_client(sync_client=True) as client:
        return {
            name: client.create_deployment(
                client.create_flow_from_name(name), name, entrypoint=entrypoint, pull_steps=[], enforce_parameter_schema=False
            )
            for name, entrypoint in entrypoints.items()
        }


def execute(name: str, deployment: UUID, world: World) -> Cost:
    """Execute a run as a container does; raises RuntimeError where it does not complete."""
    from prefect.client.orchestration import get_client

    parameters = {"batch": BATCH, "as_of": time_of(0).isoformat(), "metrics": "metrics"} if name == "score" else {}
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment, parameters=parameters).id
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "prefect", "flow-run", "execute", str(run)]
        done = subprocess.run(command, cwd=world.folder, env=world.environ, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        state = client.read_flow_run(run).state
    if state is None or not state.is_completed() or (name == "score" and "nothing to do" not in str(state.message)):
        raise RuntimeError(f"{name}: {state}\n{done.stdout}{done.stderr}")
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure_pairs(world: World, pairs: int) -> dict[str, list[Cost]]:
    os.environ.update(world.environ)
    deployments = deploy(world.folder)
    costs: dict[str, list[Cost]] = {name: [] for name in deployments}
    for pair in range(pairs):
        for name, deployment in deployments.items():
            time.sleep(2.0)  # the server writes down what it heard
            costs[name].append(execute(name, deployment, world))
            print(f"pair {pair + 1}: {name} {costs[name][-1]}", file=sys.stderr, flush=True)
    return costs


def find_figures(costs: dict[str, list[Cost]]) -> list[Figure]:
    walls = {name: min(cost.wall for cost in found) for name, found in costs.items()}
    cpus = {name: min(cost.cpu for cost in found) for name, found in costs.items()}
    return [
        Figure("empty flow", walls["empty"], "s"),
        Figure("score run on an idle batch", walls["score"], "s"),
        Figure("score run beyond the empty flow", walls["score"] - walls["empty"], "s", BUDGET),
        Figure("the same, CPU", cpus["score"] - cpus["empty"], "s"),
    ]


def find_imports(environ: dict[str, str]) -> Iterator[str]:
    """Yield the slowest imports of the score flow that an empty flow does not have, slowest last."""
    mark = "print('-- ours', file=__import__('sys').stderr, flush=True)"
    program = f"import prefect, prefect.flow_engine, prefect.runner; {mark}; import flows.score"
    command = [sys.executable, "-X", "importtime", "-c", program]
    done = subprocess.run(command, cwd=ROOT, env={**environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    lines = done.stderr.split("-- ours")[1].splitlines()
    timed = [(int(found[1]), line) for line in lines if (found := re.match(r"import time:\s+\d+ \|\s+(\d+) \|", line))]
    yield from (line for _, line in sorted(timed)[-40:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--imports", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anomflow-cold-") as name:
        folder = Path(name)
        environ = {**quiet_environ(folder), "PYTHONPATH": str(ROOT)}
        if options.imports:
            print(*find_imports(environ), sep="\n")
            return 0
        with prefect_server(environ) as served:
            figures = find_figures(measure_pairs(prepare(folder, served), options.pairs))
    if options.json:
        print(json.dumps([vars(figure) for figure in figures], indent=2))
    else:
        for figure in figures:
            budget = "" if figure.budget is None else f"{figure.budget:.0f} {figure.unit}"
            print(f"{figure.name:<36}{figure.figure:>8.2f} {figure.unit:<4}{budget:>8}  {figure.verdict}")
    return 1 if any(figure.verdict == "MISSED" for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
