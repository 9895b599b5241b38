"""Anomflow's core: values and pure functions, free of Prefect."""

import os

# Kernels are compiled once, for any CPU of the architecture: an image built on one machine runs on another
# without compiling again. Numba reads this when it is imported.
os.environ.setdefault("NUMBA_CPU_NAME", "generic")

__version__ = "0.1.0"
