"""The files of a new batch: what is asked for, rendered, checked by loading it, written."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from anomflow.kinds import WAREHOUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anomflow.errors import Problem

_YAML: Final = """\
{schema}metric_batch: {name}

# Where the rows are kept: a kind ({kinds}) or a block (kind/block-name).
db: {db}

# How often to look. Every setting: `anomflow show {batch}`.
ingest_cron_schedule: {cron}
{freq}{needs}
# How many false alarms a metric may raise in 30 days.
alert_false_alarms_per_month: 2
{channel}
# Static bounds, where you know them.
# tholdalert_thresholds:
#   {batch}_example: {{upper: 100, lower: 0}}
"""

_FREQ: Final = """
# Rows are aggregated to buckets of this width.
freq: {freq}
"""

_CHANNEL: Final = """
# Where alerts go: file, console, email, slack, teams, pagerduty, webhook... or a block (kind/block-name).
alert_methods: {channel}
"""

_NEEDS: Final = """
# What the query or function that it starts from needs.
{needs}"""

# Settings without which a query or function of another batch means something else, or does not run.
_OF_SOURCE: Final = ("vars", "timezone", "ingest_db", "ingest_timeout", "ingest_fn_args")

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

SQL, PYTHON = "sql", "python"
_PLAIN: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Draft:
    """What a new batch is to be; ``source`` is sql, python, or the path of a file to start from."""

    name: str
    source: str = SQL
    db: str = "duckdb"
    cron: str = "*/10 * * * *"
    freq: str = ""
    channel: str = ""


def render_files(draft: Draft, metrics: Path) -> dict[Path, str]:
    """Return the texts of a batch's files, its YAML first."""
    folder = metrics / draft.name
    schema = "# yaml-language-server: $schema=../batch.schema.json\n" if (metrics / "batch.schema.json").is_file() else ""
    text = _YAML.format(
        kinds=", ".join(WAREHOUSES),
        schema=schema,
        batch=draft.name,
        name=json.dumps(draft.name),
        db=_quote(draft.db),
        cron=json.dumps(draft.cron, ensure_ascii=False),
        needs=_render_needs(draft),
        freq=_FREQ.format(freq=_quote(draft.freq)) if draft.freq else "",
        channel=_CHANNEL.format(channel=_quote(draft.channel)) if draft.channel else "",
    )
    suffix, source = _render_source(draft)
    return {folder / f"{draft.name}.yaml": text, folder / f"{draft.name}{suffix}": source}


def _quote(value: str) -> str:
    """Quote a text for YAML, but for plain words."""
    return value if value and value[0] in _PLAIN and all(letter in _PLAIN for letter in value) else json.dumps(value, ensure_ascii=False)


def _render_source(draft: Draft) -> tuple[str, str]:
    if draft.source in {SQL, PYTHON}:
        suffix, template = {SQL: (".sql", _SQL), PYTHON: (".py", _PYTHON)}[draft.source]
        return suffix, template.format(batch=draft.name)
    path = Path(draft.source)
    return path.suffix, path.read_text(encoding="utf-8-sig")


def _render_needs(draft: Draft) -> str:
    """Render the settings that the source of another batch needs, as its file has them."""
    if draft.source in {SQL, PYTHON}:
        return ""
    import yaml  # noqa: PLC0415 - `--help` need not wait for it

    from anomflow.batches.documents import read_document  # noqa: PLC0415 - as above

    path = next(path for suffix in (".yaml", ".yml") if (path := Path(draft.source).with_suffix(suffix)).is_file())
    document = read_document(path)
    if not document.readable:
        raise typer.BadParameter(f"{path.as_posix()} is no valid YAML; `anomflow validate` says where", param_hint="--like")
    settings = document.layer.values
    needs = {key: settings[key] for key in _OF_SOURCE if key in settings}
    return _NEEDS.format(needs=yaml.safe_dump(needs, sort_keys=False, allow_unicode=True)) if needs else ""


def find_source(metrics: Path, batch: str) -> str:
    """Return the path of the query or function beside another batch's YAML; raises typer.BadParameter where there is none."""
    from anomflow.batches import find_names  # noqa: PLC0415 - `--help` need not wait for it
    from anomflow.batches.suggestions import suggest  # noqa: PLC0415 - as above

    names = find_names(metrics)
    if batch not in names:
        raise typer.BadParameter(f"there is no batch {batch!r}.{suggest(batch, list(names), 0.6)}", param_hint="--like")
    beside = [path for suffix in (".sql", ".py") if (path := names[batch].with_suffix(suffix)).is_file()]
    if not beside:
        raise typer.BadParameter(f"{names[batch].as_posix()} has no query or function beside it to start from", param_hint="--like")
    return beside[0].as_posix()


def check_name(batch: str, metrics: Path) -> None:
    """Refuse a name that the spec does not allow, or that another file has."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    from anomflow.batches import find_owner  # noqa: PLC0415 - as above
    from anomflow.sections.common import CommonSpec  # noqa: PLC0415 - as above

    try:
        CommonSpec(metric_batch=batch)
    except ValidationError as error:
        message = f"{batch!r} is no name for a batch; allowed are letters, digits, _ . and - after a letter or digit"
        raise typer.BadParameter(message) from error
    if batch == "defaults":
        raise typer.BadParameter("defaults is the folder of the shared defaults; take another name")
    owner = find_owner(metrics, batch)
    if owner is not None:
        raise typer.BadParameter(f"there is a batch {batch} already, in {owner.as_posix()}")


def find_draft_problems(draft: Draft, environ: Mapping[str, str]) -> list[Problem]:
    """Load a draft from a folder of its own, before anything is written into the metrics folder."""
    from anomflow.batches import find_unknown_kinds, load_batch  # noqa: PLC0415 - as above
    from anomflow.errors import SettingsError  # noqa: PLC0415 - as above
    from blocks.kinds import read_kinds  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="anomflow-") as place:
        for path, text in render_files(draft, Path(place)).items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            problems = tuple(find_unknown_kinds(load_batch(Path(place), draft.name, environ), read_kinds()))
        except SettingsError as error:
            problems = error.problems
    return [replace(problem, where=problem.where.replace(f"{Path(place).as_posix()}/", ""), warning=False) for problem in problems]


def write_scaffold(metrics: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Write the files of a batch; raise typer.BadParameter where one of them exists, before anything is written."""
    existing = [path.as_posix() for path in texts if path.exists()]
    if existing:
        raise typer.BadParameter(f"{' and '.join(existing)} exists already; nothing was written")
    metrics.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)
