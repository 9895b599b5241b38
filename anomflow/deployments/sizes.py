"""Which processors and memory go together on each platform."""

from __future__ import annotations

from typing import Final

from anomflow.deploy_spec import parse_memory

_GIB: Final = 1024
# Smallest and largest memory in MiB by processors, as Google documents them for jobs of Cloud Run.
_CLOUD_RUN: Final = {1: (512, 4 * _GIB), 2: (512, 8 * _GIB), 4: (2 * _GIB, 16 * _GIB), 6: (4 * _GIB, 24 * _GIB), 8: (4 * _GIB, 32 * _GIB)}
# Smallest, largest and step in MiB, as AWS documents them for tasks of Fargate.
_FARGATE: Final = {
    0.5: (_GIB, 4 * _GIB, _GIB),
    1: (2 * _GIB, 8 * _GIB, _GIB),
    2: (4 * _GIB, 16 * _GIB, _GIB),
    4: (8 * _GIB, 30 * _GIB, _GIB),
    8: (16 * _GIB, 60 * _GIB, 4 * _GIB),
    16: (32 * _GIB, 120 * _GIB, 8 * _GIB),
}
_SMALLEST_FARGATE: Final = (512, 1024, 2048)
_FARGATE_TYPES: Final = ("FARGATE", "FARGATE_SPOT")


def find_size_error(worker: str, cpu: float, memory: str, launch_type: str = "FARGATE") -> str | None:
    """Say why a platform has no container of this size; None where it has, or where nobody can know.

    >>> find_size_error("cloud-run-v2", 1, "8Gi")
    'cpu 1 goes with memory from 512Mi to 4Gi on Cloud Run, not 8Gi'
    """
    if worker == "cloud-run-v2":
        return _check_cloud_run(cpu, memory)
    return _check_fargate(cpu, memory) if worker == "ecs" and launch_type in _FARGATE_TYPES else None


def _check_cloud_run(cpu: float, memory: str) -> str | None:
    if cpu not in _CLOUD_RUN:
        return f"cpu {cpu:g} is none of Cloud Run's sizes for jobs: {', '.join(map(str, _CLOUD_RUN))}"
    smallest, largest = _CLOUD_RUN[int(cpu)]
    if smallest <= parse_memory(memory) <= largest:
        return None
    return f"cpu {cpu:g} goes with memory from {_show(smallest)} to {_show(largest)} on Cloud Run, not {memory}"


def _check_fargate(cpu: float, memory: str) -> str | None:
    mebibytes = parse_memory(memory)
    if cpu == 0.25:  # noqa: PLR2004 - the only size whose memories have no step
        fits, words = mebibytes in _SMALLEST_FARGATE, "512Mi, 1Gi or 2Gi"
    elif cpu in _FARGATE:
        smallest, largest, step = _FARGATE[cpu]
        fits = smallest <= mebibytes <= largest and (mebibytes - smallest) % step == 0
        words = f"{_show(smallest)} to {_show(largest)} in steps of {_show(step)}"
    else:
        return f"cpu {cpu:g} is none of Fargate's sizes: 0.25, {', '.join(f'{size:g}' for size in _FARGATE)}"
    return None if fits else f"cpu {cpu:g} goes with memory of {words} on Fargate, not {memory}"


def _show(mebibytes: int) -> str:
    return f"{mebibytes // _GIB}Gi" if mebibytes % _GIB == 0 else f"{mebibytes}Mi"
