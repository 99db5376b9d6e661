"""The receivers of the drills, in a process of their own: good ones that note how late each event is, and hostile ones.

Prints its port; the path says how a request is dealt with: ``/good/…``, ``/told`` (what has come since it was asked
last), or one of :data:`HOSTILE`.
"""

import asyncio
import gzip
import json
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
GOOD = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
BOMB = gzip.compress(b"\0" * 100_000_000)

#: Seconds from emit to here, of each event at a good receiver since it was asked last.
late: list[float] = []


async def drip(writer: asyncio.StreamWriter) -> None:
    """One byte a second."""
    for byte in HEAD + b"content-length: 100000\r\n\r\n" + b"x" * 100_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def silent(_writer: asyncio.StreamWriter) -> None:
    """Never an answer."""
    await asyncio.sleep(3_600)


async def endless(writer: asyncio.StreamWriter) -> None:
    """An answer without an end."""
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(CHUNK)
        await writer.drain()


async def large(writer: asyncio.StreamWriter) -> None:
    """100 MB."""
    writer.write(HEAD + b"content-length: 100000000\r\n\r\n")
    for _ in range(1_600):
        writer.write(b"x" * 62_500)
        await writer.drain()


async def bomb(writer: asyncio.StreamWriter) -> None:
    """100 MB of nothing, packed."""
    writer.write(HEAD + f"content-encoding: gzip\r\ncontent-length: {len(BOMB)}\r\n\r\n".encode() + BOMB)
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """A connection that is torn down."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.sleep(0)


HOSTILE: dict[str, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {
    "drip": drip,
    "silent": silent,
    "endless": endless,
    "large": large,
    "bomb": bomb,
    "reset": reset,
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Deal with the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            length = next((line[15:] for line in head.lower().split("\r\n") if line.startswith("content-length:")), "0")
            body = await reader.readexactly(int(length))
            kind = path.split("/")[1]
            if kind == "good":
                sent = json.loads(body)["data"].get("sent")
                if sent is not None:
                    late.append(time.time() - sent)
                writer.write(GOOD)
            elif kind == "told":
                told = json.dumps(late).encode()
                late.clear()
                writer.write(HEAD + f"content-length: {len(told)}\r\n\r\n".encode() + told)
            else:
                await HOSTILE[kind](writer)
                return
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1_024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
