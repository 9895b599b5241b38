"""What every test runs under."""

from __future__ import annotations

import os

from hypothesis import settings

# A run of CI is repeatable; at home every run tries new examples.
settings.register_profile("ci", derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# What needs a service is collected where tests/services/run.py has started one.
collect_ignore = [] if os.environ.get("ANOMFLOW_TEST_SERVICE") else ["services"]
# The same for what tests/scale_out/run.py installs.
collect_ignore += [] if os.environ.get("ANOMFLOW_TEST_SCALE") else ["scale_out"]
