"""Measure the pipeline against its budgets; exit code 1 where one is missed.

    python benchmarks/run.py [--metrics N] [--json] [--profile STAGE]

A table of figure, budget and verdict, or the same as JSON. Every step runs in a process of its own, whose CPU time and
largest resident set the kernel counts; the runs through Prefect use a server that this script starts and ends. Times
differ from machine to machine; the first budget is therefore a difference to empty flows in the same process, the last
one a ratio. ``--profile`` prints where the time of a stage goes (train, first, tick) instead.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import os
import pstats
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script, only its own folder is on the path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.jobrun import Run

ROWS = 2500
STEP = timedelta(minutes=10)
END = datetime(2026, 1, 31, tzinfo=UTC)
# Without a pause the server, still busy writing what it heard of the flow before into SQLite, often turns the next one
# away, and the client waits for two seconds.
PAUSE = 3.0
TICKS = 4  # the first one loads what later ones find loaded
SPIKES = 1  # metrics of a tick that alert, so that a message with a chart is drawn and delivered
BATCH = "bench"
YAML = "metric_batch: bench\nalert_threshold: 0.95\ningest_sql: select metric_timestamp, metric_name, metric_value from source\n"

# A daily wave with noise from a hash: the same on every machine, and made by the engine.
VALUES = """
    select
        timestamp '{start}' + k * interval '10 minutes' as metric_timestamp,
        'metric ' || lpad(i::varchar, 5, '0') as metric_name,
        100 + i % 7 + 20 * sin(k * 2 * pi() / 144)
            + (hash(i, k, 1) % 100000 + hash(i, k, 2) % 100000 + hash(i, k, 3) % 100000) / 50000.0
            + case when k >= {rows} and i < {spikes} * (k - {rows} + 1) and i >= {spikes} * (k - {rows}) then 200 else 0 end
            as metric_value
    from range({metrics}) as metrics(i), range({first}, {last}) as steps(k)
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table; a figure without budget is told and not judged."""

    name: str
    figure: float
    unit: str
    budget: float | None = None

    @property
    def verdict(self) -> str:
        return "" if self.budget is None else "ok" if self.figure <= self.budget else "MISSED"


def time_of(tick: int) -> datetime:
    """Return the time that a tick judges by; tick 0 is the one before any new row."""
    return END + STEP * tick


def values_sql(metrics: int, first: int, last: int) -> str:
    start = f"{END - STEP * (ROWS - 1):%Y-%m-%d %H:%M:%S}"
    return VALUES.format(start=start, metrics=metrics, first=first, last=last, rows=ROWS, spikes=SPIKES)


# Steps: each runs in a process of its own, in the folder of a world, and returns its figures.


def open_bench(tick: int) -> Run:
    from flows.jobrun import Request, open_run

    return open_run(Request(BATCH, time_of(tick), metrics="metrics"))


def put_rows(metrics: int, tick: int) -> None:
    """Leave the newest row of each metric in the source, as a query of the last minutes would."""
    import duckdb

    with duckdb.connect(".anomflow/anomflow.duckdb") as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"create or replace table source as {values_sql(metrics, ROWS - 1 + tick, ROWS + tick)}")


def make_world(metrics: int) -> None:
    """Write a batch and its history, which others ingested."""
    import duckdb

    from tasks.warehouse import prepare_tables

    Path("metrics/bench").mkdir(parents=True)
    Path("metrics/bench/bench.yaml").write_text(YAML)
    run = open_bench(0)
    prepare_tables(run.warehouse, run.spec.common.table_key)
    put_rows(metrics, 0)
    with duckdb.connect(".anomflow/anomflow.duckdb") as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(
            f"insert into metrics select metric_timestamp, '{BATCH}', metric_name, 'metric', metric_value, null"
            f" from ({values_sql(metrics, 0, ROWS)}) order by metric_timestamp, metric_name"
        )


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Return wall and CPU seconds of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def step_make(metrics: int) -> dict[str, float]:
    return measure(lambda: make_world(metrics))


def step_train(_metrics: int) -> dict[str, float]:
    from flows.train import train_stage

    run = open_bench(0)
    return measure(lambda: train_stage(run))


def step_first(_metrics: int) -> dict[str, float]:
    """Score the history for the first time, and deliver what it finds."""
    from flows.alert import alert_stage
    from flows.score import score_stage

    run = open_bench(0)
    return measure(lambda: (score_stage(run), alert_stage(run)))


def step_tick(metrics: int) -> dict[str, float]:
    """Ingest, score and alert on one new row of each metric, without Prefect's API."""
    from flows.alert import alert_stage
    from flows.ingest import ingest_stage
    from flows.score import score_stage

    put_rows(metrics, 1)
    run = open_bench(1)
    return measure(lambda: (ingest_stage(run), score_stage(run), alert_stage(run)))


