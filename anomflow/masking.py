"""Hide secrets in text that other code wrote, such as the errors of a user's function."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECRET_NAME: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|AUTH|DSN|WEBHOOK|(^|_)(PASS|PWD|PAT)(_|$)", re.IGNORECASE
)
# Every shell sets these; they name folders, and hidden, no path below them could be read.
_NO_SECRETS: Final = frozenset({"PWD", "OLDPWD"})
_URL_PASSWORD: Final = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_SHORTEST: Final = 6  # a shorter value is no secret, and would be found in innocent words


def mask_secrets(text: str, environ: Mapping[str, str]) -> str:
    """Replace the values of variables whose names tell of secrets by ``<NAME>``, and passwords inside of addresses.

    >>> mask_secrets("401 for /v1?key=a%2Fbcdef of https://me:hidden@db", {"MY_API_KEY": "a/bcdef"})
    '401 for /v1?key=<MY_API_KEY> of https://me:<password>@db'
    """
    secrets = {form: name for name, value in environ.items() if is_secret_name(name) for form in _forms(value)}
    for form in sorted(secrets, key=len, reverse=True):
        text = text.replace(form, f"<{secrets[form]}>")
    return _URL_PASSWORD.sub(r"\1:<password>@", text)


def is_secret_name(name: str) -> bool:
    """Tell whether the name of a variable says that it holds a secret."""
    return name not in _NO_SECRETS and _SECRET_NAME.search(name) is not None


def _forms(value: str) -> Iterator[str]:
    """Yield how a value may be written in a text: as it is, in a URL, quoted in Python or JSON."""
    if len(value.strip()) >= _SHORTEST:
        yield from {value, value.strip(), quote(value, safe=""), quote_plus(value), repr(value)[1:-1], json.dumps(value)[1:-1]}
