"""What is tested as it is deployed: against a real server and worker of Prefect, and what stands for a cloud."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Suite:
    """Files of tests (below ``tests``), packages that they need (with what these need), programs with their package of Debian."""

    files: Sequence[str]
    packages: Sequence[str] = ()
    programs: Sequence[tuple[str, str]] = ()


SUITES: Final[Mapping[str, Suite]] = {
    "server": Suite([f"prefect/test_{part}.py" for part in ("apply", "apply_killed", "blocks_command", "deploy", "worker")]),
    "automations": Suite(["services/test_automations.py"]),
    "changes": Suite(["services/test_changed_batches.py"]),
    "prefect": Suite(["services/test_deployed_prefect.py"], programs=(("chromium", "chromium"),)),
    "ecs": Suite(["services/test_deployed_ecs.py"], ("prefect-aws==0.7.12", "moto[server]==5.2.5")),
    # httplib2, by which Google's client speaks, passes a proxy by where PySocks is not.
    "cloud-run": Suite(["services/test_deployed_cloud_run.py"], ("prefect-gcp==0.6.22", "PySocks==1.7.1")),
    "scale": Suite(["services/test_scale_out.py"], ("dask==2026.8.0", "distributed==2026.8.0")),
    "image": Suite(["services/test_image.py"]),
}


def install_programs(programs: Sequence[tuple[str, str]]) -> None:
    """Install the programs that are not there."""
    missing = [package for program, package in programs if shutil.which(program) is None]
    if missing:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["/usr/bin/apt-get", "update", "-qq"], check=True, env=environment)
        subprocess.run(["/usr/bin/apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], check=True, env=environment)
