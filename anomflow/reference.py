"""What is generated from the spec: the commented defaults, the JSON schema of batch files, the page about the settings.

``python -m anomflow.reference`` writes them, ``--check`` tells (exit code 1) which of them are stale.
"""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from anomflow.batches.anomstack import FOREIGN_KEYS, FOREIGN_PATTERNS, find_foreign
from anomflow.batches.environment import EXAMPLES_VARIABLE, environment_prefix
from anomflow.batches.validation import find_bounds
from anomflow.deploy_spec import BatchDeploy
from anomflow.sections.calendar import IgnoredPeriod
from anomflow.sections.detector import ModelConfig
from anomflow.setting_types import format_duration
from anomflow.spec import SECTIONS, owners
from anomflow.sql import JOB_VARIABLES, REQUIRED_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

ROOT: Final = Path(__file__).parent.parent
MARKER: Final = "# Reference of all settings with their defaults (generated: python -m anomflow.reference). Your own go above this line."
_DEFAULTS_HEAD: Final = "# The team's defaults: they hold for every batch that does not set the key itself.\n\n"


def plain(value: Any) -> Any:
    """Return a setting's value as a batch file may hold it: durations as text, tuples as lists."""
    if isinstance(value, timedelta | date):  # a datetime, too, has a space and, where there is one, its offset
        return format_duration(value) if isinstance(value, timedelta) else str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_defaults=isinstance(value, BatchDeploy | IgnoredPeriod | ModelConfig)))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def to_yaml(key: str, value: Any) -> str:
    """Write ``key: value`` as YAML that reads back the same, texts of several lines as blocks."""
    plain_lines = isinstance(value, str) and "\n" in value.strip() and value.replace("\n", "").isprintable()
    if not (plain_lines and key.isidentifier()):
        return yaml.safe_dump({key: plain(value)}, allow_unicode=True, sort_keys=False, width=1000).rstrip("\n")
    body = value.rstrip("\n")
    chomping = {0: "-", 1: ""}.get(len(value) - len(body), "+")
    lines = [f"  {line}" if line else "" for line in [*body.split("\n"), *[""] * (len(value) - len(body) - 1)]]
    return "\n".join([f"{key}: |2{chomping}" if value[0] in " \n" else f"{key}: |{chomping}", *lines])


def settings() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield section, key and field of each setting, in the order of the spec."""
    for section, model in SECTIONS.items():
        for key, field in model.model_fields.items():
            yield section, key, field


def describe_kind(field: FieldInfo) -> str:
    """Say in words what kind of value a setting takes."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType] if _is_optional(field) else [field.annotation]
    return " or ".join(_kind(kind) for kind in kinds)


