"""A channel whose fields may stand in environment variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, ValidationError

from anomflow.errors import Problem, SettingsError
from blocks.environment import find_fields, list_variables

if TYPE_CHECKING:
    from collections.abc import Mapping


class EnvironmentBlock(Block):
    """A block whose field ``x`` may stand in the variable ``ANOMFLOW_<KIND>_X``."""

    model_config = ConfigDict(hide_input_in_errors=True)  # a wrong field's error would quote the others, secrets too
    kind: ClassVar[str] = ""

    @classmethod
    def list_variables(cls) -> dict[str, str]:
        """Return the variable of each field."""
        return list_variables(cls, cls.kind)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Build the block from its variables; one that is empty counts as not set.

        Raises SettingsError naming every variable that is missing or wrong.
        """
        try:
            return cls(**find_fields(cls, cls.kind, environ))
        except ValidationError as error:
            raise SettingsError([cls._build_problem(wrong) for wrong in error.errors()]) from None  # its text quotes what was given

    @classmethod
    def _build_problem(cls, wrong: Mapping[str, Any]) -> Problem:
        """Name the variable and what is wrong with it, without what it holds."""
        variables = cls.list_variables()
        said = str(wrong["msg"]).removeprefix("Value error, ")
        block = f"or name a block instead (alert_methods: {cls.kind}/<block-name>)."
        if not wrong["loc"]:
            named = ", ".join(variable for name, variable in variables.items() if re.search(rf"\b{name}\b", said))
            message = f"the channel {cls.kind}: {said} (variables {named}). Correct it, {block}"
        elif wrong["type"] == "missing":
            message = f"the channel {cls.kind} needs {variables[str(wrong['loc'][0])]}. Set it, {block}"
        else:
            message = f"{variables[str(wrong['loc'][0])]}: {said}. Correct it, {block}"
        return Problem("environment", None, message, key="alert_methods")
