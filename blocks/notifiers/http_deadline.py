"""Connections on which every step takes what is left of one time limit; httpcore by itself limits each read alone."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl


class Deadline:
    """The end of a time limit that starts now; ``seconds`` long."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def measure_left(self) -> float:
        """Return the seconds that are left; raise httpcore.ReadTimeout where none are."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time limit of the delivery is over")
        return left


class TimedBackend(httpcore.NetworkBackend):
    """Open connections of one deadline; a server that says a letter at a time does not outlive it."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; the deadline is what counts
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect within what is left."""
        opened = httpcore.SyncBackend().connect_tcp(host, port, self._deadline.measure_left(), local_address, socket_options)
        return _TimedStream(opened, self._deadline)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        return self._stream.read(max_bytes, self._deadline.measure_left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._stream.write(buffer, self._deadline.measure_left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, self._deadline.measure_left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
