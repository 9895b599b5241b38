"""Programs that come as packages of Debian."""

from __future__ import annotations

import os
import subprocess

from tests.services.service import install_alone


def install_debian(*packages: str) -> None:
    """Install packages of Debian, one process at a time: apt fails where another runs."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with install_alone("apt"):
        subprocess.run(["/usr/bin/apt-get", "update", "-qq"], check=True, env=environment)
        subprocess.run(["/usr/bin/apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], check=True, env=environment)
