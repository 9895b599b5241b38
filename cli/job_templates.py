"""What job variables the installed workers take: `PYTHONPATH=. python -m cli.job_templates` writes it down.

It needs the extras aws and gcp; ``--check`` tells (exit code 1) whether the file is stale.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from anomflow.deployments.job_templates import PATH

if TYPE_CHECKING:
    from collections.abc import Sequence


PACKAGES: Final = ("prefect", "prefect-aws", "prefect-gcp")


def build_templates() -> str:
    """Return the file: of each worker the JSON schema of its job variables, without words and without whose keys are secrets."""
    from prefect.workers.process import ProcessWorker  # noqa: PLC0415 - takes seconds
    from prefect_aws.workers.ecs_worker import ECSWorker  # noqa: PLC0415 - as above
    from prefect_gcp.workers.cloud_run_v2 import CloudRunWorkerV2  # noqa: PLC0415 - as above

    workers: tuple[Any, ...] = (ProcessWorker, CloudRunWorkerV2, ECSWorker)
    templates = {worker.type: reduce_template(worker.get_default_base_job_template()) for worker in workers}
    made_from = {package: version(package) for package in PACKAGES}
    return json.dumps({"made_from": made_from, "workers": templates}, indent=2, sort_keys=True) + "\n"


def reduce_template(template: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a template's variables that values are checked by; a block is any value."""
    variables = template["variables"]
    parts = {name: part for name, part in variables.get("definitions", {}).items() if "block_type_slug" not in part}
    schema = {"type": "object", "properties": variables["properties"], "definitions": parts}
    return dict(_strip(schema, set(parts)))


def _strip(value: Any, parts: set[str]) -> Any:
    if isinstance(value, list):
        return [_strip(item, parts) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value and value["$ref"].rsplit("/", 1)[-1] not in parts:
        return {}
    # A name among properties may be any word; a keyword of a schema with words about it has text or a list.
    return {
        key: _strip(item, parts)
        for key, item in value.items()
        if isinstance(item, dict) or key not in {"description", "title", "examples", "default", "format"}
    }


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with ``--check`` only tell whether it is what the installed workers say."""
    text = build_templates()
    if "--check" in arguments:
        stale = PATH.read_text(encoding="utf-8") != text
        if stale:
            sys.stderr.write(f"{PATH.name} is not what the installed workers say; write it: python -m cli.job_templates\n")
        return int(stale)
    PATH.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PATH.name}: written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
