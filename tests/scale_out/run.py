"""Run the tests of scaling out with Dask installed beside the locked packages: ``python tests/scale_out/run.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "dask==2026.8.0",
    "distributed==2026.8.0",
    "lazy-importer==0.1.0",
    "locket==1.0.0",
    "msgpack==1.2.4",
    "partd==1.4.2",
    "tblib==3.2.2",
    "toolz==1.2.0",
    "tornado==6.6.1",
    "zict==3.0.0",
)


def main(arguments: list[str]) -> int:
    """Install what is missing and run the tests."""
    sys.path.insert(0, str(ROOT))
    from tests.services.service import install_packages

    packages = install_packages("dask", PACKAGES)
    paths = os.pathsep.join([str(ROOT), str(packages)])
    environment = os.environ | {"ANOMFLOW_TEST_SCALE": "1", "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/scale_out", *arguments], cwd=ROOT, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
