"""Stand between redshift-connector and PostgreSQL as Redshift would: ``python redshift_proxy.py PORT SERVER_PORT``.

It takes from the start-up what PostgreSQL does not know, and calls the server by Redshift's version. A statement that Redshift refuses
(``redshift_dialect.py``) is refused here too; what PostgreSQL writes otherwise is rewritten.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from functools import partial

from redshift_dialect import find_refused, to_postgres

_ENCRYPTION = 80877103
_KNOWN = (b"user", b"database", b"application_name")
_VERSION = b"8.0.2"
_TAIL = struct.Struct("!i")
_NAME_BYTES = 63
_LONG = 100_000
_SASL = struct.pack("!i", 10)


async def read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read a message: the letter of its kind, and what it holds."""
    kind = await reader.readexactly(1)
    return kind, await reader.readexactly(_TAIL.unpack(await reader.readexactly(4))[0] - 4)


def build_message(kind: bytes, content: bytes) -> bytes:
    return kind + _TAIL.pack(len(content) + 4) + content


async def read_start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read the start-up message, whose encryption is turned down, and return it as PostgreSQL takes it."""
    while True:
        content = await reader.readexactly(_TAIL.unpack(await reader.readexactly(4))[0] - 4)
        if _TAIL.unpack(content[:4])[0] != _ENCRYPTION:
            break
        writer.write(b"N")
        await writer.drain()
    words = content[4:].rstrip(b"\0").split(b"\0")
    known = [pair for pair in zip(words[::2], words[1::2], strict=False) if pair[0] in _KNOWN]
    changed = content[:4] + b"".join(name + b"\0" + value + b"\0" for name, value in known) + b"\0"
    return _TAIL.pack(len(changed) + 4) + changed


def translate(statement: bytes) -> bytes:
    """Return a statement as PostgreSQL takes it, or where Redshift refuses it one that fails with the reason."""
    text = statement.decode()
    if len(text) > _LONG and text.startswith("insert into") and find_refused(text[: text.index(" values ")]) is None:
        return statement  # rows, of which the first thousands are like the others
    refused = find_refused(text)
    if refused is None:
        return to_postgres(text).encode()
    print("refused:", refused, "--", text[:2000], flush=True)
    return f'select "{f"Redshift refuses {refused}".replace(chr(34), "")[:_NAME_BYTES]}"'.encode()


async def send_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass the client's messages on."""
    while True:
        kind, content = await read_message(reader)
        if kind == b"P":  # the name of the prepared statement, its text, its parameters
            name, statement, rest = content.split(b"\0", 2)
            content = b"\0".join((name, translate(statement), rest))
        elif kind == b"Q":
            content = translate(content.rstrip(b"\0")) + b"\0"
        writer.write(build_message(kind, content))
        await writer.drain()


async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass the server's messages back."""
    kind = b""
    while kind not in (b"Z", b"E"):
        kind, content = await read_message(reader)
        if kind == b"S" and content.startswith(b"server_version\0"):
            content = b"server_version\0" + _VERSION + b"\0"
        if kind == b"R" and content.startswith(_SASL):
            content = content.removesuffix(b"\0")  # the driver takes the end of the list for a method without a name
        writer.write(build_message(kind, content))
        await writer.drain()
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def serve(server_port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until one side ends."""
    server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
    try:
        server_writer.write(await read_start(reader, writer))
        sides = [asyncio.create_task(send_on(reader, server_writer)), asyncio.create_task(send_back(server_reader, writer))]
        await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        for side in sides:
            side.cancel()
        await asyncio.gather(*sides, return_exceptions=True)
    except asyncio.IncompleteReadError:
        pass
    finally:
        server_writer.close()
        writer.close()


async def main(port: int, server_port: int) -> None:
    server = await asyncio.start_server(partial(serve, server_port), "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
