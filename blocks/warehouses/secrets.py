"""Keep the secrets of a connection out of what its driver says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr

_SECRET_PARAMETERS = ("password", "sslpassword", "token", "motherduck_token", "authtoken")
_TOKEN: Final = re.compile(r"[\w.~+/=-]+", re.ASCII)


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """Replace each secret by asterisks, also as it stands in a URI."""
    forms = {form for secret in secrets for form in (secret, unquote(secret)) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def find_secrets(uri: str) -> tuple[str, ...]:
    """Return what is secret in a URI: itself, its password, parameters that hold one."""
    login, at, _ = uri.partition("://")[2].partition("/")[0].rpartition("@")
    passwords = [login.partition(":")[2]] if at else []
    parameters = [value for name, value in parse_qsl(urlsplit(uri).query) if name.casefold() in _SECRET_PARAMETERS]
    return (uri, *passwords, *parameters)


def check_token(token: SecretStr | None) -> SecretStr | None:
    """Return a token; raises ValueError, without its value, where a character is in it that none has."""
    if token is not None and not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("is no token: it has a space, a line end or another character that none has")
    return token
