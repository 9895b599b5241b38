"""Amazon Redshift, over its own connector."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from blocks.warehouses.redshift_login import CREDENTIALS, close, connect
from blocks.warehouses.redshift_session import RedshiftSession
from blocks.warehouses.server import Place, ServerWarehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blocks.warehouses.relational import RelationalSession

_OF_IAM: Final = ("cluster_identifier", "workgroup", "region", "credentials")


class RedshiftWarehouse(ServerWarehouse):
    """Keep observations, models' versions and the ledger in a database of Redshift, or read a batch's rows from it."""

    _block_type_name = "Anomflow Redshift Warehouse"
    _block_type_slug = "anomflow-redshift-warehouse"
    _description = "Keeps the metrics, scores and alerts of Anomflow in a database of Amazon Redshift."
    _code_example = """
    ```python
    from blocks.warehouses.redshift import RedshiftWarehouse

    warehouse = RedshiftWarehouse.load("BLOCK_NAME")
    with warehouse.reading() as session:
        print(session.read("select count(*) from metrics"))
    ```
    """

    kind: ClassVar[str] = "redshift"
    dialect: ClassVar[str] = "redshift"

    host: str | None = Field(
        default=None, min_length=1, description="Host name of the cluster's or workgroup's endpoint; with IAM, none: AWS is asked."
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Port of the endpoint; none: 5439, and with IAM what AWS says.")
    database: str = Field(min_length=1, description="Name of the database.")
    user: str | None = Field(
        default=None, min_length=1, description="User that connects; with IAM and a cluster, none: the one that its identity has."
    )
    password: SecretStr | None = Field(default=None, description="Password of the user, where IAM gives no temporary one.")
    cluster_identifier: str | None = Field(default=None, min_length=1, description="Cluster to log in to by IAM.")
    workgroup: str | None = Field(default=None, min_length=1, description="Workgroup of Redshift Serverless to log in to by IAM.")
    region: str | None = Field(
        default=None, min_length=1, description="Region of AWS for a login by IAM; none: the host's or credentials' own."
    )
    credentials: str | None = Field(
        default=None,
        pattern=rf"^{CREDENTIALS}/[^/]+$",
        description=f"Saved block of prefect-aws, {CREDENTIALS}/NAME, for a login by IAM; none: the keys or role that AWS's tools find.",
    )
    sslmode: Literal["disable", "verify-ca", "verify-full"] | None = Field(
        default=None, description="How the server's certificate is checked, disable for no encryption at all; none: verify-full."
    )
    schema_name: str | None = Field(
        default=None, min_length=1, description="Schema of tables that are named without one; none: what the user's search_path says."
    )
    connect_timeout_seconds: int = Field(default=30, ge=2, le=300, description="Seconds to wait for a connection, from 2 to 300.")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        by_iam = [name for name in _OF_IAM if getattr(self, name) is not None]
        if self.password is not None and by_iam:
            raise ValueError(f"give either password or {', '.join(by_iam)}, not both")
        missing = [name for name in ("host", "user") if getattr(self, name) is None]
        if self.password is not None and missing:
            raise ValueError(f"{', '.join(missing)} is missing: a login by password takes host, user and password")
        if self.password is None and (self.cluster_identifier is None) == (self.workgroup is None):
            raise ValueError("give host, user and password, or for a login by IAM either cluster_identifier or workgroup")
        if self.password is None and self.sslmode == "disable":
            raise ValueError("a login by IAM is encrypted; leave sslmode out")
        return self

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        if self.workgroup is not None and self.user is not None:
            raise ValueError("the user of a workgroup is the one that the identity of IAM has; leave user out")
        return self

    @property
    def location(self) -> str:
        place = f"{self.host}{f':{self.port}' if self.port else ''}" if self.host else self.cluster_identifier or self.workgroup
        return f"redshift:{place}/{self.database}{f' schema {self.schema_name}' if self.schema_name else ''}"

    @contextmanager
    def _open(self, *, writable: bool) -> Iterator[RelationalSession]:
        connection = connect(self)
        try:
            yield RedshiftSession(connection, Place(self.location, self.limits, self.schema_name), writable=writable)
        finally:
            close(connection)
