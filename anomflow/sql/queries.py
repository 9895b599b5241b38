"""A job's query for an engine: its template rendered, translated, and filled with the engine's own literals.

The values of a job's variables never pass through the translation: the template is rendered with slots, translated,
and each slot is then filled with what the engine itself renders. So a value cannot change the statement's structure,
an engine's literals need not be valid DuckDB, and one translation serves all cut-offs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from anomflow.errors import FrameError, SqlError
from anomflow.sql.templates import Quoting, Sql, Template, quote_literal, render
from anomflow.sql.translation import translate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from anomflow.batches.batch import Batch

Query = Literal["ingest", "train", "score", "scores", "change", "plot", "overview", "coverage", "freshness", "cadence", "gaps", "arrivals"]

REQUIRED_COLUMNS: Final[dict[Query, tuple[str, ...]]] = {
    "ingest": ("metric_timestamp", "metric_name", "metric_value"),
    "train": ("metric_name", "metric_timestamp", "metric_value"),
    "score": ("metric_name", "metric_timestamp", "metric_value", "score_metadata"),
    "scores": ("metric_name", "metric_timestamp", "metadata"),
    "change": ("metric_name", "metric_timestamp", "metric_value"),
    "plot": ("metric_name", "metric_timestamp", "metric_type", "metric_value", "metadata"),
    "overview": ("metric_name", "points", "first_point", "last_point", "last_score"),
    "coverage": (
        "metric_name",
        "earlier",
        "first_point",
        "last_earlier",
        "last_point",
        "last_score",
        "ingested",
        "scored",
        "without_score",
        "cold_start",
        "not_finite",
        "excluded",
        "before_start",
        "ignored_period",
        "judged",
        "oldest_waiting",
    ),
    "freshness": ("metric_name", "last_point"),
    "cadence": ("metric_name", "week", "pauses", "total", "longest"),
    "gaps": ("metric_name", "previous_timestamp", "metric_timestamp", "pause", "step", "regular", "pauses", "first_point"),
    "arrivals": ("metric_timestamp", "metrics"),
}

# What a job's template may use beside the batch's own settings and `vars`; the caller gives all but `table`, `batch`
# and `tie_break`. A user's variable may not take one of these names.
JOB_VARIABLES: Final[dict[Query, tuple[str, ...]]] = {
    "ingest": (),
    "train": ("table", "batch", "since", "until", "max_n", "metrics", "tie_break"),
    "score": ("table", "batch", "since", "until", "checkpoint", "metrics", "tie_break"),
    "scores": ("table", "batch", "since", "metrics", "tie_break"),
    "change": ("table", "batch", "since", "until", "max_n", "tie_break"),
    "plot": ("table", "batch", "until", "max_n", "metrics", "tie_break"),
    "overview": ("table", "batch", "until"),
    "coverage": ("table", "batch", "since", "until", "checkpoint", "tie_break"),
    "freshness": ("table", "batch", "since", "until"),
    "cadence": ("table", "batch", "since", "until", "metrics"),
    "gaps": ("table", "batch", "since", "until", "metrics"),
    "arrivals": ("table", "batch", "since", "until"),
}
RESERVED: Final = frozenset(name for names in JOB_VARIABLES.values() for name in names)

SHIPPED: Final = Path(__file__).parent.parent.parent / "metrics"


class SessionLike(Quoting, Protocol):
    """The part of a ``Session`` that building a query needs."""

    @property
    def dialect(self) -> str:
        """Name the dialect as sqlglot does."""
        ...

    @property
    def tie_break(self) -> str:
        """Name the expression that orders duplicates from old to new."""
        ...


@dataclass(frozen=True)
class AnsiQuoting:
    """Standard SQL, for checks that no engine takes part in."""

    dialect: str = "duckdb"
    tie_break: str = "metric_value"

    def literal(self, value: object) -> str:
        """Render numbers as they are, None as null, anything else as text."""
        if value is None:
            return "null"
        if isinstance(value, int | float):
            return str(value).lower()
        return "'" + str(value).replace("'", "''") + "'"

    def identifier(self, name: str) -> str:
        """Quote each part of a dotted name."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


_SLOT: Final = re.compile(r"""(?P<open>['"`\[])__anomflow_(?P<number>\d+)__['"`\]]""")