def step_chain(metrics: int) -> dict[str, float]:
    """Run the whole pipeline once, first training included."""
    from flows.pipeline import pipeline_stages

    put_rows(metrics, 0)
    run = open_bench(0)
    return measure(lambda: pipeline_stages(run))


def step_flows(metrics: int) -> dict[str, float]:
    """Run the flows of a tick through the API, each time beside empty flows with as many tasks."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # As the command line does: the heartbeat's thread holds each run up for a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        return compare_flows(metrics)


def compare_flows(metrics: int) -> dict[str, float]:
    excess: list[float] = []
    empty = tasks = 0.0
    run_empty([1])  # connects
    for tick in range(1, TICKS + 1):
        put_rows(metrics, tick)
        time.sleep(PAUSE)
        counted, real = run_counted(tick)
        empty = sum(least_empty(count) for count in counted)
        tasks = float(sum(counted))
        excess.append(real["wall"] - empty)
    return {"first": excess[0], "later": statistics.median(excess[1:]), "empty": empty, "tasks": tasks}


def run_counted(tick: int) -> tuple[list[int], dict[str, float]]:
    """Run the flows; return how many tasks each had, and their time."""
    from flows.alert import alert
    from flows.ingest import ingest
    from flows.score import score

    counter = TaskCounter()
    logging.getLogger("prefect.task_runs").addHandler(counter)
    counts: list[int] = []

    def work() -> None:
        for flow in (ingest, score, alert):
            counter.count = 0
            flow(batch=BATCH, as_of=time_of(tick), metrics="metrics")
            counts.append(counter.count)

    real = measure(work)
    logging.getLogger("prefect.task_runs").removeHandler(counter)
    return counts, real


class TaskCounter(logging.Handler):
    """Count the task runs that end."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("Finished in state")


def least_empty(tasks: int) -> float:
    """Return the least of three times of an empty flow."""
    times = []
    for _ in range(3):
        time.sleep(PAUSE)
        times.append(measure(lambda: run_empty([tasks]))["wall"])
    return min(times)


def run_empty(counts: list[int]) -> None:
    from prefect import flow

    from tasks.effects import effect, log_line

    @effect("nothing")
    def nothing() -> None:
        pass

    @flow(name="empty")
    def empty(tasks: int) -> None:
        for _ in range(tasks):
            nothing()
        log_line("nothing was done")

    for tasks in counts:
        empty(tasks)


def step_detector(_metrics: int) -> dict[str, float]:
    """Replay 10,000 rows of one metric."""
    import numpy as np

    from anomflow.detectors import build_detector

    detector = build_detector()
    rows = np.arange(10_000)
    values = 5 * np.sin(2 * np.pi * rows / 144) + np.random.RandomState(0).normal(size=len(rows))
    costs = [measure(lambda: detector.advance(None, rows * 600.0, values))["cpu"] for _ in range(4)]
    return {"microseconds": min(costs) / len(rows) * 1e6}


STEPS: dict[str, Callable[[int], dict[str, float]]] = {
    "make": step_make,
    "train": step_train,
    "first": step_first,
    "tick": step_tick,
    "chain": step_chain,
    "flows": step_flows,
    "detector": step_detector,
}


def run_child(step: str, metrics: int, *, profile: bool) -> None:
    """Be the process of one step: print its figures and what the kernel counted."""
    profiler = cProfile.Profile()
    found = profiler.runcall(STEPS[step], metrics) if profile else STEPS[step](metrics)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**found, "rss": usage.ru_maxrss / 1024, "cpu_all": usage.ru_utime + usage.ru_stime}))
    if profile:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("cumulative").print_stats(70)


# The other side: worlds, the server, the table.


