"""How a connection to Redshift is made: by a password, or by a temporary one that AWS gives to an identity of IAM."""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import MissingDependencyError, WarehouseError
from blocks.saved import load_saved
from blocks.warehouses.redshift_errors import explain_refusal, find_words
from blocks.warehouses.secrets import redact

if TYPE_CHECKING:
    from blocks.warehouses.redshift import RedshiftWarehouse

CREDENTIALS: Final = "aws-credentials"
_PORT: Final = 5439
_GRACE_SECONDS: Final = 60  # beyond what the server ends by itself, until a connection that says nothing counts as lost


def connect(warehouse: RedshiftWarehouse) -> Any:
    """Connect, in autocommit mode.

    Raises:
        MissingDependencyError: the driver, or for a saved block prefect-aws, is not installed.
        WarehouseError: the login is refused, or there is no such block; transient where Redshift or AWS cannot be reached.
    """
    try:
        import redshift_connector as driver  # noqa: PLC0415 - the driver loads when it is used
    except ImportError as error:
        raise MissingDependencyError("The warehouse redshift", "redshift") from error
    parameters = build_parameters(warehouse, _load_keys(warehouse.credentials) if warehouse.credentials else {})
    try:
        connection = driver.connect(**parameters)
    except Exception as error:  # noqa: BLE001 - AWS's client and the sockets have errors of their own
        _close_unfinished(error)
        secrets = tuple(str(parameters[name]) for name in ("password", "secret_access_key", "session_token") if parameters.get(name))
        # Not chained: errors of a login may hold what was sent.
        raise explain_refusal(error, redact(find_words(error), secrets), warehouse.location) from None
    connection.autocommit = True
    longest = max(warehouse.statement_timeout_seconds, warehouse.lock_timeout_seconds)
    connection._usock.settimeout(longest + _GRACE_SECONDS)  # noqa: SLF001 - its own time-out counts for the login too
    return connection


def close(connection: Any) -> None:
    """Close a connection, which may be gone already."""
    with contextlib.suppress(Exception):  # no reason to hide what happened
        connection.close()
    with contextlib.suppress(Exception):
        connection._usock.close()  # noqa: SLF001 - left open where the server is gone


def _close_unfinished(error: BaseException) -> None:
    """Close the socket of a connection that failed at its login: the driver leaves it to whoever has the connection, which is nobody."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        opened = getattr(frame.f_locals.get("self"), "_usock", None)
        if opened is not None:
            opened.close()


def build_parameters(warehouse: RedshiftWarehouse, keys: dict[str, str]) -> dict[str, Any]:
    """Build the driver's parameters; ``keys`` are those of AWS and their region."""
    login = _build_login(warehouse) if warehouse.password else {**keys, **_build_identity(warehouse)}
    place = {"host": warehouse.host, "port": warehouse.port, "database": warehouse.database}
    encryption = {"ssl": False} if warehouse.sslmode == "disable" else {"ssl": True, "sslmode": warehouse.sslmode or "verify-full"}
    # No statement is used twice, and those kept prepared would be kept with their text.
    rest = {"timeout": warehouse.connect_timeout_seconds, "application_name": "anomflow", "max_prepared_statements": 0}
    return {name: value for name, value in {**place, **login, **encryption, **rest}.items() if value is not None}


def _build_login(warehouse: RedshiftWarehouse) -> dict[str, Any]:
    password = warehouse.password.get_secret_value() if warehouse.password else ""
    return {"user": warehouse.user, "password": password, "port": warehouse.port or _PORT}


def _build_identity(warehouse: RedshiftWarehouse) -> dict[str, Any]:
    identity: dict[str, Any] = {"iam": True}
    if warehouse.region is not None:
        identity["region"] = warehouse.region
    if warehouse.workgroup is not None:
        return {**identity, "is_serverless": True, "serverless_work_group": warehouse.workgroup}
    cluster = {**identity, "cluster_identifier": warehouse.cluster_identifier}
    # Without a user, the one that Redshift makes of the identity.
    return {**cluster, "db_user": warehouse.user} if warehouse.user else {**cluster, "group_federation": True}


def _load_keys(ref: str) -> dict[str, str]:
    try:
        from prefect_aws import AwsCredentials  # noqa: PLC0415 - takes seconds to import
    except ImportError as error:
        raise MissingDependencyError(f"The credentials {ref}", "aws") from error
    session = load_saved(AwsCredentials, ref.partition("/")[2], WarehouseError).get_boto3_session()
    found = session.get_credentials()
    if found is None:
        raise WarehouseError(f"the block {ref} has no keys, and there are none where it runs; give it keys or a role")
    keys = found.get_frozen_credentials()
    named = {"access_key_id": keys.access_key, "secret_access_key": keys.secret_key, "session_token": keys.token}
    return {name: value for name, value in {**named, "region": session.region_name}.items() if value}
