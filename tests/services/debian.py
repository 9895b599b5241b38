"""Programs that come as packages of Debian."""

from __future__ import annotations

import fcntl
import os
import subprocess

from tests.services.service import INSTALLED


def install_debian(*packages: str) -> None:
    """Install packages of Debian, one process at a time: apt fails where another runs."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["/usr/bin/apt-get", "update", "-qq"], check=True, env=environment)
        subprocess.run(["/usr/bin/apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, env=environment)
