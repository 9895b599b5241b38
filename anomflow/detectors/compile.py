"""Compile the kernels into numba's cache, so that no run has to: ``python -m anomflow.detectors.compile``."""

from __future__ import annotations

import sys
import time

import numpy as np

from anomflow.detectors import DEFAULT_DETECTOR, DETECTORS, build_detector
from anomflow.detectors.multiview.replay import replay
from anomflow.detectors.pyod_models.ranking import compile_kernel, judge

ROWS = 64


def compile_kernels() -> int:
    """Let the kernels judge a few rows once, which compiles them or finds them compiled; return how many it compiled now."""
    before = _count_compiled()
    seconds = np.arange(ROWS, dtype=np.float64)
    build_detector(DEFAULT_DETECTOR).advance(None, seconds, np.zeros(ROWS))
    compile_kernel()
    return _count_compiled() - before


def _count_compiled() -> int:
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in (replay, judge))


def main() -> None:
    """Compile and say how long it took."""
    start = time.perf_counter()
    compile_kernels()
    sys.stdout.write(f"detectors compiled: {', '.join(DETECTORS)} ({time.perf_counter() - start:.1f} s)\n")


if __name__ == "__main__":
    main()
