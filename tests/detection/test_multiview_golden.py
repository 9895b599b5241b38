"""Both scores of stored rows stay what they were, so that no change moves them unnoticed.

After a change that is meant to move them, write them anew: ``PYTHONPATH=. python tests/detection/test_multiview_golden.py``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from anomflow.detectors import build_detector

FILE = Path(__file__).with_name("golden_multiview.json")
DIGITS = 9


def score(golden: dict[str, Any], make: Any) -> dict[str, list[float]]:
    series = make(golden["rows"], golden["step"], golden["seed"])
    replay, _ = build_detector().advance(None, series.seconds, series.values)
    return {head: [round(float(row), DIGITS) for row in getattr(replay, head)[golden["index"]]] for head in ("anomaly", "state")}


@pytest.mark.parametrize("golden", json.loads(FILE.read_text()), ids=lambda golden: f"{golden['step']:.0f}s")
def test_both_scores_are_the_stored_ones(golden: dict[str, Any], make: Any) -> None:
    found = score(golden, make)
    assert found["anomaly"] == pytest.approx(golden["anomaly"], abs=1e-6)  # rounding differs from one processor to the next
    assert found["state"] == pytest.approx(golden["state"], abs=1e-6)


def _write() -> None:
    sys.path.insert(0, str(FILE.parent))
    make = import_module("conftest").make_series
    written = [json.dumps(golden | score(golden, make)) for golden in json.loads(FILE.read_text())]
    FILE.write_text("[" + ",\n".join(written) + "]\n")


if __name__ == "__main__":
    _write()