@dataclass
class _Slots:
    """Stand-ins for quoted names and values, each a text or a name that every dialect keeps."""

    session: SessionLike
    filled: list[str] = field(default_factory=list)

    def literal(self, value: object) -> str:
        return self._slot("'", self.session.literal(value))

    def identifier(self, name: str) -> str:
        return self._slot('"', self.session.identifier(name))

    def expression(self, sql: str) -> Sql:
        return Sql(self._slot('"', sql))

    def names(self, values: object) -> Sql | None:
        """Take a whole list as one slot, so that a thousand names cost the translation nothing."""
        if values is None:
            return None
        if isinstance(values, str):
            raise TypeError("`metrics` is a list of names or None, not one text")
        return Sql(self._slot("'", quote_literal(self.session, list(cast("Any", values)))))

    def fill(self, sql: str) -> str:
        if "__anomflow_" in _SLOT.sub("", sql):
            raise SqlError("a variable stands inside quotes; variables of a job bring their own: {{ batch }}, not '{{ batch }}'")
        return _SLOT.sub(lambda match: self.filled[int(match["number"])], sql)

    def _slot(self, quote: str, sql: str) -> str:
        self.filled.append(sql)
        return f"{quote}__anomflow_{len(self.filled) - 1}__{quote}"


def build_query(query: Query, batch: Batch, session: SessionLike, variables: Mapping[str, object]) -> str:
    """Build a job's query for an engine: the batch's own template where it has one, else the default one.

    ``ingest`` is in its database's own dialect and only rendered; the others are DuckDB SQL and translated. Of
    ``JOB_VARIABLES`` the caller gives the times (UTC), ``max_n`` and ``metrics`` (names, or None for all). Raises SqlError.
    """
    own = batch.template(f"{query}_sql")
    if query == "ingest":
        if own is None:
            raise SqlError(f"batch {batch.name} has no ingest_sql", batch.path.as_posix(), 1)
        rendered = render(own, {**batch.variables(), **variables}, session)
        if not rendered.strip():
            raise SqlError("renders to nothing; a query is needed", own.where, own.line)
        return rendered
    template = own or read_template(batch.folder, query)
    slots = _Slots(session)
    rendered = render(template, {**batch.variables(), **_quote_variables(query, batch, slots, variables)}, slots)
    try:
        return slots.fill(translate(rendered, session.dialect))
    except SqlError as error:
        raise SqlError(f"{query} query: {error.message}", template.where, template.line) from error


def _quote_variables(query: Query, batch: Batch, slots: _Slots, variables: Mapping[str, object]) -> dict[str, object]:
    given = {"table": batch.spec.common.table_key, "batch": batch.name, "metrics": None, **variables}
    unknown = sorted(set(given) - RESERVED)
    if unknown:
        raise SqlError(f"the {query} query takes no variable {', '.join(unknown)}. Known: {', '.join(JOB_VARIABLES[query])}")
    quoted: dict[str, object] = {"tie_break": slots.expression(slots.session.tie_break)}
    for name, value in given.items():
        if name == "table":
            quoted[name] = Sql(slots.identifier(str(value)))
        elif name == "metrics":
            quoted[name] = slots.names(value)
        else:
            quoted[name] = Sql(int(cast("int", value))) if name == "max_n" else Sql(slots.literal(value))
    return quoted


def read_template(folder: Path, query: Query) -> Template:
    """Read a job's default template: the one of the metrics folder where it has one, else the one that ships with Anomflow.

    Raises SqlError where neither is there.
    """
    for root in (folder, SHIPPED):
        path = root / "defaults" / "sql" / f"{query}.sql"
        if path.is_file():
            return Template(path.read_text(encoding="utf-8-sig"), path.as_posix(), folder=root)
    raise SqlError(f"there is no default template for {query}", (SHIPPED / "defaults" / "sql").as_posix())


def check_columns(frame: pl.DataFrame, query: Query, source: str) -> None:
    """Raise FrameError where a query's result lacks a column of ``REQUIRED_COLUMNS``; further columns are ignored."""
    missing = [name for name in REQUIRED_COLUMNS[query] if name not in frame.columns]
    if missing:
        found = ", ".join(frame.columns) or "none"
        needed = ", ".join(REQUIRED_COLUMNS[query])
        raise FrameError(f"{source}: the {query} query returns no column {', '.join(missing)}; found: {found}; needed: {needed}")


def sample_variables(query: Query) -> Mapping[str, object]:
    """Return values of the right kind for a job's variables, to check a template before any engine takes part."""
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    values = {"since": moment, "until": moment, "checkpoint": moment, "max_n": 100, "metrics": ("a", "b")}
    return {name: value for name, value in values.items() if name in JOB_VARIABLES[query]}
