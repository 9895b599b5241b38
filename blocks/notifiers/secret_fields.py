"""Fields of channels that call an address: addresses that are secrets, addresses of servers, keys."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pydantic import AfterValidator, SecretStr

SHORTEST_KEY: Final = 8  # anything shorter is a word, which would be hidden in every error
_LONGEST_WORD: Final = 16
_NEAR_NAMES: Final = (".local", ".internal", ".lan", ".localdomain", ".home.arpa", ".localhost")


def _check_address(value: str) -> str:
    """Return an address that may be called; an error does not quote it, since it may hold a key."""
    parts = _split(value.strip())
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or not value.strip().isprintable():
        raise ValueError("it is no address; it starts with https:// and names a host")
    if parts.username is not None:
        raise ValueError("it holds a user or password before the host; give these in a field of their own")
    if parts.scheme == "http" and not _is_near(parts.hostname):
        raise ValueError("it is not encrypted; start it with https:// (http:// is for this machine and private networks only)")
    return value.strip()


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_near(host: str) -> bool:
    """Tell whether a host is this machine or stands in a private network, as far as its name says so."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_NEAR_NAMES)
    return address.is_loopback or address.is_private


def _check_secret_address(value: SecretStr) -> SecretStr:
    return SecretStr(_check_address(value.get_secret_value()))


def _check_key(value: SecretStr | None) -> SecretStr | None:
    """Return a key as a header may hold it, without the line end that files put behind it."""
    if value is None:
        return None
    key = value.get_secret_value().strip()
    if not key or not (key.isascii() and key.isprintable()):
        raise ValueError("it is empty, or has characters that no key has (ASCII without line breaks is allowed)")
    return SecretStr(key)


Address = Annotated[str, AfterValidator(_check_address)]
SecretAddress = Annotated[SecretStr, AfterValidator(_check_secret_address)]
SecretKey = Annotated[SecretStr, AfterValidator(_check_key)]
# Not SecretKey | None: Prefect looks for secrets beside None, but not inside an Annotated there, and would save asterisks.
OptionalSecretKey = Annotated[SecretStr | None, AfterValidator(_check_key)]


def reveal(secret: SecretStr | None) -> str:
    """Return what a secret holds, nothing for none."""
    return secret.get_secret_value() if secret else ""


def find_secrets(url: str) -> tuple[str, ...]:
    """Return what of an address nobody may know: all of it, its path and query, and whatever in these may be a key."""
    parts = urlsplit(url)
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    wholes = (whole for whole in (parts.path, parts.query) if len(whole) >= SHORTEST_KEY)
    return (url, *wholes, *filter(_may_be_key, pieces))


def _may_be_key(piece: str) -> bool:
    """Tell keys from words such as ``webhooks``, which errors say too."""
    return len(piece) >= SHORTEST_KEY and not (piece.isalpha() and len(piece) < _LONGEST_WORD)
