"""`demo`: the whole pipeline on real data, offline, in about a minute."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.output import Output

if TYPE_CHECKING:
    import polars as pl

    from anomflow.protocols import Warehouse
    from cli.stories import Story

BATCHES: Final = Path(__file__).parents[2] / "metrics" / "examples" / "demo"
# Batch, days that it learns from before its first run, days between runs.
HISTORIES: Final = (("waterflow", 3, 7), ("orders", 14, 14), ("seattle", 365, 180))
TRAIN_EVERY: Final = 4  # runs
LIVE: Final = "machine"
SHOWN: Final = 8  # alerts of a batch, the most surprising
TITLES: Final = {
    "waterflow": "waterflow: hourly flow in a water network, four documented faults",
    "orders": "orders: a shop's orders by hour (invented), one outage of a payment provider",
    "seattle": "seattle: four years of daily weather, no labels",
    "machine": "machine: this machine, live",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    ctx: typer.Context,
    home: Annotated[Path, typer.Option(help="Folder for the demo's database, models, messages and report; emptied first.")] = Path(
        ".anomflow/demo"
    ),
) -> None:
    """Replay real histories through the flows, judge this machine live, and show the alerts.

    Example: anomflow demo --home .anomflow/demo
    """
    from cli.prefect_api import prefect_api  # noqa: PLC0415 - `--help` need not wait for it
    from cli.stories import write_report  # noqa: PLC0415 - as above

    output: Output = ctx.obj
    report = home / "report.html"
    empty_home(home)
    os.environ |= {"ANOMFLOW_HOME": str(home)}
    with ExitStack() as stack:
        advance = stack.enter_context(show_progress(quiet=output.as_json))
        advance("starting a Prefect API in this process")
        stack.enter_context(prefect_api(quiet=True))
        stories = [replay_batch(*history, advance) for history in HISTORIES] + [watch_machine(advance)]
        advance("writing the report")
        write_report(report, stories)
    if output.as_json:
        output.print_json({"home": home, "report": report, "alerts": [row for story in stories for row in story.alerts.to_dicts()]})
        return
    print_stories(stories)
    print_places(home, report)


def empty_home(home: Path) -> None:
    """Remove an earlier demo; refuse a folder that holds anything else."""
    known = {"anomflow.duckdb", "anomflow.duckdb.wal", "anomflow.duckdb.lock", "models", "messages", "report.html"}
    strange = [path.name for path in home.iterdir() if path.name not in known] if home.exists() else []
    if strange:
        raise typer.BadParameter(f"{home} holds {strange[0]!r}, which no demo made; name an empty folder", param_hint="--home")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)


def show_progress(*, quiet: bool) -> Any:
    """Return a context that shows what is being done, with the time so far."""
    from contextlib import contextmanager  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    @contextmanager
    def shown() -> Any:
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True), disable=quiet
        ) as bar:
            task = bar.add_task("")
            yield lambda text: bar.update(task, description=text)

    return shown()


def replay_batch(batch: str, learn_days: int, every_days: int, advance: Callable[[str], None]) -> Story:
    """Ingest a batch's history once, then train, score and alert as of each past time."""
    from cli.replay import Replay, read_span  # noqa: PLC0415

    replay = Replay(batch, BATCHES, timedelta(days=learn_days), timedelta(days=every_days))
    advance(f"{batch}: ingesting its history")
    if batch == "orders":
        make_orders()
    run_jobs(replay.settings, ["ingest"], batch, None)
    warehouse, key = open_warehouse(batch)
    moments = list(replay.times(*read_span(warehouse, key, batch)))
    for number, moment in enumerate(moments, 1):
        advance(f"{batch}: as of {moment:%Y-%m-%d} ({number} of {len(moments)})")
        jobs = ["train", "score", "alert"] if number % TRAIN_EVERY == 1 else ["score", "alert"]
        run_jobs(replay.settings, jobs, batch, moment)
    run_jobs(replay.settings, ["plot"], batch, moments[-1])
    return tell(batch, moments[-1], replay.settings)


