"""The work of `backtest`: read rows, replay them under a progress bar, print what was found."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import typer

from anomflow.backtest.past import WHOLE_PAST, require_rows
from anomflow.backtest.run import Backtest, Options, run_backtest
from anomflow.backtest.summary import Comparison, compare, sum_up
from anomflow.backtest.words import (
    HEADINGS,
    SHAPE_HEADINGS,
    describe_alerts,
    describe_both,
    describe_summary,
    describe_trials,
    order_alerts,
    state_comparison,
    state_facts,
)
from anomflow.errors import FrameError
from anomflow.feedback import NO_FEEDBACK, Feedback
from anomflow.ledger.feedback import read_feedback
from anomflow.wording import render_count
from cli.output import Output
from cli.tables import print_facts, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    from anomflow.batches import Batch
    from cli.reading import Ledgers

SHOWN: Final = 20


@dataclass(frozen=True, eq=False)
class Past:
    """Rows to replay, the settings and feedback to replay them by, and what the rows did not all become (lines)."""

    name: str
    batch: Batch
    rows: pl.DataFrame
    rejected: int = 0
    remarks: tuple[str, ...] = ()
    feedback: Feedback = NO_FEEDBACK


@dataclass(frozen=True, eq=False)
class Told:
    """What is printed: present settings, proposed ones where there are any, the seconds that both replays took."""

    past: Past
    present: Backtest
    proposed: Backtest | None
    seconds: float
    titles: tuple[str, str] = ("present", "proposed")

    @property
    def failed(self) -> bool:
        """Tell whether not one metric could be judged."""
        return bool(self.present.failed) and self.present.scores.is_empty()


def read_past(output: Output, name: str, overrides: Mapping[str, str], until: datetime) -> Past:
    """Read all rows of a batch up to a time; raises FrameError where there are none."""
    from cli.reading import read_batch  # noqa: PLC0415 - a CSV needs no warehouse

    def read(ledgers: Ledgers) -> tuple[Batch, pl.DataFrame | None, Feedback]:
        rows = ledgers.query("train", until=until, **WHOLE_PAST)
        spec = ledgers.batch.spec
        if ledgers.rows is None or ledgers.ledger is None:
            return ledgers.batch, rows, NO_FEEDBACK
        return ledgers.batch, rows, read_feedback(ledgers.rows, spec, until)

    batch, rows, feedback = read_batch(output, name, read, overrides)
    return Past(name, batch, require_rows(rows, name), feedback=feedback)


def read_csv_past(path: Path, overrides: Mapping[str, str]) -> Past:
    """Read the rows of a CSV file, to be judged by default settings and what overrides them."""
    from anomflow.backtest.csv_file import read_csv  # noqa: PLC0415 - only a CSV needs it
    from anomflow.backtest.settings import build_batch  # noqa: PLC0415 - as above
    from anomflow.ingestion import quote_rejected  # noqa: PLC0415 - as above

    batch = build_batch(overrides, path)
    found = read_csv(path, batch.spec.common.timezone)
    remarks = tuple(quote_rejected(found.rejected))
    if found.observations.is_empty():
        raise FrameError(f"{path}: no row can be used: {'; '.join(remarks)}")
    return Past(str(path), batch, found.observations, found.rejected.height, remarks)


def find_end(past: Past) -> datetime:
    """Return the time of the newest row."""
    newest: Any = past.rows["metric_timestamp"].max()
    return newest  # type: ignore[no-any-return]  # polars types it for any column


def replay(pasts: Sequence[Past], options: Options, *, quiet: bool) -> Told:
    """Replay the present settings and, where there are any, the proposed ones."""
    started = perf_counter()
    with show_progress(len(pasts), quiet=quiet) as advance:
        results = [
            run_backtest(past.rows, past.batch, dataclasses.replace(options, feedback=past.feedback), advance(at))
            for at, past in enumerate(pasts)
        ]
    return Told(pasts[0], results[0], results[1] if len(results) > 1 else None, perf_counter() - started)


@contextmanager
def show_progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], Callable[[float], None]]]:
    """Show a bar in a terminal; yields what makes the callback of each of ``total`` replays."""
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415 - as above

    with Progress(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("replaying", total=total)
        yield lambda at: lambda share: bar.update(task, completed=at + share)


def print_told(output: Output, told: Told) -> None:
    """Print a backtest, or two side by side."""
    if output.as_json:
        output.print_json(_state(told))
        return
    _print_head(output, told)
    if told.proposed is None:
        _print_one(told.present)
    else:
        _print_both(told.present, told.proposed, told.titles)


def _state(told: Told) -> dict[str, Any]:
    present, proposed = told.present, told.proposed
    rows = present.scores.height + (0 if proposed is None else proposed.scores.height)
    head = {
        "source": told.past.name,
        "seconds": round(told.seconds, 3),
        "microseconds_per_row": round(1e6 * told.seconds / max(rows, 1), 1),
    }
    said = state_facts(present) if proposed is None else state_comparison(present, proposed)
    return {**head, "rejected_rows": told.past.rejected, **said}


def _print_head(output: Output, told: Told) -> None:
    for remark in told.past.remarks:
        output.print_failure(remark)
    for name, reason in {**told.present.failed, **(told.proposed.failed if told.proposed else {})}.items():
        output.print_failure(f"{name}: {reason}")
    print_facts([("replayed", told.past.name), ("from", told.present.since), ("to", told.present.until), ("took", f"{told.seconds:.1f} s")])


def _print_one(backtest: Backtest) -> None:
    summary = sum_up(backtest)
    print_facts(describe_summary(summary))
    _print_alerts("would have alerted", backtest.opened, backtest)
    if summary.trials.height:
        typer.echo("")
        print_table(SHAPE_HEADINGS, describe_trials(summary.trials))


def _print_both(present: Backtest, proposed: Backtest, titles: tuple[str, str]) -> None:
    found: Comparison = compare(present, proposed)
    print_table(("", *titles), describe_both(sum_up(present), sum_up(proposed)))
    typer.echo(f"\n{render_count(found.appear.height, 'alert')} appear, {found.go.height} go, {found.stay.height} stay")
    _print_alerts("appear", found.appear, proposed)
    _print_alerts("go", found.go, present)


def _print_alerts(title: str, alerts: pl.DataFrame, backtest: Backtest) -> None:
    if alerts.is_empty():
        return
    more = f", the most surprising {SHOWN} of {alerts.height}" if alerts.height > SHOWN else ""
    typer.echo(f"\n{title}{more}:")
    print_table(HEADINGS, describe_alerts(order_alerts(alerts, SHOWN), backtest.scores))


def write_page(path: Path, told: Told) -> None:
    """Write the page with the charts and alerts of the backtests."""
    from anomflow.backtest.page import build_page  # noqa: PLC0415 - draws with a JavaScript engine

    both = {told.past.name: told.present}
    if told.proposed is not None:
        both = {f"{told.past.name}: present settings": told.present, f"{told.past.name}: proposed settings": told.proposed}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(build_page(both, datetime.now(UTC).replace(microsecond=0)), encoding="utf-8")
