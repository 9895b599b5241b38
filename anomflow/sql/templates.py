"""Jinja text to SQL text: a sandbox, strict variables, includes of the metrics folder, quoting filters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from jinja2 import BaseLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from anomflow.errors import SqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from jinja2 import Environment

_MAIN: Final = "<the template itself>"


class Quoting(Protocol):
    """How an engine writes names and values; a ``Session`` is one."""

    def literal(self, value: object) -> str:
        """Render a value as SQL."""
        ...

    def identifier(self, name: str) -> str:
        """Quote a (possibly dotted) name."""
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
    environment = build_environment(template, autoescape=False)
    environment.filters |= {"literal": partial(quote_literal, quoting), "identifier": partial(quote_identifier, quoting)}
    return render_with(environment, template, variables)


def build_environment(template: Template, *, autoescape: bool) -> ImmutableSandboxedEnvironment:
    """Build the sandbox of a template: unknown variables are errors, includes are files of its metrics folder."""
    return ImmutableSandboxedEnvironment(loader=_Loader(template), undefined=StrictUndefined, autoescape=autoescape)


def render_with(environment: Environment, template: Template, variables: Mapping[str, object]) -> str:
    """Render a template in an environment of ``build_environment``; raises SqlError as ``render`` does."""
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


def quote_literal(quoting: Quoting, value: object) -> Sql:
    """Render a value, or a list of values for ``in (...)``, where the empty list matches nothing; SQL stays as it is."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()  # noqa: SLF001 - Jinja's way to report it with the variable's name
    if isinstance(value, Sql):
        return value
    if isinstance(value, list | tuple):
        return Sql(", ".join(quoting.literal(item) for item in value) or "null")
    return Sql(quoting.literal(value))


def quote_identifier(quoting: Quoting, value: object) -> Sql:
    """Quote a (possibly dotted) name; SQL stays as it is."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()  # noqa: SLF001 - as above
    return value if isinstance(value, Sql) else Sql(quoting.identifier(str(value)))
