"""Where kernels come from: a checkout, one that cannot be written, a clone beside the image's checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = "anomflow/detectors"
TOY = """
import anomflow
from anomflow.detectors.kernel_cache import build_kernel

@build_kernel
def double(numbers):
    for i in range(len(numbers)):
        numbers[i] *= 2

import numpy as np
numbers = np.ones(2)
double(numbers)
print(numbers.sum(), *(sum(found.values()) for found in (double.stats.cache_hits, double.stats.cache_misses)))
"""


def make_checkout(folder: Path) -> Path:
    """Make a checkout of what a kernel needs, with a kernel that is compiled at once."""
    (folder / FOLDER).mkdir(parents=True)
    (folder / "anomflow" / "__init__.py").write_text((ROOT / "anomflow" / "__init__.py").read_text())
    (folder / FOLDER / "__init__.py").touch()
    shutil.copy(ROOT / FOLDER / "kernel_cache.py", folder / FOLDER)
    (folder / FOLDER / "toy.py").write_text(TOY)
    return folder


def run_toy(checkout: Path, **given: str) -> str:
    """Run the kernel without a home; return its result, and how often it was found compiled and not."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(checkout), "HOME": "/nonexistent", **given}
    command = [sys.executable, "-m", "anomflow.detectors.toy"]
    done = subprocess.run(command, env=environment, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    checkout = make_checkout(tmp_path / "image")
    assert run_toy(checkout) == "4.0 0 1"
    return checkout


def test_a_kernel_is_compiled_once(compiled):
    assert run_toy(compiled) == "4.0 1 0"


def test_a_clone_takes_the_kernels_of_the_image(compiled, tmp_path):
    clone = make_checkout(tmp_path / "clone")
    assert run_toy(clone, ANOMFLOW_KERNELS=str(compiled)) == "4.0 1 0"
    assert list((clone / FOLDER).rglob("toy*.nbi")) == []


def test_a_clone_with_a_changed_kernel_does_not_take_that_of_the_image(compiled, tmp_path):
    clone = make_checkout(tmp_path / "clone")
    toy = clone / FOLDER / "toy.py"
    toy.write_text(toy.read_text().replace("*= 2", "*= 3"))
    assert run_toy(clone, ANOMFLOW_KERNELS=str(compiled)) == "6.0 0 1"
    assert run_toy(clone, ANOMFLOW_KERNELS=str(compiled)) == "6.0 1 0"
