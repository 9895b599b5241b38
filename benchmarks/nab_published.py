"""Check the scoring against what NAB published: score the anomaly scores that it stores, compare with its table.

    python benchmarks/nab_published.py CHECKOUT

CHECKOUT is a checkout of github.com/numenta/NAB (its folders config, labels and results). A detector's scores are told for
each profile: as published, ours at the threshold that NAB stores (which must be equal), ours at the best threshold (which
cannot be lower; NAB's search for the best one does not always find it). Exits with 1 where they are not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from benchmarks.corpus import find_window_rows, probation
from benchmarks.nab_scoring import Scored, score_alerts, score_nab

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Final = {"standard": "standard", "low_fp": "reward_low_FP_rate", "low_fn": "reward_low_FN_rate"}
CLOSE: Final = 1e-6


def main(checkout: Path) -> int:
    """Print a row for each profile of each detector; return 1 where one differs, or none could be compared."""
    windows = json.loads((checkout / "labels" / "combined_windows.json").read_text())
    published = json.loads((checkout / "results" / "final_results.json").read_text())
    thresholds = json.loads((checkout / "config" / "thresholds.json").read_text())
    compared = equal = 0
    for detector, scores in published.items():
        corpus = load_results(checkout / "results" / detector, windows)
        best = score_nab(corpus) if corpus else {}
        for profile, theirs in NAMES.items() if corpus else ():
            threshold = thresholds[detector][theirs]["threshold"]
            stored = score_alerts(corpus, [np.flatnonzero(series.scores >= threshold) for series in corpus])[profile]
            is_equal = abs(stored - scores[theirs]) < CLOSE and best[profile] > scores[theirs] - CLOSE
            compared, equal = compared + 1, equal + is_equal
            numbers = f"{scores[theirs]:12.6f} {stored:12.6f} {best[profile]:12.6f}"
            print(f"{detector:<20} {profile:<9} {numbers}   {'equal' if is_equal else 'DIFFERENT'}", flush=True)
    print(f"{equal} of {compared} equal")
    return 0 if compared and equal == compared else 1


def load_results(folder: Path, windows: Mapping[str, Any]) -> list[Scored]:
    """Return the scores that a detector's folder stores for each file of the corpus, none where one is missing."""
    files = {name: folder / name.replace("/", f"/{folder.name}_") for name in windows}
    if not all(file.exists() for file in files.values()):
        return []
    return [_load(file, windows[name]) for name, file in files.items()]


def _load(file: Path, limits: Any) -> Scored:
    table = pl.read_csv(file, columns=["timestamp", "anomaly_score"], schema_overrides={"anomaly_score": pl.Float64})
    times = table["timestamp"].str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    return Scored(table["anomaly_score"].to_numpy(), find_window_rows(times, limits), probation(table.height))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
