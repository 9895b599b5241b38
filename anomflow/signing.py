"""Signatures of stored models: who can write the store and the table still cannot make a model that is loaded.

A checksum tells a damaged object; only a key that the writer lacks tells a forged one, and estimators of PyOD are
unpickled. The signature is HMAC-SHA-256 (RFC 2104) of the content, after a mark at its end.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from anomflow.errors import CorruptModelError, Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_VARIABLE: Final = "ANOMFLOW_MODEL_KEY"
SHORTEST_KEY: Final = 16  # characters

_MARK: Final = b"ANOMFLOW SIGNED1"
_DIGEST: Final = 32
_TRAILER: Final = len(_MARK) + _DIGEST


def read_key(environ: Mapping[str, str]) -> str | None:
    """Return the key of ``ANOMFLOW_MODEL_KEY``, None where it is not set; raises SettingsError for one that is too short."""
    key = environ.get(KEY_VARIABLE)
    if not key:
        return None
    if len(key) < SHORTEST_KEY:
        message = f"{KEY_VARIABLE} has {len(key)} characters; at least {SHORTEST_KEY} are needed, for example of `openssl rand -hex 32`"
        raise SettingsError([Problem("environment", None, message, key=KEY_VARIABLE)])
    return key


def sign(content: bytes, key: str | None) -> bytes:
    """Return content with its signature, as it is without a key."""
    return content if key is None else content + _MARK + _digest(content, key)


def verify(content: bytes, key: str | None) -> memoryview:
    """Return content without its signature; raises CorruptModelError where a key is set and did not make it."""
    view = memoryview(content)
    is_signed = len(view) >= _TRAILER and bytes(view[-_TRAILER:-_DIGEST]) == _MARK
    body = view[:-_TRAILER] if is_signed else view
    if key is None:
        return body
    if not is_signed:
        raise CorruptModelError(f"the model is not signed, and {KEY_VARIABLE} is set. Train again.")
    if not hmac.compare_digest(view[-_DIGEST:], _digest(body, key)):
        raise CorruptModelError(f"the model was not signed with the key of {KEY_VARIABLE}. Restore the object or the key, or train again.")
    return body


def _digest(content: bytes | memoryview, key: str) -> bytes:
    return hmac.digest(key.encode(), content, "sha256")
