"""Turso, and any other server of libSQL, over HTTP."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from blocks.warehouses.secrets import check_token
from blocks.warehouses.server import ServerWarehouse
from blocks.warehouses.turso_errors import Place, StreamLimits
from blocks.warehouses.turso_session import TursoSession
from blocks.warehouses.turso_stream import HranaStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blocks.warehouses.relational import RelationalSession

# Without a user, a query or a fragment: no secret may stand in what is shown.
_URL: Final = re.compile(r"(libsql|https?)://(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?(/[\w./-]*)?")


class TursoWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a database of Turso, or read a batch's rows from it."""

    _block_type_name = "Anomflow Turso Warehouse"
    _block_type_slug = "anomflow-turso-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a database of Turso, or of a libSQL server."
    _code_example = """
    ```python
    from blocks.warehouses.turso import TursoWarehouse

    warehouse = TursoWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "turso"
    dialect: ClassVar[str] = "sqlite"

    url: str = Field(description="Address of the database: libsql://NAME-ORGANIZATION.turso.io, or https:// or http:// of a server.")
    auth_token: SecretStr | None = Field(default=None, description="Token of the database; none: the server asks for none.")
    connect_timeout_seconds: float = Field(default=10.0, ge=1, le=300, description="Seconds to wait for a connection, from 1 to 300.")
    statement_timeout_seconds: float = Field(
        default=600.0, gt=0, le=86400, description="Seconds to wait for the answer to one statement, up to a day."
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not _URL.fullmatch(url):
            raise ValueError("must be libsql://HOST, https://HOST or http://HOST:PORT, and nothing else; the token is auth_token")
        return url

    _check_token = field_validator("auth_token")(check_token)

    @property
    def location(self) -> str:
        place = urlsplit(self.url)
        return f"turso:{place.netloc}{place.path.rstrip('/')}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        limits = StreamLimits(self.statement_timeout_seconds, self.lock_timeout_seconds, self.connect_timeout_seconds)
        token = self.auth_token.get_secret_value() if self.auth_token else ""
        stream = HranaStream(self.url.replace("libsql://", "https://", 1).rstrip("/"), token, limits)
        try:
            yield TursoSession(stream, Place(self.location, limits), writable=writable)
        finally:
            stream.close()