def _is_optional(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def _kind(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "mapping"
    if origin is tuple:
        return "list of names" if get_args(kind)[0] is str else "list of mappings"
    if hasattr(kind, "__metadata__"):
        return " or ".join(_kind(part) for part in get_args(get_args(kind)[0]) or get_args(kind)[:1])
    names: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text", timedelta: "duration"}
    return names[kind]


def _constraints(key: str, field: FieldInfo) -> str:
    return ", ".join(part for part in (describe_kind(field), find_bounds(key)) if part)


def build_defaults(text: str = "") -> str:
    """Build ``defaults.yaml`` anew, keeping what the team wrote: above the marker, or all where there is none."""
    written = text.split(MARKER, 1)[0] if MARKER in text else f"{text.rstrip()}\n\n" if text.strip() else ""
    own = written or _DEFAULTS_HEAD
    return own + "\n".join([MARKER, *_reference_lines()]) + "\n"


def _reference_lines() -> Iterator[str]:
    before = ""
    for section, key, field in settings():
        if section != before:
            yield from ("", f"# {section}: {SECTIONS[section].__doc__}")
            before = section
        if field.is_required():
            continue
        yield f"# {field.description} ({_constraints(key, field)})"
        yield from (f"# {line}" for line in _to_lines(key, field.default))


def _to_lines(key: str, value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return [f"{key}: {yaml.safe_dump(plain(value), default_flow_style=True, sort_keys=False, width=1000)}".rstrip("\n")]
    return to_yaml(key, value).split("\n")


_IGNORED: Final = "A setting of Anomstack without effect in this version."


def build_schema() -> dict[str, Any]:
    """Build the JSON schema of a batch file: flat keys, durations and lists of names as they are written."""
    properties: dict[str, Any] = {}
    for model in SECTIONS.values():
        for key, schema in model.model_json_schema()["properties"].items():
            properties[key] = {name: value for name, value in schema.items() if name != "title"}
    for _, key, field in settings():
        if not field.is_required():
            properties[key]["default"] = plain(field.default)
    ignored = "|".join([*(key for key, foreign in FOREIGN_KEYS.items() if key not in owners() and not foreign.ours), *FOREIGN_PATTERNS])
    ours = [key for key in properties if find_foreign(key) is not None]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Anomflow metric batch",
        "type": "object",
        "required": ["metric_batch"],
        "additionalProperties": False,
        "properties": properties,
        "patternProperties": {f"^(?!({'|'.join(ours)})$)({ignored})$": {"deprecated": True, "description": _IGNORED}},
    }


_PAGE_HEAD: Final = f"""# Settings

A metric batch is a YAML file in the metrics folder: `x/x.yaml` with `x.sql` or `x.py` beside it, or `config.yaml` with
`query.sql` or `ingest.py`. Keys are flat. Values come from, each overriding those before it:

1. the defaults below,
2. `metrics/defaults/defaults.yaml`, the team's defaults,
3. the batch's YAML file,
4. the environment: `ANOMFLOW__<BATCH>__<KEY>`, in capitals, anything but letters and digits as `_`
   (`{environment_prefix("web-shop")}ALERT_THRESHOLD=0.9`); numbers, booleans, lists and mappings as YAML or JSON,
5. `--set KEY=VALUE` on the command line.

Mappings merge deep, anything else replaces. `anomflow show BATCH --origin` tells which value holds and where it came from;
`anomflow validate` reports everything that is wrong, with file and line. Durations are written `90s`, `10min`, `36h`, `2d`
or `1w`. `{EXAMPLES_VARIABLE}=true` leaves out the batches under `metrics/examples/`. Settings of Anomstack that have no
effect here are reported as warnings.

"""


_TABLE_MARK: Final = "<!-- generated: python -m anomflow.reference -->"
_TABLE_END: Final = "<!-- end of what is generated -->"
_TABLE_HEAD: Final = ("| key | default | allowed | meaning |", "|---|---|---|---|")


def build_page() -> str:
    """Build the reference page of all settings and of the variables and columns of each query."""
    lines: list[str] = []
    before = ""
    for section, key, field in settings():
        if section != before:
            lines += ["", f"## {section.capitalize()}", "", SECTIONS[section].__doc__ or "", "", *_TABLE_HEAD]
            before = section
        default = "required" if field.is_required() else f"`{_inline(field.default)}`"
        lines.append(f"| `{key}` | {default} | {_constraints(key, field)} | {field.description} |")
    return _PAGE_HEAD + "\n".join([*lines[1:], "", *_query_lines()]) + "\n"


def _inline(value: Any) -> str:
    return "none" if value is None else json.dumps(plain(value), ensure_ascii=False).strip('"')


def _query_lines() -> Iterator[str]:
    yield "## Queries"
    yield ""
    yield "`ingest_sql` is in its database's own dialect. The others are DuckDB SQL, translated for the batch's warehouse; `scores`,"
    yield "`overview` and `coverage` are internal. All may use the batch's settings, its `vars`, and the filters `literal` and"
    yield "`identifier`."
    yield ""
    yield "| query | further variables | columns that it must return |"
    yield "|---|---|---|"
    for query, columns in REQUIRED_COLUMNS.items():
        variables = ", ".join(f"`{name}`" for name in JOB_VARIABLES[query]) or "none"
        yield f"| {query} | {variables} | {', '.join(f'`{name}`' for name in columns)} |"


def build_migrating(text: str) -> str:
    """Build the page about migrating anew: the table of keys between its two marks, the rest as it is written."""
    from anomflow.importing.key_table import build_key_table  # noqa: PLC0415 - what is imported is written as this module writes

    before, rest = text.split(_TABLE_MARK, 1)
    _, after = rest.split(_TABLE_END, 1)
    return f"{before}{_TABLE_MARK}\n\n{build_key_table()}\n{_TABLE_END}{after}"


def build_files(root: Path) -> dict[Path, str]:
    """Build the text of each generated file under a checkout."""
    defaults = root / "metrics" / "defaults" / "defaults.yaml"
    migrating = root / "docs" / "migrating-from-anomstack.md"
    pages = {migrating: build_migrating(migrating.read_text(encoding="utf-8"))} if migrating.is_file() else {}
    from anomflow.deployments.reference import build_deploy_page, build_deploy_schema  # noqa: PLC0415 - only this needs it

    pages |= {
        root / "docs" / "reference" / "deploy.md": build_deploy_page(),
        root / "docs" / "reference" / "deploy.schema.json": build_deploy_schema(),
    }
    return pages | {
        defaults: build_defaults(defaults.read_text(encoding="utf-8") if defaults.is_file() else ""),
        root / "metrics" / "batch.schema.json": json.dumps(build_schema(), indent=2, ensure_ascii=False) + "\n",
        root / "docs" / "reference" / "settings.md": build_page(),
    }


def find_stale(root: Path) -> list[Path]:
    """Find the generated files that are missing or not what the spec says now."""
    return [path for path, text in build_files(root).items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the generated files, or with ``--check`` name the stale ones; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m anomflow.reference [--check]\n")
        return 2
    stale = find_stale(root)
    for path in stale:
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(build_files(root)[path], encoding="utf-8")
        state = "is stale; run python -m anomflow.reference" if arguments else "written"
        sys.stdout.write(f"{path.relative_to(root).as_posix()}: {state}\n")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
