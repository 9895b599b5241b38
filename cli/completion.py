"""What a shell may complete: names of batches, jobs, settings, ids of alerts. A folder that cannot be read completes nothing."""

from __future__ import annotations

from pathlib import Path

import typer


def find_metrics(ctx: typer.Context) -> Path:
    """Return the metrics folder of the words so far."""
    found = ctx.find_root().params.get("metrics")
    return Path(found) if found else Path("metrics")


def complete_batches(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a batch."""
    from anomflow.batches import find_names  # noqa: PLC0415 - `--help` need not wait for it

    try:
        names = sorted(find_names(find_metrics(ctx)))
    except OSError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the words of `run`: jobs, then a batch."""
    from anomflow.spec import JOBS  # noqa: PLC0415 - as above

    return [job for job in JOBS if job.startswith(incomplete)] + complete_batches(ctx, incomplete)


def complete_settings(incomplete: str) -> list[str]:
    """Complete the key of ``--set KEY=VALUE``."""
    from anomflow.spec import owners  # noqa: PLC0415 - as above

    return [f"{key}=" for key in sorted(owners()) if key.startswith(incomplete) and key != "metric_batch"]


def complete_alerts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the id of an alert, the newest first."""
    from anomflow.errors import AnomflowError  # noqa: PLC0415 - as above
    from cli.ledgers import Wanted, find_alerts  # noqa: PLC0415 - as above
    from cli.output import Output  # noqa: PLC0415 - as above

    try:
        found = find_alerts(Output(metrics=find_metrics(ctx)), [], Wanted(start=incomplete))
    except (AnomflowError, OSError):
        return []
    return [str(row["alert_id"]) for row in found.rows][:50]
