"""What a run loads: each driver, model library and chart engine costs every container's start, so only what is used comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import START, Clock, World, at, series

ROOT = Path(__file__).parent.parent
# What is in the installation and slow to load, or belongs to an extra.
FOREIGN = {
    "adbc_driver_bigquery",
    "adbc_driver_manager",
    "adbc_driver_postgresql",
    "redshift_connector",
    "adbc_driver_snowflake",
    "adbc_driver_sqlite",
    "altair",
    "boto3",
    "botocore",
    "clickhouse_connect",
    "dask",
    "distributed",
    "fastapi",
    "google",
    "marvin",
    "matplotlib",
    "mlflow",
    "openai",
    "pandas",
    "PIL",
    "prefect_aws",
    "prefect_azure",
    "prefect_gcp",
    "prefect_snowflake",
    "pyarrow",
    "pydantic_ai",
    "pyod",
    "river",
    "scipy.special",  # numba itself takes scipy.linalg
    "scipy.stats",
    "sklearn",
    "snowflake",
    "sqlalchemy",
    "torch",
    "typer",
    "uvicorn",
    "vl_convert",
}
# Loaded where points are judged, by a run that finds none to judge it would be in vain.
OF_JUDGING = {"numba", "llvmlite"}
PROGRAM = """
import sys
from datetime import datetime
from flows.jobrun import Request, open_run
from flows.score import score_stage
outcome = score_stage(open_run(Request("shop", datetime.fromisoformat(sys.argv[1]), metrics="metrics")))
print(outcome.text)
print(*sorted(sys.modules))
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ANOMFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PREFECT_LOGGING_TO_API_ENABLED", "false")
    (tmp_path / "home").mkdir()
    shop = World(tmp_path, Clock(START))
    shop.configure()
    shop.put(series("orders", 330, spikes=[327]))
    shop.run("ingest", "train", as_of=at(329))
    return shop


def score(world: World) -> tuple[str, set[str]]:
    """Score in a new process; return what it told, and what it had loaded in the end."""
    command = [sys.executable, "-c", PROGRAM, at(329).isoformat()]
    done = subprocess.run(command, cwd=world.folder, capture_output=True, text=True, check=True)
    told, modules = done.stdout.splitlines()[-2:]
    return told, set(modules.split())


def test_a_score_run_on_duckdb_loads_what_it_uses_and_an_idle_one_no_kernels(world):
    told, modules = score(world)
    assert told.startswith("score: 310 scored, 20 without a score")
    assert modules & FOREIGN == set()
    assert {"duckdb", "numba"} <= modules

    told, modules = score(world)
    assert told == "score: nothing to do"
    assert modules & (FOREIGN | OF_JUDGING) == set()
