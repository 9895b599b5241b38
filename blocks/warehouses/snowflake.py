"""Snowflake, over its own connector."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from blocks.warehouses.server import ServerWarehouse
from blocks.warehouses.snowflake_login import CONNECTOR, CREDENTIALS, connect
from blocks.warehouses.snowflake_session import SnowflakeSession
from blocks.warehouses.snowflake_statements import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blocks.warehouses.relational import RelationalSession

_LOGIN: Final = ("account", "user", "password", "private_key", "private_key_path", "private_key_passphrase", "token", "authenticator")
_PROOFS: Final = ("password", "private_key", "private_key_path", "token")


class SnowflakeWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a database of Snowflake, or read a batch's rows from it."""

    _block_type_name = "Anomflow Snowflake Warehouse"
    _block_type_slug = "anomflow-snowflake-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a database of Snowflake."
    _code_example = """
    ```python
    from blocks.warehouses.snowflake import SnowflakeWarehouse

    warehouse = SnowflakeWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "snowflake"
    dialect: ClassVar[str] = "snowflake"

    credentials: str | None = Field(
        default=None,
        pattern=rf"^({CREDENTIALS}|{CONNECTOR})/[^/]+$",
        description=f"Saved block of prefect-snowflake, {CREDENTIALS}/NAME or {CONNECTOR}/NAME, in place of account, user and secret.",
    )
    account: str | None = Field(default=None, min_length=1, description="Account identifier, ORGANIZATION-ACCOUNT.")
    user: str | None = Field(default=None, min_length=1, description="User that logs in.")
    password: SecretStr | None = Field(default=None, description="Password of the user.")
    private_key: SecretStr | None = Field(default=None, description="Private key of the user as the text of its PEM file.")
    private_key_path: Path | None = Field(default=None, description="PEM file of the user's private key, in place of its text.")
    private_key_passphrase: SecretStr | None = Field(default=None, description="Passphrase of an encrypted private key.")
    token: SecretStr | None = Field(default=None, description="OAuth token, or with its authenticator a programmatic access token.")
    authenticator: Literal["snowflake", "snowflake_jwt", "oauth", "programmatic_access_token"] | None = Field(
        default=None, description="How the user logs in; none: by what was given (a password, a key, an OAuth token)."
    )
    role: str | None = Field(default=None, min_length=1, description="Role of the session; none: the user's own.")
    warehouse: str | None = Field(default=None, min_length=1, description="Virtual warehouse that computes; none: the user's own.")
    database: str | None = Field(default=None, min_length=1, description="Name of the database.")
    schema_name: str | None = Field(default=None, min_length=1, description="Schema of tables that are named without one; none: PUBLIC.")
    host: str | None = Field(default=None, min_length=1, description="Host of the service where it is not the account's usual one.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of that host; none: 443.")
    protocol: Literal["https", "http"] | None = Field(default=None, description="Protocol of that host; none: https.")
    login_timeout_seconds: int = Field(default=30, ge=2, le=300, description="Seconds to wait for a login, from 2 to 300.")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        given = [name for name in _LOGIN if getattr(self, name) is not None]
        if self.credentials is not None and given:
            raise ValueError(f"give either credentials or {', '.join(given)}, not both")
        missing = [name for name in ("account", "user") if getattr(self, name) is None]
        if self.credentials is None and missing:
            raise ValueError(f"{', '.join(missing)} is missing: give account, user and a secret, or credentials")
        proofs = [name for name in _PROOFS if getattr(self, name) is not None]
        if self.credentials is None and len(proofs) != 1:
            raise ValueError(f"give one of {', '.join(_PROOFS)}; found: {', '.join(proofs) or 'none'}")
        return self

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.database is None and not (self.credentials or "").startswith(f"{CONNECTOR}/"):
            raise ValueError(f"database is missing; only a {CONNECTOR} brings its own")
        if self.host is None and (self.port is not None or self.protocol is not None):
            raise ValueError("port and protocol are those of a host; give host too, or none of them")
        return self

    @property
    def location(self) -> str:
        schema = f" schema {self.schema_name}" if self.schema_name else ""
        return f"snowflake:{self.credentials or self.account}{f'/{self.database}' if self.database else ''}{schema}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        connection = connect(self)
        try:
            yield SnowflakeSession(connection, Place(self.location, self.limits), writable=writable)
        finally:
            connection.close(retry=False)
