"""What is tested as it is deployed: against a real server and worker of Prefect, and what stands for a cloud."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.services.debian import install_debian


@dataclass(frozen=True)
class Suite:
    """Files of tests (below ``tests``), packages that they need (with what these need), programs with their package of Debian."""

    files: Sequence[str]
    packages: Sequence[str] = ()
    programs: Sequence[tuple[str, str]] = ()


STORES: Final = ("conformance/test_stores.py", "services/test_bucket_stores.py", "services/test_bucket_jobs.py")
SUITES: Final[Mapping[str, Suite]] = {
    "server": Suite([f"prefect/test_{part}.py" for part in ("apply", "apply_killed", "blocks_command", "deploy", "worker")]),
    "automations": Suite(["services/test_automations.py"]),
    "changes": Suite(["services/test_changed_batches.py"]),
    "prefect": Suite(["services/test_deployed_prefect.py"], programs=(("chromium", "chromium"),)),
    "ecs": Suite(["services/test_deployed_ecs.py"], ("prefect-aws==0.7.12", "moto[server]==5.2.5")),
    # httplib2, by which Google's client speaks, passes a proxy by where PySocks is not.
    "cloud-run": Suite(["services/test_deployed_cloud_run.py"], ("prefect-gcp==0.6.22", "PySocks==1.7.1")),
    "scale": Suite(["services/test_scale_out.py"], ("dask==2026.8.0", "distributed==2026.8.0")),
    "s3": Suite(STORES, ("prefect-aws==0.7.12", "moto[server]==5.2.5")),
    "gcs": Suite(STORES, ("prefect-gcp==0.6.22", "google-cloud-storage==3.17.1", "gcp-storage-emulator==2026.7.19")),
    "azure": Suite(STORES, ("prefect-azure==0.4.13", "azure-storage-blob==12.31.0")),
    "ledger": Suite(["services/test_ledger_killed.py"]),
    "image": Suite(["services/test_image.py"]),
}


def install_programs(programs: Sequence[tuple[str, str]]) -> None:
    """Install the programs that are not there."""
    missing = [package for program, package in programs if shutil.which(program) is None]
    if missing:
        install_debian(*missing)
