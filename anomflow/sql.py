"""SQL text: Jinja templates rendered, DuckDB's dialect translated, names and values quoted.

The values of a job's variables never pass through the translation: the template is rendered with slots, translated,
and each slot is then filled with what the engine itself renders. So a value cannot change the statement's structure,
an engine's literals need not be valid DuckDB, and one translation serves all cut-offs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, cast

from jinja2 import BaseLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from anomflow.errors import FrameError, SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import polars as pl
    from jinja2 import Environment

    from anomflow.batches.batch import Batch

Query = Literal["ingest", "train", "score", "scores", "plot"]

REQUIRED_COLUMNS: Final[dict[Query, tuple[str, ...]]] = {
    "ingest": ("metric_timestamp", "metric_name", "metric_value"),
    "train": ("metric_name", "metric_timestamp", "metric_value"),
    "score": ("metric_name", "metric_timestamp", "metric_value", "score_metadata"),
    "scores": ("metric_name", "metric_timestamp", "metadata"),
    "plot": ("metric_name", "metric_timestamp", "metric_type", "metric_value", "metadata"),
}

# What a job's template may use beside the batch's own settings and `vars`; the caller gives all but `table`, `batch`
# and `tie_break`. A user's variable may not take one of these names.
JOB_VARIABLES: Final[dict[Query, tuple[str, ...]]] = {
    "ingest": (),
    "train": ("table", "batch", "since", "until", "max_n", "metrics", "tie_break"),
    "score": ("table", "batch", "since", "until", "checkpoint", "metrics", "tie_break"),
    "scores": ("table", "batch", "since", "tie_break"),
    "plot": ("table", "batch", "until", "max_n", "metrics", "tie_break"),
}
RESERVED: Final = frozenset(name for names in JOB_VARIABLES.values() for name in names)

SHIPPED: Final = Path(__file__).parent.parent / "metrics"

_MAIN: Final = "\0template"


class Quoting(Protocol):
    """How an engine writes names and values; a ``Session`` is one."""

    def literal(self, value: object) -> str:
        """Render a value as SQL."""
        ...

    def identifier(self, name: str) -> str:
        """Quote a (possibly dotted) name."""
        ...


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
class Template:
    """Jinja text and where its first line stands; includes are found under ``folder``.

    ``folded`` marks text whose line breaks are not those of the file, so that ``line`` is the best that is known.
    """

    text: str
    where: str
    line: int = 1
    folder: Path | None = None
    folded: bool = False

    def line_of(self, line: int) -> int:
        """Return the line in the file of a line of the text."""
        return self.line if self.folded else self.line + line - 1


class Sql(str):
    """Text that is SQL already, which the quoting filters leave as it is."""

    __slots__ = ()


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


class _Loader(BaseLoader):
    """Serve the template itself and files of its metrics folder."""

    def __init__(self, template: Template) -> None:
        self.template = template

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:  # noqa: ARG002 - Jinja's signature
        if template == _MAIN:
            return self.template.text, _MAIN, lambda: True
        path = resolve_include(self.template.folder, template)
        if path is None:
            raise TemplateNotFound(template)
        try:
            return path.read_text(encoding="utf-8-sig"), path.as_posix(), lambda: True
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateNotFound(template, f"{template} cannot be read: {error}") from error


def resolve_include(folder: Path | None, name: str) -> Path | None:
    """Return the file that an include names, or None where there is none inside the metrics folder."""
    if folder is None or "\0" in name:
        return None
    path = folder / name.removeprefix("./")
    inside = path.resolve().is_relative_to(folder.resolve())
    return path if inside and ".." not in path.parts[len(folder.parts) :] and path.is_file() else None


def render(template: Template, variables: Mapping[str, object], quoting: Quoting) -> str:
    """Render a template in a sandbox, with the filters ``literal`` and ``identifier`` of an engine.

    Raises SqlError for an undefined variable, a missing include, wrong syntax or a forbidden access.
    """
    # SQL is not HTML: what needs quoting goes through the two filters.
    environment = ImmutableSandboxedEnvironment(loader=_Loader(template), undefined=StrictUndefined, autoescape=False)
    environment.filters |= {"literal": _literal_filter(quoting), "identifier": _identifier_filter(quoting)}
    try:
        return environment.get_template(_MAIN).render(variables)
    except TemplateSyntaxError as error:
        raise _render_error(template, error.filename or _MAIN, error.lineno, error.message or "wrong syntax") from error
    except TemplateNotFound as error:
        raise _locate(template, error, f"{error.message or error.name}: there is no such file under {_folder(template)}") from error
    except TemplateError as error:
        raise _locate(template, error, f"{error.message}. Defined: {', '.join(sorted(variables))}") from error
    except Exception as error:  # a template may raise anything: 1 / 0, a filter on a wrong type
        raise _locate(template, error, f"{type(error).__name__}: {error}") from error


def _folder(template: Template) -> str:
    return "the metrics folder" if template.folder is None else template.folder.as_posix()


def _locate(template: Template, error: BaseException, message: str) -> SqlError:
    """Find the innermost template line of a traceback; Jinja rewrites its frames to template lines."""
    where, line = _MAIN, 1
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name == _MAIN or (template.folder is not None and name.startswith(f"{template.folder.as_posix()}/")):
            where, line = name, trace.tb_lineno
        trace = trace.tb_next
    return _render_error(template, where, line, message)


def _render_error(template: Template, filename: str, line: int, message: str) -> SqlError:
    if filename == _MAIN:
        return SqlError(message, template.where, template.line_of(line))
    return SqlError(message, filename, line)


def _literal_filter(quoting: Quoting) -> Callable[[object], Sql]:
    def literal(value: object) -> Sql:
        """Render a value, or a list of values for ``in (...)``; the empty list matches nothing."""
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()  # noqa: SLF001 - Jinja's way to report it with the variable's name
        if isinstance(value, Sql):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return Sql(", ".join(quoting.literal(item) for item in value) or "null")
        return Sql(quoting.literal(value))

    return literal


def _identifier_filter(quoting: Quoting) -> Callable[[object], Sql]:
    def identifier(value: object) -> Sql:
        if isinstance(value, Undefined):
            value._fail_with_undefined_error()  # noqa: SLF001 - as above
        return value if isinstance(value, Sql) else Sql(quoting.identifier(str(value)))

    return identifier


@lru_cache(maxsize=256)
def translate(sql: str, dialect: str) -> str:
    """Translate one statement of DuckDB's dialect; text for DuckDB itself stays as it is.

    Raises SqlError for none or several statements, wrong syntax, and what the other dialect cannot say.
    """
    import sqlglot  # noqa: PLC0415 - takes half a second, which the command line need not wait for
    from sqlglot import exp  # noqa: PLC0415
    from sqlglot.errors import ErrorLevel, ParseError, SqlglotError  # noqa: PLC0415

    try:
        statements = [statement for statement in sqlglot.parse(sql, read="duckdb") if statement is not None]
    except ParseError as error:
        raise SqlError(f"not DuckDB SQL: {_fragment(error, sql)}") from error
    except SqlglotError as error:
        raise SqlError(f"not DuckDB SQL: {error}") from error
    statements = [statement for statement in statements if not isinstance(statement, exp.Semicolon)]
    if len(statements) != 1:
        raise SqlError(f"holds {len(statements)} statements; exactly one is allowed: {_shorten(sql)}")
    if isinstance(statements[0], exp.Command):
        raise SqlError(f"cannot be translated to {dialect}: {_shorten(sql)}")
    if dialect == "duckdb":
        return sql.strip().rstrip(";")
    try:
        return statements[0].sql(dialect=dialect, pretty=True, unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, ValueError) as error:
        raise SqlError(f"cannot be translated to {dialect}: {error}: {_shorten(sql)}") from error


def _fragment(error: Any, sql: str) -> str:
    facts = error.errors[0] if error.errors else {}
    if not facts:
        return _shorten(sql)
    near = f"{facts.get('start_context', '')[-40:]}>>{facts.get('highlight', '')}<<{facts.get('end_context', '')[:40]}"
    return f"line {facts.get('line')}: {facts.get('description')} near: {_shorten(near)}"


def _shorten(sql: str, limit: int = 160) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


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
        return Sql(self._slot("'", _literal_filter(self.session)(list(cast("Any", values)))))

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
    """Read a job's default template: the one of the metrics folder where it has one, else the one that ships with Anomflow."""
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
