"""The version of the kernels, known without them: a run that finds nothing to judge loads no compiler."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

KERNELS: Final = ("calibrator", "courses", "forecast", "lasting", "layout", "nearest", "peaks", "replay", "seasons", "stages", "views")


def _build_stamp() -> int:
    content = b"\0".join(Path(__file__).with_name(f"{module}.py").read_bytes() for module in KERNELS)
    return int.from_bytes(blake2b(content, digest_size=7).digest(), "little")


STAMP: Final = _build_stamp()
