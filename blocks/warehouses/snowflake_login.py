"""How a connection to Snowflake is made: by fields of ours, or by a saved block of prefect-snowflake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from anomflow.errors import MissingDependencyError, WarehouseError
from blocks.saved import load_saved
from blocks.warehouses.secrets import redact
from blocks.warehouses.snowflake_errors import explain_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from blocks.warehouses.snowflake import SnowflakeWarehouse

CONNECTOR: Final = "snowflake-connector"
CREDENTIALS: Final = "snowflake-credentials"
_REQUEST_SECONDS: Final = 120  # for one HTTP request, tries included; a long statement is asked after by many


def connect(warehouse: SnowflakeWarehouse) -> Any:
    """Connect.

    Raises:
        MissingDependencyError: the connector, or for a saved block prefect-snowflake, is not installed.
        WarehouseError: the login is refused, or there is no such block; transient where Snowflake cannot be reached.
    """
    try:
        if warehouse.credentials is not None:
            return _connect_by_block(warehouse.credentials, _build_parameters(warehouse))
        import snowflake.connector as driver  # noqa: PLC0415 - the driver loads when it is used

        return driver.connect(application="Anomflow", **_build_login(warehouse), **_build_parameters(warehouse))
    except WarehouseError:
        raise
    except ImportError as error:
        raise MissingDependencyError("The warehouse snowflake", "snowflake") from error
    except Exception as error:  # noqa: BLE001 - keys and tokens are read by other libraries, with errors of their own
        # Not chained: errors of a login may hold what was sent.
        raise explain_refusal(error, redact(str(error), _find_secrets(warehouse)), warehouse.location) from None


def _connect_by_block(ref: str, parameters: Mapping[str, Any]) -> Any:
    from prefect_snowflake import SnowflakeCredentials  # noqa: PLC0415 - takes seconds to import
    from prefect_snowflake.database import SnowflakeConnector  # noqa: PLC0415 - as above

    slug, _, name = ref.partition("/")
    if slug == CREDENTIALS:
        return load_saved(SnowflakeCredentials, name, WarehouseError).get_client(**parameters)
    block = load_saved(SnowflakeConnector, name, WarehouseError)
    place = {"database": block.database, "warehouse": block.warehouse, "schema": block.schema_}
    return block.credentials.get_client(**{**place, **parameters})


def _build_login(warehouse: SnowflakeWarehouse) -> dict[str, Any]:
    authenticator = warehouse.authenticator
    if warehouse.private_key is not None or warehouse.private_key_path is not None:
        return {**_name(warehouse), "authenticator": authenticator or "snowflake_jwt", "private_key": _read_key(warehouse)}
    if warehouse.token is not None:
        return {**_name(warehouse), "authenticator": authenticator or "oauth", "token": _reveal(warehouse.token)}
    return {**_name(warehouse), "authenticator": authenticator or "snowflake", "password": _reveal(warehouse.password)}


def _name(warehouse: SnowflakeWarehouse) -> dict[str, str | None]:
    return {"account": warehouse.account, "user": warehouse.user}


def _read_key(warehouse: SnowflakeWarehouse) -> bytes:
    """Read a private key from its PEM, as the connector takes it."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - comes with the driver

    try:
        pem = warehouse.private_key_path.read_bytes() if warehouse.private_key_path else _reveal(warehouse.private_key).encode()
        key = serialization.load_pem_private_key(pem, _reveal(warehouse.private_key_passphrase).encode() or None)
    except (OSError, TypeError, ValueError) as error:
        raise WarehouseError(
            f"{warehouse.location}: the private key cannot be read ({type(error).__name__}); it must be a PEM file with its header and "
            "footer, and private_key_passphrase the passphrase of an encrypted one, none for another"
        ) from None
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _build_parameters(warehouse: SnowflakeWarehouse) -> dict[str, Any]:
    place = {name: getattr(warehouse, name) for name in ("role", "warehouse", "database", "host", "port", "protocol")}
    given = {name: value for name, value in {**place, "schema": warehouse.schema_name}.items() if value is not None}
    return {
        **given,
        "paramstyle": "qmark",
        "autocommit": True,
        "login_timeout": warehouse.login_timeout_seconds,
        "network_timeout": _REQUEST_SECONDS,
        "session_parameters": _build_session_parameters(warehouse),
    }


def _build_session_parameters(warehouse: SnowflakeWarehouse) -> dict[str, Any]:
    # What an account or a user may have set otherwise, and our SQL relies on, stands here too.
    return {
        "TIMEZONE": "UTC",
        "QUERY_TAG": "anomflow",
        "STATEMENT_TIMEOUT_IN_SECONDS": math.ceil(warehouse.statement_timeout_seconds),
        "LOCK_TIMEOUT": math.ceil(warehouse.lock_timeout_seconds),
        "ABORT_DETACHED_QUERY": True,
        "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    }


def _reveal(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _find_secrets(warehouse: SnowflakeWarehouse) -> tuple[str, ...]:
    return tuple(_reveal(getattr(warehouse, name)) for name in ("password", "token", "private_key", "private_key_passphrase"))
