"""A block whose fields stand in environment variables: ``ANOMFLOW_<KIND>_<FIELD>``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from anomflow.errors import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prefect.blocks.core import Block

    BlockT = TypeVar("BlockT", bound=Block)


def find_prefix(kind: str) -> str:
    """Return what the variables of a kind begin with."""
    return f"ANOMFLOW_{kind.upper()}_"


def is_in_environment(block: type[Block], kind: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a variable gives a field of the block."""
    return bool(find_fields(block, kind, environ))


def load_from_environment(block: type[BlockT], kind: str, environ: Mapping[str, str]) -> BlockT:
    """Build a block from the variables that give its fields.

    Raises SettingsError naming every variable that is missing or wrong, without what it holds.
    """
    try:
        return block(**find_fields(block, kind, environ))
    except ValidationError as error:
        problems = [_build_problem(find_prefix(kind), wrong) for wrong in error.errors(include_input=False, include_context=False)]
        raise SettingsError(problems) from None  # its text quotes what was given


def list_variables(block: type[Block], kind: str) -> dict[str, str]:
    """Return the variable of each field."""
    return {name: find_prefix(kind) + name.upper() for name in block.model_fields}


def find_fields(block: type[Block], kind: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that variables give; one that is empty counts as not set."""
    return {name: environ[variable] for name, variable in list_variables(block, kind).items() if environ.get(variable)}


def _build_problem(prefix: str, wrong: Any) -> Problem:
    where = f"{prefix}{str(wrong['loc'][0]).upper()}: " if wrong["loc"] else f"{prefix}*: "
    return Problem("environment", None, f"{where}{wrong['msg'].removeprefix('Value error, ')}")
