"""PostgreSQL, over its ADBC driver."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from anomflow.errors import MissingDependencyError
from blocks.warehouses.postgres_errors import explain_refusal
from blocks.warehouses.postgres_session import PostgresSession
from blocks.warehouses.secrets import find_secrets, redact
from blocks.warehouses.server import Place, ServerWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adbc_driver_manager.dbapi import Connection

    from blocks.warehouses.relational import RelationalSession

_PORT: Final = 5432
_HOST: Final = r"(\[[\da-fA-F:.]+\]|[\w.%-]*)(:\d+)?"
# So strict that no part of a password which should have been encoded is taken for a host, which is shown.
_URI: Final = re.compile(rf"postgres(ql)?://([^@/?#\s]*@)?{_HOST}(,{_HOST})*(/[^@/?#\s]*)?(\?\w+=[^#&\s]*(&\w+=[^#&\s]*)*)?")
_FIELDS: Final = ("host", "port", "database", "user", "password", "sslmode")
# Fields of their own, secrets, and what would bring either in by another way.
_OWN_OPTIONS: Final = frozenset(
    {"host", "hostaddr", "port", "dbname", "user", "password", "sslmode", "connect_timeout", "sslpassword", "service", "options"}
)
# A server that is gone is found out in about a minute.
_DEFAULTS: Final[Mapping[str, str]] = {
    "application_name": "anomflow",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


class PostgresWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a PostgreSQL database, or read a batch's rows from it."""

    _block_type_name = "Anomflow PostgreSQL Warehouse"
    _block_type_slug = "anomflow-postgres-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a PostgreSQL database."
    _code_example = """
    ```python
    from blocks.warehouses.postgres import PostgresWarehouse

    warehouse = PostgresWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "postgres"
    dialect: ClassVar[str] = "postgres"

    uri: SecretStr | None = Field(
        default=None,
        description="Address with everything in it, postgresql://user:password@host:5432/database, instead of the fields below.",
    )
    host: str | None = Field(default=None, min_length=1, description="Host name or address of the server, or the folder of its socket.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of the server; none: 5432.")
    database: str | None = Field(default=None, min_length=1, description="Name of the database.")
    user: str | None = Field(default=None, min_length=1, description="Role that connects.")
    password: SecretStr | None = Field(
        default=None, description="Password of the role; none: what the server takes without one, or the password file of libpq."
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None, description="How the connection is encrypted and the server's certificate checked, in libpq's words; none: prefer."
    )
    schema_name: str | None = Field(
        default=None, min_length=1, description="Schema of tables that are named without one; none: what the role's search_path says."
    )
    options: dict[str, str] = Field(
        default_factory=dict,
        description="Further connection parameters of libpq, such as sslrootcert, sslcert or target_session_attrs.",
    )
    connect_timeout_seconds: int = Field(default=10, ge=2, le=300, description="Seconds to wait for a connection, from 2 to 300.")

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, uri: SecretStr | None) -> SecretStr | None:
        if uri is not None and not _URI.fullmatch(uri.get_secret_value()):
            raise ValueError(
                "must be postgresql://user:password@host:5432/database, with %40 for an @ in a password, %2F for a / and so on"
            )
        return uri

    @field_validator("options")
    @classmethod
    def _check_options(cls, options: dict[str, str]) -> dict[str, str]:
        for name in options:
            if name in _OWN_OPTIONS or not re.fullmatch(r"[a-z_]+", name):
                raise ValueError(f"{name!r} may not stand here: it is no parameter of libpq, has a field of its own or is a secret")
        return options

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        given = [name for name in _FIELDS if getattr(self, name) is not None]
        if self.uri is not None and given:
            raise ValueError(f"give either uri or {', '.join(given)}, not both")
        missing = [name for name in ("host", "database", "user") if getattr(self, name) is None]
        if self.uri is None and missing:
            raise ValueError(f"{', '.join(missing)} is missing: give host, database and user, or uri")
        return self

    @property
    def location(self) -> str:
        schema = f" schema {self.schema_name}" if self.schema_name else ""
        if self.uri is None:
            return f"postgres:{self.host}:{self.port or _PORT}/{self.database}{schema}"
        place = urlsplit(self.uri.get_secret_value())
        return f"postgres:{place.netloc.rpartition('@')[2]}{place.path}{schema}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        connection = self._connect()
        try:
            yield PostgresSession(connection, Place(self.location, self.limits, self.schema_name), writable=writable)
        finally:
            connection.close()

    def _connect(self) -> Connection:
        try:
            import adbc_driver_postgresql.dbapi as driver  # noqa: PLC0415 - the driver loads when it is used
        except ImportError as error:
            raise MissingDependencyError("The warehouse postgres", "postgres") from error
        try:
            connection: Connection = driver.connect(self._build_address(), autocommit=True)
        except driver.Error as error:
            # Not chained: the driver quotes parts of the address.
            raise explain_refusal(redact(str(error), self._find_secrets()), self.location) from None
        return connection

    def _build_address(self) -> str:
        defaults = {**_DEFAULTS, "connect_timeout": str(self.connect_timeout_seconds), **self.options}
        if self.uri is not None:
            place = urlsplit(self.uri.get_secret_value())
            added = {name: value for name, value in defaults.items() if name not in parse_qs(place.query)}
            query = "&".join(filter(None, (place.query, urlencode(added, quote_via=quote))))
            return urlunsplit((place.scheme, place.netloc, place.path or "/", query, ""))
        password = self.password.get_secret_value() if self.password else None
        named = {"host": self.host, "port": str(self.port or _PORT), "dbname": self.database, "user": self.user, "password": password}
        pairs = {**named, "sslmode": self.sslmode or "prefer", **defaults}
        return " ".join(f"{name}={_quote(value)}" for name, value in pairs.items() if value is not None)

    def _find_secrets(self) -> tuple[str, ...]:
        in_uri = find_secrets(self.uri.get_secret_value()) if self.uri else ()
        return (*in_uri, self.password.get_secret_value() if self.password else "")


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
