"""The job variables that each type of worker takes, as its base job template says, and what is wrong with given ones.

``job_templates.json`` is made from the installed workers by ``python -m cli.job_templates``: to import them takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator

from anomflow.batches.suggestions import suggest
from anomflow.deployments.templates import find_variable

PATH: Final = Path(__file__).with_suffix(".json")


@cache
def read_templates() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of the job variables of each type of worker."""
    found: dict[str, dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["workers"]
    return found


@cache
def _validator(worker: str) -> Any:
    return Draft202012Validator(read_templates()[worker])


def find_variable_errors(worker: str, variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and complaint of each job variable that a worker does not know, or whose value it does not take.

    A value that is a variable of whoever deploys is not judged.
    """
    known = read_templates()[worker]["properties"]
    for name in variables:
        if name not in known:
            yield name, f"{name} is not a job variable of {worker}.{suggest(str(name), list(known))} Allowed: {', '.join(known)}"
    judged = {name: value for name, value in variables.items() if name in known and not _is_open(value)}
    for error in _validator(worker).iter_errors(judged):
        path = [str(step) for step in error.absolute_path]
        yield path[0] if path else "", f"job variable {'.'.join(path)} of {worker}: {_explain(error)}"


def _is_open(value: object) -> bool:
    return isinstance(value, str) and bool(find_variable(value)[0])


def _explain(error: Any) -> str:
    causes = [cause.message for cause in error.context or ()] or [error.message]
    return " and ".join(dict.fromkeys(causes))
