"""`query`: look into a batch's warehouse; nothing can be changed by it."""

from __future__ import annotations

import csv
import io
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import BatchName
from cli.output import Output, render_moment
from cli.tables import print_table

if TYPE_CHECKING:
    import polars as pl

    from anomflow.batches import Batch


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(query)


def query(  # noqa: PLR0917 - the words of a command are named by its user
    ctx: typer.Context,
    batch: BatchName,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="The query, - to read it from the standard input, or @FILE.")],
    limit: Annotated[int, typer.Option(min=1, help="Print at most so many rows.")] = 1000,
    shape: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.TABLE,
    ledger: Annotated[bool, typer.Option("--ledger", help="Ask the database that ledger_db names, of alerts and deliveries.")] = False,
) -> None:
    """Run a query on the batch's warehouse, read-only: one SELECT, WITH, VALUES, DESCRIBE, SHOW or SUMMARIZE in its own dialect.

    The tables are metrics (values and scores), metrics_models, metrics_alerts and metrics_deliveries, where table_key is metrics.
    Where a ledger_db is set, the last two lie in that one, which --ledger asks.

    Example: anomflow query sales "select metric_name, count(*) as points from metrics group by 1"
    Example: anomflow query sales @checks.sql --format csv
    """
    output: Output = ctx.obj
    text = read_sql(sql)
    rows, more = read_rows(load(output, batch), text, limit, of_ledger=ledger)
    if output.as_json or shape is Format.JSON:
        output.print_json({"columns": rows.columns, "rows": rows.to_dicts(), "truncated": more})
    elif shape is Format.CSV:
        typer.echo(render_csv(rows), nl=False)
    else:
        print_table(rows.columns, [[_show(value) for value in row] for row in rows.iter_rows()])
    if more:
        typer.echo(f"only the first {limit} rows; --limit shows more", err=True)


def load(output: Output, name: str) -> Batch:
    """Load the batch."""
    from anomflow.batches import load_batch  # noqa: PLC0415 - `--help` need not wait for it

    return load_batch(output.metrics, name, output.environ)


def read_sql(word: str) -> str:
    """Return the text of a query: the word itself, the standard input for -, a file's content for @FILE."""
    if word == "-":
        return sys.stdin.read()
    if not word.startswith("@"):
        return word
    try:
        return Path(word[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{word[1:]} cannot be read: {error}", param_hint="SQL") from error


def read_rows(batch: Batch, sql: str, limit: int, *, of_ledger: bool = False) -> tuple[pl.DataFrame, bool]:
    """Return at most ``limit`` rows of a statement that only reads, and whether there are more; raises SqlError.

    It is asked of the database of the rows, or of that of the ledger.
    """
    from anomflow.errors import SqlError, WarehouseError  # noqa: PLC0415 - as above
    from anomflow.sql.reading import check_reading  # noqa: PLC0415 - as above
    from cli.reading import exists, open_warehouse  # noqa: PLC0415 - as above

    both = open_warehouse(batch)
    warehouse = both.ledger if of_ledger else both.rows
    try:
        text, is_table = check_reading(sql, warehouse.dialect)
    except SqlError as error:
        raise typer.BadParameter(error.message, param_hint="SQL") from error
    if not exists(warehouse):
        raise WarehouseError(f"{warehouse.location} does not exist yet; run a job first: anomflow run ingest {batch.name}")
    try:
        with warehouse.reading() as session:
            session.confine()
            # Line breaks, since the text may end in a comment.
            rows = session.read(f"select * from (\n{text}\n) as asked limit {limit + 1}" if is_table else text)
    except WarehouseError as error:
        hint = _find_hint(batch, text, of_ledger=of_ledger)
        if not hint:
            raise
        raise WarehouseError(f"{error}\n{hint}") from error
    return rows.head(limit), rows.height > limit


def _find_hint(batch: Batch, sql: str, *, of_ledger: bool) -> str:
    """Say where the ledger is, to who looked for it among the rows."""
    from anomflow.frames import LEDGER  # noqa: PLC0415 - as above

    common = batch.spec.common
    names = [table.name(common.table_key) for table in LEDGER]
    is_missed = common.has_ledger_apart and not of_ledger and any(name in sql for name in names)
    return f"{' and '.join(names)} lie in ledger_db ({common.ledger_db}); ask it with --ledger" if is_missed else ""


def _show(value: object) -> object:
    return value if isinstance(value, int | float | None) else render_value(value)


def render_value(value: Any) -> str:
    """Write a value as text: times as ISO 8601, nothing as nothing."""
    if value is None:
        return ""
    return render_moment(value) if isinstance(value, datetime) else str(value)


def render_csv(rows: pl.DataFrame) -> str:
    """Write rows as CSV with a line of headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows([render_value(value) for value in row] for row in rows.iter_rows())
    return buffer.getvalue()
