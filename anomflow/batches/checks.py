"""What types and bounds cannot say of a batch's settings: schedules, time zones, sources, templates."""

from __future__ import annotations

import math
import re
import zoneinfo
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from anomflow import sql
from anomflow.batches.batch import Batch
from anomflow.batches.functions import check_function
from anomflow.batches.models import check_detector
from anomflow.batches.suggestions import suggest
from anomflow.errors import Problem, SqlError
from anomflow.spec import owners

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from anomflow.batches.layers import Layer

_CRON_SIZES: Final = {0: ("minutes", 60), 1: ("hours", 24)}
_MIN_CHANGE: Final = re.compile(r"\d+(\.\d+)?\s*%?")
_BLOCK: Final = re.compile(r"[a-z][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)?")
_TEMPLATES: Final[tuple[sql.Query, ...]] = ("ingest", "train", "score", "plot")


# Settings that are judged together: where one is wrong in itself, nothing is said of the others.
_TOGETHER: Final = (
    {"ingest_sql", "ingest_fn"},
    {"train_min_n", "train_max_n"},
    {"model_configs", "preprocess_fn", "preprocess_params"},
    {"vars", "ingest_sql", "train_sql", "score_sql", "plot_sql"},
)


def find_problems(batch: Batch, layer: Layer, wrong: Collection[str]) -> Iterator[Problem]:
    """Report what is wrong, or odd (as warnings), with settings whose types are right; ``wrong`` names those that are not."""
    untold = set(wrong).union(*(group for group in _TOGETHER if group.intersection(wrong)))
    return (problem for problem in _find_all(batch, layer) if problem.key not in untold)


def _find_all(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for key, value in batch.values().items():
        if key.endswith("_cron_schedule"):
            yield from _check_cron(key, value, layer)
    yield from _check_references(batch, layer)
    yield from _check_time_zone(batch, layer)
    yield from _check_thresholds(batch, layer)
    yield from _check_alerts(batch, layer)
    yield from _check_variables(batch, layer)
    yield from _check_source(batch, layer)
    yield from check_detector(batch, layer)
    yield from _check_templates(batch, layer)


def _check_cron(key: str, schedule: str, layer: Layer) -> Iterator[Problem]:
    for position, part in enumerate(schedule.split()[:2]):
        unit, size = _CRON_SIZES[position]
        step = re.fullmatch(r"\*/(\d+)", part)
        if step and int(step[1]) and size % int(step[1]):
            message = f"{key} is {schedule!r}: {unit} run from 0 to {size - 1}, so that {part} {_meaning(int(step[1]), size)}"
            yield layer.problem((key,), message, warning=True)
    try:
        CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        yield layer.problem((key,), f"{key} is {schedule!r}, which is not a cron schedule: {error}; write for example */10 * * * *")


def _meaning(step: int, size: int) -> str:
    if step > size:
        return f"fires at 0 only, not every {step}; write the steps of the next field instead"
    return f"leaves a gap of {size - (size - 1) // step * step} at its end; use a divisor of {size} for equal steps"


def _check_references(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for key in ("db", "ingest_db"):
        value = batch.value(key)
        if value is not None and not _BLOCK.fullmatch(value):
            yield layer.problem((key,), f"{key} is {value!r}; allowed is a kind (duckdb) or a block (kind/block-name)")
    for index, value in enumerate(batch.spec.alert.alert_methods):
        if not _BLOCK.fullmatch(value):
            message = f"alert_methods has {value!r}; allowed is a kind (email) or a block (kind/block-name)"
            yield layer.problem(("alert_methods", index), message)


def _check_time_zone(batch: Batch, layer: Layer) -> Iterator[Problem]:
    name = batch.spec.common.timezone
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        hint = suggest(name, sorted(zoneinfo.available_timezones()))
        yield layer.problem(("timezone",), f"timezone is {name!r}, which is no IANA time zone (such as Europe/Dublin).{hint}")


def _check_thresholds(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for metric, bounds in batch.spec.thresholds.tholdalert_thresholds.items():
        path = ("tholdalert_thresholds", metric)
        for side, bound in bounds.items():
            if math.isnan(bound):
                yield layer.problem((*path, side), f"tholdalert_thresholds.{metric}.{side} is not a number")
        if "upper" in bounds and "lower" in bounds and bounds["upper"] < bounds["lower"]:
            message = f"tholdalert_thresholds.{metric} has upper {bounds['upper']:g} below lower {bounds['lower']:g}"
            yield layer.problem((*path, "upper"), message)


def _check_alerts(batch: Batch, layer: Layer) -> Iterator[Problem]:
    alert, train = batch.spec.alert, batch.spec.train
    if alert.alert_recent_n is not None:
        message = "alert_recent_n has no effect: every row is judged once, however many are new"
        yield layer.problem(("alert_recent_n",), message, warning=True)
    if not _is_change(alert.alert_min_change):
        message = f"alert_min_change is {alert.alert_min_change!r}; allowed is a number from 0 (5.5) or a percentage (10%)"
        yield layer.problem(("alert_min_change",), message)
    if train.train_min_n > train.train_max_n:
        message = f"train_min_n is {train.train_min_n}, more than train_max_n ({train.train_max_n}): nothing would ever be scored"
        yield layer.problem(("train_min_n",), message)


def _is_change(value: str | float | None) -> bool:
    if isinstance(value, str):
        return _MIN_CHANGE.fullmatch(value.strip()) is not None
    return value is None or 0 <= value < math.inf


def _check_variables(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for name in batch.spec.common.vars:
        if not name.isidentifier():
            yield layer.problem(("vars", name), f"vars.{name} cannot be used in a template; allowed are letters, digits and _")
        elif name in owners() or name in sql.RESERVED or name == "vars":
            yield layer.problem(("vars", name), f"vars.{name} would hide the setting or variable of that name; rename it")


def _check_source(batch: Batch, layer: Layer) -> Iterator[Problem]:
    ingest = batch.spec.ingest
    if ingest.ingest_sql is not None and ingest.ingest_fn is not None:
        other = layer.origin(("ingest_sql",))
        yield layer.problem(("ingest_fn",), f"ingest_fn is set, and ingest_sql too ({other}); a batch has one of them")
    if ingest.ingest_sql is None and ingest.ingest_fn is None:
        if not (ingest.disable_ingest or batch.spec.common.disable_batch):
            stem = batch.path.stem
            files = "query.sql or ingest.py" if stem == "config" else f"{stem}.sql or {stem}.py"
            message = f"neither ingest_sql nor ingest_fn is set, and there is no {files} beside; or set disable_ingest: true"
            yield Problem(batch.path.as_posix(), 1, message, "ingest_sql")
    elif ingest.ingest_fn is not None:
        yield from check_function(batch, layer, "ingest_fn", "ingest")


def _check_templates(batch: Batch, layer: Layer) -> Iterator[Problem]:
    """Render each template of the batch with samples of its variables; those of jobs must parse as one DuckDB statement."""
    for query in _TEMPLATES:
        key = f"{query}_sql"
        if batch.template(key) is None:
            continue
        try:
            sql.build_query(query, batch, sql.AnsiQuoting(), sql.sample_variables(query))
        except SqlError as error:
            where = error.where or batch.path.as_posix()
            yield Problem(where, error.line or layer.origin((key,)).line, f"{key}: {error.message}", key)
