"""How many normal rows lie in the expected range: ``python benchmarks/expected.py --data DIR``; 99 of 100 is what is stated."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

# A script's own folder stands first on the path; the code is that of its checkout.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from anomflow.backtest import replay_series
from benchmarks.corpus import Labelled, load_corpora


def count_covered(series: Labelled) -> tuple[int, int]:
    """Return how many normal rows of a series lie in the range, and of how many a range is known."""
    rows = np.isfinite(series.values)
    judged = replay_series(series.seconds[rows].astype(np.int64), series.values[rows])
    low, high = (judged[side].to_numpy() for side in ("expected_low", "expected_high"))
    known = (series.labels[rows] == 0) & np.isfinite(low) & (np.arange(int(rows.sum())) >= series.first)
    return int(((low <= series.values[rows]) & (series.values[rows] <= high) & known).sum()), int(known.sum())


def main() -> None:
    """Print the share of each corpus: of all its rows, and the median and the lowest tenth of its series."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    for name, corpus in load_corpora(parser.parse_args().data).items():
        counts = np.array([count_covered(series) for series in corpus])
        shares = counts[:, 0] / np.maximum(counts[:, 1], 1)
        whole = counts[:, 0].sum() / counts[:, 1].sum()
        sys.stdout.write(f"{name}: {whole:.4f} of {counts[:, 1].sum()} rows, median {np.median(shares):.4f}, ")
        sys.stdout.write(f"tenth {np.quantile(shares, 0.1):.4f}\n")


if __name__ == "__main__":
    main()
