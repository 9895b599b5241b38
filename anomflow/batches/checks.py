"""What types and bounds cannot say of a batch's settings: schedules, time zones, sources, templates."""

from __future__ import annotations

import math
import re
import zoneinfo
from typing import TYPE_CHECKING, Final

from anomflow import sql
from anomflow.batches.batch import Batch
from anomflow.batches.function_checks import check_function
from anomflow.batches.functions import find_argument_problems
from anomflow.batches.message_checks import check_messages
from anomflow.batches.models import check_detector
from anomflow.batches.schedules import find_schedule_error, find_schedule_oddities
from anomflow.batches.suggestions import suggest
from anomflow.batches.trigger_checks import check_triggers
from anomflow.errors import Problem, SqlError
from anomflow.setting_types import BLOCK_PATTERN, MIN_CHANGE_PATTERN, STORE_PATTERN
from anomflow.spec import owners

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from anomflow.batches.layers import Layer

_MIN_CHANGE: Final = re.compile(MIN_CHANGE_PATTERN)
_BLOCK: Final = re.compile(BLOCK_PATTERN)
_STORE: Final = re.compile(STORE_PATTERN)
_TEMPLATES: Final[tuple[sql.Query, ...]] = ("ingest", "train", "score", "plot")


# Settings that are judged together: where one is wrong in itself, nothing is said of the others.
_TOGETHER: Final = (
    {"ingest_sql", "ingest_fn", "ingest_fn_args"},
    {"train_min_n", "train_max_n"},
    {"db", "ledger_db", "table_key"},
    {"model_configs", "preprocess_fn", "preprocess_params"},
    {"vars", "ingest_sql", "train_sql", "score_sql", "plot_sql", "alert_message_subject", "alert_message_text", "alert_message_html"},
)


def find_problems(batch: Batch, layer: Layer, wrong: Collection[str]) -> Iterator[Problem]:
    """Report what is wrong, or odd (as warnings), with settings whose types are right; ``wrong`` names those that are not."""
    untold = set(wrong).union(*(group for group in _TOGETHER if group.intersection(wrong)))
    return (problem for problem in _find_all(batch, layer) if problem.key not in untold)


def _find_all(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for key, value in batch.values().items():
        if key.endswith("_cron_schedule"):
            yield from _check_cron(key, value, layer)
    if batch.spec.common.prompt_fn is not None:
        message = "prompt_fn has no effect: no job of this version asks a language model"
        yield layer.problem(("prompt_fn",), message, warning=True)
    yield from check_triggers(batch, layer)
    yield from _check_references(batch, layer)
    yield from _check_time_zone(batch, layer)
    yield from _check_thresholds(batch, layer)
    yield from _check_alerts(batch, layer)
    yield from _check_variables(batch, layer)
    yield from _check_source(batch, layer)
    yield from check_detector(batch, layer)
    yield from _check_templates(batch, layer)
    yield from check_messages(batch)


def _check_cron(key: str, schedule: str, layer: Layer) -> Iterator[Problem]:
    wrong = find_schedule_error(schedule)
    if wrong is not None:
        reason = wrong.replace("<job>", key.removesuffix("_cron_schedule"))
        yield layer.problem((key,), f"{key} is {schedule!r}, {reason}")
        return
    for odd in find_schedule_oddities(schedule):
        yield layer.problem((key,), f"{key} is {schedule!r}: {odd}", warning=True)


def _check_references(batch: Batch, layer: Layer) -> Iterator[Problem]:
    for key in ("db", "ledger_db", "ingest_db"):
        value = batch.value(key)
        if value is not None and not _BLOCK.fullmatch(value):
            yield layer.problem((key,), f"{key} is {value!r}; allowed is a kind (duckdb) or a block (kind/block-name)")
    common = batch.spec.common
    if common.has_ledger_apart and "." in common.table_key:
        message = (
            f"table_key is {common.table_key!r}, and ledger_db {common.ledger_db!r}, where other schemas are than in db ({common.db!r}); "
            f"write {common.table_key.rpartition('.')[2]}, and name each database's schema or dataset in its block"
        )
        yield layer.problem(("table_key",), message)
    for index, value in enumerate(batch.spec.alert.alert_methods):
        if not _BLOCK.fullmatch(value):
            message = f"alert_methods has {value!r}; allowed is a kind (email) or a block (kind/block-name)"
            yield layer.problem(("alert_methods", index), message)
    store = batch.spec.models.model_path
    if not _STORE.fullmatch(store):
        buckets = "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER"
        message = f"model_path is {store!r}; allowed is local, local://PATH, {buckets} or a filesystem block (kind/block-name)."
        yield layer.problem(("model_path",), message)


def _check_time_zone(batch: Batch, layer: Layer) -> Iterator[Problem]:
    name = batch.spec.common.timezone
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        hint = suggest(name, sorted(zoneinfo.available_timezones()))
        yield layer.problem(("timezone",), f"timezone is {name!r}, which is no IANA time zone (such as Europe/Dublin).{hint}")
        return
    yield from _check_periods(batch, layer)
    yield from _check_days(batch, layer)


def _check_periods(batch: Batch, layer: Layer) -> Iterator[Problem]:
    """Report periods of which one end has a zone and the other is the batch's, and that end before they start."""
    for index, period in enumerate(batch.spec.calendar.ignore_periods):
        start, end = period.span(batch.spec.common.timezone)
        if end <= start:
            message = f"ignore_periods.{index}: end {end} is not after start {start}; times without a zone are of timezone"
            yield layer.problem(("ignore_periods", index), message)


def _check_days(batch: Batch, layer: Layer) -> Iterator[Problem]:
    """Report countries without known holidays, and days that two names claim."""
    calendar = batch.spec.calendar
    if calendar.holidays:
        from anomflow.holidays import find_code_error  # noqa: PLC0415 - only batches that name a country need it

        for index, code in enumerate(calendar.holidays):
            wrong = find_code_error(code)
            if wrong is not None:
                path = ("holidays", index) if isinstance(layer.values["holidays"], list) else ("holidays",)
                yield layer.problem(path, f"holidays: {wrong}")
    names: dict[date, str] = {}
    for name, days in calendar.special_days.items():
        for index, day in enumerate(days):
            if names.setdefault(day, name) != name:
                yield layer.problem(("special_days", name, index), f"special_days: {day} is of {names[day]} already; a day has one name")


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
    # A job gives its own variables to its query only, so a batch that keeps the default queries may use their names.
    hidden = sql.RESERVED if any(batch.template(f"{query}_sql") for query in _TEMPLATES if query != "ingest") else frozenset[str]()
    for name in batch.spec.common.vars:
        if not name.isidentifier():
            yield layer.problem(("vars", name), f"vars.{name} cannot be used in a template; allowed are letters, digits and _")
        elif name in owners() or name in hidden or name == "vars":
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
        yield from _check_ingest_function(batch, layer)
    elif ingest.ingest_fn_args:
        yield layer.problem(("ingest_fn_args",), "ingest_fn_args has no effect: the batch has no ingest function", warning=True)


def _check_ingest_function(batch: Batch, layer: Layer) -> Iterator[Problem]:
    problems = list(check_function(batch, layer, "ingest_fn", "ingest"))
    yield from problems
    if not problems and batch.function is not None:
        yield from find_argument_problems(batch.function, batch.spec.ingest.ingest_fn_args, layer)


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