@dataclass(frozen=True)
class World:
    """A folder with a batch of so many metrics; steps run in it."""

    folder: Path
    metrics: int
    environ: dict[str, str]

    def step(self, name: str, *, profile: bool = False) -> dict[str, float]:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(Path(__file__).resolve()), "--child", name, "--metrics", str(self.metrics)]
        command += ["--profile", name] if profile else []
        print(f"{name}, {self.metrics} metrics ...", file=sys.stderr, flush=True)
        done = subprocess.run(command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True, check=True)
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def quiet_environ(folder: Path) -> dict[str, str]:
    # Without bytecode every step would compile all that it imports, which an installation does once.
    unwanted = ("PREFECT_", "ANOMFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_LOGGING_LEVEL": "INFO"}


@contextmanager
def prefect_server(environ: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start a Prefect server on a free port; yield the environment that uses it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}/api"
            wait_for(f"{url}/health", 180)
            yield {**environ, "PREFECT_API_URL": url}
        finally:
            server.terminate()


def wait_for(url: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"the Prefect server did not answer at {url} within {seconds:g} s")


def run_all(folder: Path, metrics: int) -> list[Figure]:
    environ = quiet_environ(folder)
    big = World(folder / "big", metrics, environ)
    detector = big.step("detector")
    big.step("make")
    train, first = big.step("train"), big.step("first")
    with prefect_server(environ) as online:
        tick = World(big.folder, metrics, online).step("flows")
    chains = [measure_chain(folder / f"chain{count}", count, environ) for count in (metrics // 10, metrics)]
    peaks = {"first training": train, "first scoring": first, "pipeline": chains[1]}
    return [
        Figure("tick beyond empty flows, first in its process", tick["first"], "s", 3.0),
        Figure("tick beyond empty flows, later ones", tick["later"], "s", 3.0),
        Figure(f"empty flows with {tick['tasks']:.0f} tasks", tick["empty"], "s"),
        Figure("first training, CPU", train["cpu"], "s", 150.0 * metrics / 1000),
        Figure("first scoring and its message, CPU", first["cpu"], "s"),
        Figure("peak memory of tick", tick["rss"], "MB", 800.0),
        *(Figure(f"peak memory of {name}", found["rss"], "MB") for name, found in peaks.items()),
        Figure("detector", detector["microseconds"], "us a row", 50.0),
        Figure(f"pipeline, {metrics // 10} metrics, CPU", chains[0]["cpu"], "s"),
        Figure(f"pipeline, {metrics} metrics, CPU", chains[1]["cpu"], "s"),
        Figure("the same, ratio (10 is linear)", chains[1]["cpu"] / chains[0]["cpu"], "x", 12.0),
    ]


def measure_chain(folder: Path, metrics: int, environ: dict[str, str]) -> dict[str, float]:
    world = World(folder, metrics, environ)
    world.step("make")
    return world.step("chain")


def print_table(figures: list[Figure]) -> None:
    for each in figures:
        budget = "" if each.budget is None else f"{each.budget:.4g}"
        print(f"{each.name:<50} {each.figure:>10.2f} {each.unit:<9} {budget:>8}  {each.verdict}".rstrip())


def run_profile(folder: Path, metrics: int, step: str) -> None:
    world = World(folder / "world", metrics, quiet_environ(folder))
    world.step("make")
    for name in ("train", "first", "tick"):
        world.step(name, profile=name == step)
        if name == step:
            return


def parse_arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=int, default=1000, help="how many metrics (1000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--profile", choices=["train", "first", "tick"], help="print where the time of a stage goes")
    parser.add_argument("--child", choices=list(STEPS), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.child:
        run_child(arguments.child, arguments.metrics, profile=bool(arguments.profile))
        return 0
    with tempfile.TemporaryDirectory(prefix="anomflow-bench-") as folder:
        if arguments.profile:
            run_profile(Path(folder), arguments.metrics, arguments.profile)
            return 0
        figures = run_all(Path(folder), arguments.metrics)
    if arguments.json:
        print(json.dumps([{**asdict(each), "verdict": each.verdict} for each in figures], indent=2))
    else:
        print_table(figures)
    return int(any(each.verdict == "MISSED" for each in figures))


if __name__ == "__main__":
    sys.exit(main())
