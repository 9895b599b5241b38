"""What every test runs under."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A run of CI is repeatable; at home every run tries new examples. How long one takes is a matter of the machine.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")
# Seconds that a mail server may take to start: its own 5 are too few for a busy machine.
os.environ.setdefault("AIOSMTPD_CONTROLLER_TIMEOUT", "120")

# What needs a service, or a server and a worker for minutes, is collected where tests/services/run.py runs it.
SERVED = ["services", *(f"prefect/test_{part}.py" for part in ("apply", "apply_killed", "blocks_command", "deploy", "worker"))]
collect_ignore = [] if {"ANOMFLOW_TEST_SERVICE", "ANOMFLOW_TEST_SUITE"} & os.environ.keys() else SERVED

# A worker takes whole files: the longest first, lest the last one is waited for.
LONGEST = (
    "test_demo.py",
    "test_readme.py",
    "laws/test_crashes.py",
    "laws/test_judged_once.py",
    "prefect/test_flows.py",
    "test_cold_start.py",
    "laws/test_freshness.py",
    "laws/test_scale.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files before the others."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
