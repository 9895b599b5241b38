"""Names and values as SQL of an engine: what the standard says, for an engine to change where it differs."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from anomflow.errors import WarehouseError


class Quoting:
    """Quote names and values; a number that is not finite is null."""

    def literal(self, value: object) -> str:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            text = repr(value)
            return text if "e" in text else f"{text}e0"  # without an exponent some engines read a decimal
        if isinstance(value, datetime):
            return self._time_literal(to_utc(value))
        if isinstance(value, str):
            return self._text_literal(value)
        raise WarehouseError(f"a {type(value).__name__} cannot be written as SQL; use text, a number, a boolean, None or a zoned datetime")

    def identifier(self, name: str) -> str:
        if "\0" in name or not all(name.split(".")):
            raise WarehouseError(f"{name!r} cannot name a table or column: it has an empty part or a NUL character")
        return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))

    def _text_literal(self, value: str) -> str:
        if "\0" in value:
            raise WarehouseError(f"the text {value[:80]!r} has a NUL character, which SQL cannot hold")
        return "'" + value.replace("'", "''") + "'"

    def _time_literal(self, moment: datetime) -> str:
        return f"timestamptz '{moment:%Y-%m-%d %H:%M:%S.%f}+00:00'"


def to_utc(moment: datetime) -> datetime:
    """Return a zoned datetime in UTC.

    Raises:
        WarehouseError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise WarehouseError(f"{moment!r} has no time zone; write it as UTC")
    return moment.astimezone(UTC)
