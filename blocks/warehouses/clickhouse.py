"""ClickHouse, over its HTTP interface."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field, SecretStr, model_validator

from anomflow.errors import MissingDependencyError
from blocks.warehouses.clickhouse_errors import explain_refusal
from blocks.warehouses.clickhouse_server import Server
from blocks.warehouses.secrets import redact
from blocks.warehouses.server import LeaseLimits, ServerWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blocks.warehouses.relational import RelationalSession

_PORTS: Final = {True: 8443, False: 8123}
_DATABASE: Final = r"^[^`\\./\s]+$"


class ClickHouseWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a ClickHouse database, or read a batch's rows from it."""

    _block_type_name = "Anomflow ClickHouse Warehouse"
    _block_type_slug = "anomflow-clickhouse-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a ClickHouse database."
    _code_example = """
    ```python
    from blocks.warehouses.clickhouse import ClickHouseWarehouse

    warehouse = ClickHouseWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "clickhouse"
    dialect: ClassVar[str] = "clickhouse"

    host: str = Field(min_length=1, pattern=r"^[^\s/@?#]+$", description="Host name or address of the server, without a protocol.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of its HTTP interface; none: 8443, without TLS 8123.")
    secure: bool = Field(default=True, description="Whether the connection is encrypted (HTTPS).")
    verify: bool = Field(default=True, description="Whether the server's certificate is checked.")
    ca_cert: Path | None = Field(
        default=None, description="PEM file of the authority that signed the certificate; none: those of the machine."
    )
    user: str = Field(default="default", min_length=1, description="User that connects.")
    password: SecretStr | None = Field(default=None, description="Password of the user.")
    database: str = Field(default="default", pattern=_DATABASE, description="Database of tables that are named without one.")
    connect_timeout_seconds: int = Field(default=10, ge=2, le=300, description="Seconds to wait for a connection, from 2 to 300.")
    lock_timeout_seconds: float = Field(
        default=180.0, gt=0, le=3600, description="Seconds to wait while another session writes the same tables, up to 3600."
    )
    lease_seconds: float = Field(
        default=120.0,
        ge=2,
        le=3600,
        description="Seconds after which a writer that gave no sign of life (a killed run) is not waited for; "
        "a statement of a session that writes may take half as long.",
    )

    @model_validator(mode="after")
    def _check_encryption(self) -> Self:
        if not self.secure and self.ca_cert is not None:
            raise ValueError("ca_cert is for an encrypted connection; set secure to true, or leave ca_cert out")
        return self

    @property
    def location(self) -> str:
        return f"clickhouse:{self.host}:{self._find_port()}/{self.database}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        from blocks.warehouses.clickhouse_session import ClickHouseSession  # noqa: PLC0415 - it loads sqlglot

        client = self._connect()
        limits = LeaseLimits(self.statement_timeout_seconds, self.lock_timeout_seconds, self.lease_seconds)
        try:
            yield ClickHouseSession(Server(client, self.location, self.database, limits, writable=writable))
        finally:
            client.close()

    def _find_port(self) -> int:
        return self.port or _PORTS[self.secure]

    def _connect(self) -> Any:
        try:
            import clickhouse_connect  # noqa: PLC0415 - the driver loads when it is used
            from clickhouse_connect.driver.exceptions import Error  # noqa: PLC0415 - as above
        except ImportError as error:
            raise MissingDependencyError("The warehouse clickhouse", "clickhouse") from error
        secret = self.password.get_secret_value() if self.password else ""
        try:
            return clickhouse_connect.get_client(
                host=self.host,
                port=self._find_port(),
                interface="https" if self.secure else "http",
                username=self.user,
                password=secret,
                database=self.database,
                verify=self.verify,
                ca_cert=str(self.ca_cert) if self.ca_cert else None,
                connect_timeout=self.connect_timeout_seconds,
                send_receive_timeout=round(self.statement_timeout_seconds) + 10,  # the server's own time-out comes first
                query_retries=0,  # a task tries again by its own rule
                client_name="anomflow",
                autogenerate_session_id=False,
            )
        except Error as error:
            # Not chained: nobody promises that the driver's words hold no secret.
            raise explain_refusal(error, redact(str(error), (secret,)), self.location) from None
