"""How well detectors find what is labelled, and whether the false alarms that they promise come true.

    python benchmarks/quality.py --data DIR [--json OUT] [--detector NAME]... [--nulls]

Detectors: ``default``, ``anomstack`` (that of Anomstack, as the baseline), models of PyOD by name, ``PCA+KNN`` together.
DIR holds parquet files with the columns series, timestamp, value and label; see benchmarks/corpus.py. ``--nulls`` adds
simulated series without anomalies. All figures but the microseconds are the same on any number of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.box import MARKDOWN
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table

from anomflow.errors import AnomflowError
from benchmarks.corpus import load_corpora
from benchmarks.figures import build_figures
from benchmarks.judging import ANOMSTACK, ASKED, DEFAULT, check_detector, judge_all
from benchmarks.nab_scoring import PROFILES
from benchmarks.nulls import CLOCKS, build_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.corpus import Labelled

Figures = dict[str, Any]

NULL: Final = "noise, "
LINES: Final[dict[str, Callable[[Figures], str]]] = {
    "NAB with a snooze of 50 rows: standard / low FP / low FN": lambda each: _tell_nab(each, "snoozed"),
    "NAB, each row": lambda each: _tell_nab(each, "each_row"),
    "NAB at the default threshold": lambda each: _tell_nab(each, "default"),
    "VUS-PR / AUC-PR (state score)": lambda each: " / ".join(f"{number:.3f}" for number in each["state"].values()),
    "best event F1 (precision, recall)": lambda each: _tell_found(each["best"]),
    "recall at 0.5 / 1 / 2 false alarms per 1,000 rows": lambda each: " / ".join(
        f"{recall:.2f}" for recall in each["best"]["recall_at_false_alarms_per_1000_rows"].values()
    ),
    "event F1 at the default threshold (precision, recall)": lambda each: _tell_found(each["default"]),
    "false alarms a metric and 30 days at the default threshold": lambda each: _tell_rate(each["default"]),
    "microseconds a row": lambda each: f"{each['microseconds_a_row']:.0f}",
}
WIDTH: Final = 190


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 2 where an argument is wrong."""
    given = _parse(arguments)
    detectors = given.detector or [DEFAULT, ANOMSTACK]
    try:
        for detector in detectors:
            check_detector(detector)
        corpora = load_corpora(given.data, dict(given.first)) if given.data else {}
    except (AnomflowError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    wanted = {name: series for name, series in corpora.items() if given.only in {None, name}}
    if given.nulls:
        wanted |= {NULL + name: build_nulls(clock) for name, clock in CLOCKS.items()}
    if not wanted:
        print(f"nothing to measure: {given.only or 'no --data and no --nulls'}; there are: {', '.join(corpora)}", file=sys.stderr)
        return 2
    results = measure(wanted, detectors, given.processes)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    show(results, Console(width=max(Console().width, WIDTH)))
    return 0


def measure(corpora: Mapping[str, Sequence[Labelled]], detectors: Iterable[str], processes: int) -> dict[str, dict[str, Figures]]:
    """Return the figures by corpus and detector."""
    results: dict[str, dict[str, Figures]] = {name: {} for name in corpora}
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        for detector in detectors:
            task = progress.add_task(detector, total=sum(map(len, corpora.values())))
            every = [series for corpus in corpora.values() for series in corpus]
            judged = []
            for each in judge_all(every, detector, processes):
                judged.append(each)
                progress.advance(task)
            said = iter(judged)
            for name, corpus in corpora.items():
                results[name][detector] = build_figures([(series, next(said)) for series in corpus])
    return results


def show(results: Mapping[str, Mapping[str, Figures]], console: Console) -> None:
    """Print a table of each corpus with events, and one of the rates that were asked for."""
    for name, by_detector in results.items():
        first = next(iter(by_detector.values()))
        if first["events"]:
            facts = (
                f"{first['series']} series, {first['rows']:,} rows, {first['metric_months']:.1f} metric-months, {first['events']} events"
            )
            table = Table(f"{name}: {facts}", *by_detector, box=MARKDOWN)
            for line, tell in LINES.items():
                table.add_row(line, *(tell(figures) for figures in by_detector.values()))
            console.print(table)
    said = [(name, detector, each) for name, by_detector in results.items() for detector, each in by_detector.items() if each["asked"]]
    rates = Table("false alarms a metric and 30 days", "months", *(f"asked {rate:g}" for rate in ASKED), box=MARKDOWN)
    for name, detector, each in said:
        cells = [_tell_rate(part) + (f" R {part['recall']:.2f}" if each["events"] else "") for part in each["asked"].values()]
        rates.add_row(f"{name}, {detector}", f"{each['metric_months']:.1f}", *cells)
    if said:
        console.print(rates)


def _tell_rate(part: Figures) -> str:
    return f"{part['false_alarms_a_month']:.2f} ({part['low']:.2f}-{part['high']:.2f})"


def _tell_found(part: Figures) -> str:
    return f"{part['f1']:.3f} ({part['precision']:.2f}, {part['recall']:.2f})"


def _tell_nab(figures: Figures, kind: str) -> str:
    return " / ".join(f"{figures['nab'][kind][name]:.1f}" for name in PROFILES) if figures["nab"] else ""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of parquet files")
    parser.add_argument("--only", help="one file of the folder, by its name without .parquet")
    parser.add_argument("--first", type=_parse_first, action="append", default=[], metavar="NAME=ROW", help="evaluate a file from a row on")
    parser.add_argument("--detector", action="append", help="may be given several times; none: default and anomstack")
    parser.add_argument("--nulls", action="store_true", help="count false alarms on simulated series as well")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--processes", type=_parse_processes, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


def _parse_first(text: str) -> tuple[str, int]:
    name, _, row = text.partition("=")
    if not name or not row.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ROW, such as asd=2000")
    return name, int(row)


def _parse_processes(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
