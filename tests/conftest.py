"""What every test runs under."""

from __future__ import annotations

import os

from hypothesis import settings

# A run of CI is repeatable; at home every run tries new examples.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# What needs a service, or a server and a worker for minutes, is collected where tests/services/run.py runs it.
SERVED = ["services", *(f"prefect/test_{part}.py" for part in ("apply", "apply_killed", "blocks_command", "deploy", "worker"))]
collect_ignore = [] if {"ANOMFLOW_TEST_SERVICE", "ANOMFLOW_TEST_SUITE"} & os.environ.keys() else SERVED
