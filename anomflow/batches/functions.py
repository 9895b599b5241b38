"""What can be known of a batch's ingest function without running it: its arguments, the variables that it needs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anomflow.batches.suggestions import suggest
from anomflow.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anomflow.batches.batch import FunctionSource
    from anomflow.batches.layers import Layer

FUNCTION: Final = "ingest"
_READERS: Final = frozenset({"os.environ.get", "os.getenv", "environ.get", "getenv", "read_variable"})
_MAPPINGS: Final = frozenset({"os.environ", "environ"})


@dataclass(frozen=True)
class Signature:
    """The arguments of a function that may be given by name; ``line`` is that of its definition."""

    line: int
    required: tuple[str, ...]
    optional: tuple[str, ...]
    takes_any: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names, in the order of the definition."""
        return (*self.required, *self.optional)


def find_definition(module: ast.Module) -> ast.FunctionDef | None:
    """Return the one definition of ``ingest``; None where a decorator or a second binding may make it another function."""
    bound = [node for node in ast.walk(module) if _binds(node, FUNCTION)]
    definition = bound[0] if len(bound) == 1 else None
    if isinstance(definition, ast.FunctionDef) and definition in module.body and not definition.decorator_list:
        return definition
    return None


def defines(module: ast.Module, function: str) -> bool:
    """Tell whether a statement binds the name of a function (or may: a star import)."""
    return any(_binds(node, function) for node in ast.walk(module))


def _binds(node: ast.AST, function: str) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
            return name == function
        case ast.ImportFrom(names=names):
            return any((name.asname or name.name) in {function, "*"} for name in names)
    return False


def read_signature(definition: ast.FunctionDef, first_line: int = 1) -> Signature:
    """Return the arguments of a definition whose source begins in ``first_line`` of its file."""
    arguments = definition.args
    plain = [argument.arg for argument in arguments.args]
    positional_defaults = len(arguments.defaults)
    cut = max(0, len(plain) - positional_defaults)
    named = list(zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))
    return Signature(
        first_line + definition.lineno - 1,
        required=(*plain[:cut], *(argument.arg for argument, default in named if default is None)),
        optional=(*plain[cut:], *(argument.arg for argument, default in named if default is not None)),
        takes_any=arguments.kwarg is not None,
    )


def find_argument_problems(source: FunctionSource, arguments: Mapping[str, object], layer: Layer) -> Iterator[Problem]:
    """Report arguments that ``ingest()`` does not take, and those that it needs and nobody gives."""
    definition = find_definition(ast.parse(source.text))
    if definition is None:
        return
    signature = read_signature(definition, source.line)
    for argument in _find_unreachable(definition.args):
        message = f"{FUNCTION}() takes {argument} by position only, and arguments are given by name; remove the / after it"
        yield Problem(source.where, signature.line, message, "ingest_fn")
    for name in arguments:
        if name not in signature.names and not signature.takes_any:
            taken = ", ".join(signature.names) or "none"
            hint = suggest(name, signature.names)
            yield layer.problem(
                ("ingest_fn_args", name), f"ingest_fn_args.{name} is no argument of {FUNCTION}(). Arguments: {taken}.{hint}"
            )
    for name in signature.required:
        if name not in arguments:
            message = f"{FUNCTION}() needs the argument {name}; set it under ingest_fn_args, or give it a default"
            yield Problem(source.where, signature.line, message, "ingest_fn")


def _find_unreachable(arguments: ast.arguments) -> list[str]:
    """Return the arguments without default that cannot be given by name."""
    without_default = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return [argument.arg for argument in arguments.posonlyargs[: max(0, without_default)]]


def find_variables(text: str) -> tuple[str, ...]:
    """Return the environment variables that Python source reads by name, sorted: ``os.environ["X"]``, ``read_variable("X", ...)``.

    Source that is no Python reads none.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return ()
    return tuple(sorted({name for node in nodes if (name := _read_name(node)) is not None}))


def _read_name(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if ast.unparse(function) in _READERS:
            return name
        case ast.Subscript(value=mapping, slice=ast.Constant(value=str(name))) if ast.unparse(mapping) in _MAPPINGS:
            return name
    return None
