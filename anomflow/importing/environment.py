"""Anomstack's environment variables by the names that they have here; their values are read, and never written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from anomflow.batches.anomstack import find_foreign
from anomflow.batches.environment import environment_prefix
from anomflow.importing.notes import Note
from anomflow.spec import owners

# A name is of one case: a line of a key that was pasted without quotes is no name.
_ASSIGNMENT: Final = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*)[ \t]*=[ \t]*"""
    r"""(?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>[^']*)'|(?P<bare>[^\n]*))""",
    re.MULTILINE,
)
_EMAIL: Final = {
    "FROM": ("ANOMFLOW_EMAIL_SENDER", "ANOMFLOW_EMAIL_USERNAME"),
    "TO": ("ANOMFLOW_EMAIL_RECIPIENTS",),
    "SMTP_HOST": ("ANOMFLOW_EMAIL_HOST",),
    "SMTP_PORT": ("ANOMFLOW_EMAIL_PORT",),
    "PASSWORD": ("ANOMFLOW_EMAIL_PASSWORD",),
}
# Their name (without ANOMSTACK_) and the names that stand for it here.
RENAMED: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"ALERT_EMAIL_{name}": ours for name, ours in _EMAIL.items()},
    "SMTP_HOST": ("ANOMFLOW_EMAIL_HOST",),
    "SMTP_PORT": ("ANOMFLOW_EMAIL_PORT",),
    "SMTP_USER": ("ANOMFLOW_EMAIL_USERNAME",),
    "SMTP_USERNAME": ("ANOMFLOW_EMAIL_USERNAME",),
    "SMTP_PASSWORD": ("ANOMFLOW_EMAIL_PASSWORD",),
    "SLACK_BOT_TOKEN": ("ANOMFLOW_SLACK_TOKEN",),
    "SLACK_CHANNEL": ("ANOMFLOW_SLACK_CHANNEL",),
    "DUCKDB_PATH": ("ANOMFLOW_DUCKDB_PATH",),
    "SQLITE_PATH": ("ANOMFLOW_SQLITE_PATH",),
    "MOTHERDUCK_TOKEN": ("ANOMFLOW_MOTHERDUCK_TOKEN",),
    "TURSO_DATABASE_URL": ("ANOMFLOW_TURSO_URL",),
    "TURSO_AUTH_TOKEN": ("ANOMFLOW_TURSO_AUTH_TOKEN",),
    "IGNORE_EXAMPLES": ("ANOMFLOW_IGNORE_EXAMPLES",),
    "GOOGLE_APPLICATION_CREDENTIALS": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "GOOGLE_APPLICATION_CREDENTIALS_JSON": ("GOOGLE_APPLICATION_CREDENTIALS_JSON",),
    "GCP_PROJECT_ID": ("GOOGLE_CLOUD_PROJECT",),
    "AWS_ACCESS_KEY_ID": ("AWS_ACCESS_KEY_ID",),
    "AWS_SECRET_ACCESS_KEY": ("AWS_SECRET_ACCESS_KEY",),
    **{f"SNOWFLAKE_{field}": (f"ANOMFLOW_SNOWFLAKE_{field}",) for field in ("ACCOUNT", "USER", "PASSWORD", "WAREHOUSE")},
    **{f"CLICKHOUSE_{field}": (f"ANOMFLOW_CLICKHOUSE_{field}",) for field in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")},
}
# Where a variable (by its name here) belongs in a Prefect block: kind/name and field.
BLOCK_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    **{
        f"ANOMFLOW_EMAIL_{field.upper()}": ("email/default", field)
        for field in ("host", "port", "username", "password", "sender", "recipients")
    },
    "ANOMFLOW_SLACK_TOKEN": ("slack/default", "token"),
    "ANOMFLOW_SLACK_CHANNEL": ("slack/default", "channel"),
    "GOOGLE_APPLICATION_CREDENTIALS": ("gcp-credentials/default", "service_account_file"),
    "GOOGLE_APPLICATION_CREDENTIALS_JSON": ("gcp-credentials/default", "service_account_info"),
    "GOOGLE_CLOUD_PROJECT": ("gcp-credentials/default", "project"),
    "AWS_ACCESS_KEY_ID": ("aws-credentials/default", "aws_access_key_id"),
    "AWS_SECRET_ACCESS_KEY": ("aws-credentials/default", "aws_secret_access_key"),
}
# Variables that set a value for all batches, and the setting of the team's defaults that it becomes.
SHARED: Final = {"ANOMSTACK_TABLE_KEY": "table_key", "ANOMSTACK_MODEL_PATH": "model_path"}
_HARMLESS: Final = {
    "ANOMSTACK_TABLE_KEY": re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*"),
    "ANOMSTACK_MODEL_PATH": re.compile(r"(local|gs|s3)://[A-Za-z0-9_./-]*"),
}
_MOTHERDUCK: Final = "ANOMFLOW_MOTHERDUCK_DATABASE"
_UNBUILT: Final = re.compile(r"ANOMSTACK_(LLM|OPENAI|ANTHROPIC)|OPENAI_|ANTHROPIC_|LANGSMITH_|LANGCHAIN_")
_OBSOLETE: Final = re.compile(
    r"ANOMSTACK_(DAGSTER|ADMIN|MAX_RUNTIME|KILL_|RETENTION|DASHBOARD|CONFIG_|AUTO_CONFIG|HOME$|FAILURE_EMAIL|ENABLE_)|DAGSTER_|POSTHOG_"
)
_FOR_BATCH: Final = re.compile(r"ANOMSTACK__(?P<batch>.+?)__(?P<key>.+)")


