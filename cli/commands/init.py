"""`init`: the files of a new batch, which validate as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from cli.output import Output

_YAML: Final = """\
{schema}metric_batch: {name}

# Where the rows are kept: a kind (duckdb, sqlite) or a block (kind/block-name).
db: duckdb

# How often to look. Every setting: `anomflow show {batch}`.
ingest_cron_schedule: "*/10 * * * *"

# How many false alarms a metric may raise in 30 days.
alert_false_alarms_per_month: 2

# Static bounds, where you know them.
# tholdalert_thresholds:
#   {batch}_example: {{upper: 100, lower: 0}}
"""

_SQL: Final = """\
-- One row a metric and time: metric_timestamp (UTC, where it has no zone), metric_name, metric_value.
-- Replace it by a query over your own tables.
select
    current_timestamp as metric_timestamp,
    '{batch}_example' as metric_name,
    random() * 10 as metric_value
"""

_PYTHON: Final = '''\
"""New rows of the batch {batch}."""

from datetime import UTC, datetime
from random import gauss


def ingest():
    """Return one row a metric and time; a list of mappings, or a polars, pandas or Arrow table."""
    return [{{"metric_timestamp": datetime.now(UTC), "metric_name": "{batch}_example", "metric_value": gauss(10, 1)}}]
'''


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)


def init(
    ctx: typer.Context,
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Name of the new batch.")],
    python: Annotated[bool, typer.Option("--python", help="Ingest by a Python function instead of a SQL query.")] = False,
) -> None:
    """Make the files of a new batch in the metrics folder; nothing that exists is overwritten.

    Example: anomflow init sales --python
    """
    from anomflow.batches import load_batch  # noqa: PLC0415 - `--help` need not wait for it

    output: Output = ctx.obj
    _check_name(batch, output)
    written = write_scaffold(output.metrics, batch, python=python)
    load_batch(output.metrics, batch, output.environ)
    if output.as_json:
        output.print_json({"batch": batch, "files": [path.as_posix() for path in written]})
        return
    for path in written:
        typer.echo(f"written: {path.as_posix()}")
    typer.echo(f"next: edit {written[1].as_posix()}, then `anomflow validate {batch}`")


def _check_name(batch: str, output: Output) -> None:
    """Refuse a name that the spec does not allow, or that another file has."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    from anomflow.batches import find_owner  # noqa: PLC0415 - as above
    from anomflow.spec import CommonSpec  # noqa: PLC0415 - as above

    try:
        CommonSpec(metric_batch=batch)
    except ValidationError as error:
        message = f"{batch!r} is no name for a batch; allowed are letters, digits, _ . and - after a letter or digit"
        raise typer.BadParameter(message) from error
    if batch == "defaults":
        raise typer.BadParameter("defaults is the folder of the shared defaults; take another name")
    owner = find_owner(output.metrics, batch)
    if owner is not None:
        raise typer.BadParameter(f"there is a batch {batch} already, in {owner.as_posix()}")


def write_scaffold(metrics: Path, batch: str, *, python: bool) -> tuple[Path, Path]:
    """Write a batch's YAML file and its source; raise typer.BadParameter where one of them exists."""
    folder = metrics / batch
    schema = "# yaml-language-server: $schema=../batch.schema.json\n" if (metrics / "batch.schema.json").is_file() else ""
    texts = {
        folder / f"{batch}.yaml": _YAML.format(batch=batch, name=json.dumps(batch), schema=schema),
        folder / f"{batch}.{'py' if python else 'sql'}": (_PYTHON if python else _SQL).format(batch=batch),
    }
    existing = [path.as_posix() for path in texts if path.exists()]
    if existing:
        raise typer.BadParameter(f"{' and '.join(existing)} exists already; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    yaml_file, source = texts
    return yaml_file, source
