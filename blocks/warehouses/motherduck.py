"""MotherDuck, DuckDB behind a service, through DuckDB's own Python interface and its extension ``motherduck``."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field, SecretStr, field_validator

from anomflow.errors import WarehouseError, WarehouseUnavailableError
from blocks.warehouses.motherduck_session import MotherDuckSession, Place, explain_refusal
from blocks.warehouses.secrets import check_token
from blocks.warehouses.server import ServerWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from blocks.warehouses.relational import RelationalSession

# MotherDuck's own names, in the order in which they are looked at.
_VARIABLES: Final = ("motherduck_token", "MOTHERDUCK_TOKEN")


class MotherDuckWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a database of MotherDuck, or read a batch's rows from it."""

    _block_type_name = "Anomflow MotherDuck Warehouse"
    _block_type_slug = "anomflow-motherduck-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a database of MotherDuck."
    _code_example = """
    ```python
    from blocks.warehouses.motherduck import MotherDuckWarehouse

    warehouse = MotherDuckWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "motherduck"
    dialect: ClassVar[str] = "duckdb"

    # Nothing that could end the name in the address, which goes on with parameters.
    database: str = Field(
        pattern=r"^[A-Za-z0-9_-]{1,255}$",
        description="Name of the database, in letters, digits, _ and -, without md: before it; queries may name others of the account.",
    )
    token: SecretStr | None = Field(
        default=None, description="Access token; none: the variable motherduck_token, which MotherDuck's own tools read too."
    )
    connect_timeout_seconds: float = Field(default=60.0, gt=0, le=600, description="Seconds to wait for a connection, up to 600.")

    _check_token = field_validator("token")(check_token)

    @property
    def location(self) -> str:
        return f"motherduck:{self.database}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        place = Place(self.location, self._find_token(), self.statement_timeout_seconds, self.lock_timeout_seconds)
        connection = self._connect(place)
        try:
            yield MotherDuckSession(connection, place, writable=writable)
        finally:
            connection.close()

    def _find_token(self) -> SecretStr:
        given = (os.environ.get(name, "").strip() for name in _VARIABLES)
        found = self.token or SecretStr(next(filter(None, given), ""))
        if not found.get_secret_value():  # the extension would open a browser, and wait for somebody to log in
            raise WarehouseError(f"{self.location}: there is no token; set token, ANOMFLOW_MOTHERDUCK_TOKEN or motherduck_token")
        return found

    def _connect(self, place: Place) -> DuckDBPyConnection:
        import duckdb  # noqa: PLC0415 - the driver loads when it is used

        # An instance that outlives its connections would keep the token, and refuse another one.
        address = f"md:{self.database}?dbinstance_inactivity_ttl=0s"
        answers: queue.SimpleQueue[DuckDBPyConnection | Exception] = queue.SimpleQueue()

        def connect() -> None:
            try:
                answers.put(duckdb.connect(address, config={"motherduck_token": place.token.get_secret_value()}))
            except Exception as error:  # noqa: BLE001 - told by the thread that waits for it
                answers.put(error)

        threading.Thread(target=connect, daemon=True).start()  # no call ends an attempt to connect
        try:
            answer = answers.get(timeout=self.connect_timeout_seconds)
        except queue.Empty:
            raise WarehouseUnavailableError(
                f"{self.location}: no connection after {self.connect_timeout_seconds:g} s; try again, or raise connect_timeout_seconds"
            ) from None
        if isinstance(answer, Exception):
            raise explain_refusal(answer, place) from None  # the cause may quote the token
        return answer