def watch_machine(advance: Callable[[str], None]) -> Story:
    """Run the whole pipeline once, now, on this machine's own metrics."""
    advance("machine: this machine, now")
    settings = {"disable_batch": "false"}
    run_jobs(settings, ["pipeline"], LIVE, None)
    return tell(LIVE, None, settings, "Measured live, once: too few rows for a score yet.")


def run_jobs(settings: Mapping[str, str], jobs: Sequence[str], batch: str, moment: datetime | None) -> None:
    """Run jobs as flows; a demo that does not work says so."""
    from cli.commands.run import run_job  # noqa: PLC0415

    for job in jobs:
        state = run_job(job, batch=batch, as_of=moment, settings=dict(settings), metrics=str(BATCHES), send=False)
        if not state.is_completed():
            typer.echo(f"{job} {batch}: {state.message}", err=True)
            raise typer.Exit(1)


def make_orders() -> None:
    """Make the table that the SQL batch reads, in the demo's own database."""
    warehouse, _ = open_warehouse("orders")
    with warehouse.rows.writing() as session:
        session.execute((BATCHES / "orders" / "orders_table.sql").read_text(encoding="utf-8"))


def open_warehouse(batch: str) -> tuple[Warehouse, str]:
    """Return a demo batch's warehouse and table key."""
    from flows.jobrun import Request, open_run  # noqa: PLC0415

    run = open_run(Request(batch, metrics=str(BATCHES), settings={"disable_batch": "false"}))
    return run.warehouse, run.spec.common.table_key


def tell(batch: str, as_of: datetime | None, settings: Mapping[str, str], remark: str = "") -> Story:
    """Read what became of a batch."""
    from cli.stories import read_story  # noqa: PLC0415
    from flows.jobrun import Request  # noqa: PLC0415

    return replace(read_story(Request(batch, as_of, settings, metrics=str(BATCHES))), remark=remark)


def print_stories(stories: Sequence[Story]) -> None:
    """Print each batch's alerts that were told, with the metric's course around them."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(soft_wrap=True, highlight=False)
    for story in stories:
        told = story.alerts.filter(story.alerts["message_id"].is_not_null())
        console.print(f"\n[bold]{TITLES[story.batch]}[/bold]")
        if told.is_empty():
            console.print("  nothing to tell")
            continue
        shown = told.sort("surprise", descending=True, nulls_last=True).head(SHOWN).sort("metric_timestamp")
        console.print(build_table(story, shown))
        if told.height > shown.height:
            console.print(f"  and {told.height - shown.height} less surprising ones: see the report")


def build_table(story: Story, alerts: pl.DataFrame) -> Any:
    """Build a table of alerts that fits a terminal of 80 columns."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from anomflow.wording import clean_text, render_judged  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for heading in ("when (UTC)", "metric", "value", "expected", "course around it"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "value" else "left")
    for alert in alerts.iter_rows(named=True):
        course = draw_course(story.histories.get(alert["metric_name"]), alert["metric_timestamp"])
        value, expected = render_judged(alert["metric_value"], alert["expected_low"], alert["expected_high"], fewest=3)
        name = Text(clean_text(alert["metric_name"], 20))
        table.add_row(f"{alert['metric_timestamp']:%Y-%m-%d %H:%M}", name, value, expected, course)
    return table


def draw_course(history: pl.DataFrame | None, moment: datetime) -> str:
    """Draw the values around an alert, which is the first of the last third."""
    from anomflow.sparkline import render_sparkline  # noqa: PLC0415

    if history is None:
        return ""
    index = int(history["metric_timestamp"].search_sorted(moment))
    around = history["metric_value"].to_list()[max(0, index - 12) : index + 6]
    return render_sparkline(around, width=18)


def print_places(home: Path, report: Path) -> None:
    """Say where everything lies and what to type next."""
    messages = sorted((home / "messages").glob("*.eml"))
    typer.echo(f"""
Messages   {home / "messages"} ({len(messages)} mails with charts; open one in a mail program)
Report     {report} (open it in a browser; it needs no network)
Database   {home / "anomflow.duckdb"}

Next:
  ANOMFLOW_HOME={home} anomflow --metrics metrics/examples/demo explain waterflow water_flow 2022-03-24T07:00
  anomflow init sales          write a batch of your own
  anomflow run pipeline sales  run it once""")