@dataclass(frozen=True)
class Variables:
    """What an environment becomes: the text of a file of names, that of a file of blocks, defaults for all batches."""

    names: str
    blocks: str
    defaults: Mapping[str, str]
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class _Renamed:
    """What becomes of a variable: its names here (none where it is not needed), and what to tell."""

    name: str
    ours: tuple[str, ...]
    note: Note


def read_env(text: str) -> dict[str, str]:
    """Read the lines of a ``.env`` file, ``NAME=value`` each, without quotes (which may span lines), comments and empty values."""
    found = {match["name"]: _read_value(match) for match in _ASSIGNMENT.finditer(text)}
    return {name: value for name, value in found.items() if value}


def _read_value(match: re.Match[str]) -> str:
    quoted = match["double"] if match["double"] is not None else match["single"]
    return quoted if quoted is not None else re.split(r"(?:^|\s)#", match["bare"], maxsplit=1)[0].strip()


def find_channels(variables: Mapping[str, str]) -> list[str]:
    """Name the channels that an environment has settings for."""
    needed = {"email": ("ANOMSTACK_ALERT_EMAIL_TO", "ANOMSTACK_ALERT_EMAIL_SMTP_HOST"), "slack": ("ANOMSTACK_SLACK_BOT_TOKEN",)}
    return [channel for channel, names in needed.items() if all(variables.get(name) for name in names)]


def translate_env(variables: Mapping[str, str], batches: Mapping[str, str]) -> Variables:
    """Name each variable as it is called here; ``batches`` maps the names of batches there to those here."""
    renamed = [_translate(name, value, batches) for name, value in sorted(variables.items())]
    defaults = {SHARED[name]: value for name, value in sorted(variables.items()) if name in SHARED and _HARMLESS[name].fullmatch(value)}
    names = dict.fromkeys(ours for found in renamed for ours in found.ours)
    return Variables(_write_names(renamed), _write_blocks(list(names)), defaults, tuple(found.note for found in renamed))


def _translate(name: str, value: str, batches: Mapping[str, str]) -> _Renamed:
    if name in SHARED:
        return _Renamed(name, (), _note_shared(name, value))
    match = _FOR_BATCH.fullmatch(name)
    if match:
        return _translate_override(name, match["batch"], match["key"].lower(), batches)
    ours = RENAMED.get(name.removeprefix("ANOMSTACK_")) if name.startswith("ANOMSTACK_") else None
    if ours:
        return _rename(name, value, ours)
    if _UNBUILT.match(name):
        return _Renamed(name, (), Note(name, None, "look", "is for something that this version does not have"))
    if _OBSOLETE.match(name):
        return _Renamed(name, (), Note(name, None, "done", "is for a part of Anomstack that has no counterpart here"))
    return _Renamed(name, (name,), Note(name, None, "done", "keeps its name, for your own functions"))


def _rename(name: str, value: str, ours: tuple[str, ...]) -> _Renamed:
    if name == "ANOMSTACK_DUCKDB_PATH" and value.startswith(("md:", "motherduck:")):
        words = f"is a database of MotherDuck; set {_MOTHERDUCK} to its name alone, and db to motherduck where it is duckdb"
        return _Renamed(name, (_MOTHERDUCK,), Note(name, None, "look", words))
    return _Renamed(name, ours, Note(name, None, "done", f"is called {' and '.join(ours)} here"))


def _note_shared(name: str, value: str) -> Note:
    if _HARMLESS[name].fullmatch(value):
        return Note(name, None, "done", f"becomes {SHARED[name]} of defaults/defaults.yaml")
    return Note(name, None, "look", f"holds more than a plain name; set {SHARED[name]} in defaults/defaults.yaml yourself")


def _translate_override(name: str, batch: str, key: str, batches: Mapping[str, str]) -> _Renamed:
    ours = next((new for old, new in batches.items() if old.upper().replace("-", "_") == batch.upper()), None)
    if ours is None:
        return _Renamed(name, (), Note(name, None, "look", "is for a batch that was not imported"))
    foreign = find_foreign(key)
    setting = foreign.ours if foreign is not None and foreign.ours else key
    if setting not in owners():
        reason = f"has no effect here: {foreign.words}" if foreign else "stands for no setting; put it under vars of the batch"
        return _Renamed(name, (), Note(name, None, "look", reason))
    new = f"{environment_prefix(ours)}{setting.upper()}"
    return _Renamed(name, (new,), Note(name, None, "done", f"is called {new} here"))


def _write_names(renamed: list[_Renamed]) -> str:
    lines = [
        "# The variables that the imported batches need, by their names here. Give each its value where your secrets live;",
        "# this file holds names only.",
    ]
    for found in renamed:
        lines += [f"{ours}=  # {'' if ours == found.name else 'was '}{found.name}" for ours in found.ours]
    return "\n".join(lines) + "\n"


def _write_blocks(names: list[str]) -> str:
    fields: dict[str, list[str]] = {}
    for name, block, field in _find_fields(names):
        fields.setdefault(block, []).append(f"  {field}: ${{{name}}}")
    head = "# Prefect blocks for the imported batches: kind/name, and the variable that each field takes its value from.\n"
    return head + "".join(f"{block}:\n" + "\n".join(lines) + "\n" for block, lines in fields.items())


def _find_fields(names: list[str]) -> Iterator[tuple[str, str, str]]:
    return ((name, *BLOCK_FIELDS[name]) for name in names if name in BLOCK_FIELDS)
