"""Compile the kernels into numba's cache, so that no run has to: ``python -m anomflow.detectors.compile``."""

from __future__ import annotations

import sys
import time

import numpy as np

from anomflow.detectors import DETECTORS, build_detector

ROWS = 64


def compile_kernels() -> None:
    """Let every detector advance a short series once, which compiles its kernels or finds them compiled."""
    seconds = np.arange(ROWS, dtype=np.float64)
    for name in DETECTORS:
        build_detector(name).advance(None, seconds, np.zeros(ROWS))


def main() -> None:
    """Compile and say how long it took."""
    start = time.perf_counter()
    compile_kernels()
    sys.stdout.write(f"detectors compiled: {', '.join(DETECTORS)} ({time.perf_counter() - start:.1f} s)\n")


if __name__ == "__main__":
    main()
