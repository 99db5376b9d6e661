"""Names looked up once, every address checked, and only checked addresses handed on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from custodes.kernel.address import Address
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed
from custodes.runtime.outgoing.target import Policy
from custodes.runtime.outgoing.timing import running

#: Names that are looked up at the same time. A name server that hangs holds one thread for each of its names until the
#: C library gives up (5 s or more), never one of the loop's own threads.
THREADS = 16

#: Looks a name up: ``(name, port) -> addresses``; raises ``OSError``.
Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]


class SystemLookup:
    """The system's own resolver, in threads of its own; a name that is being looked up is not looked up twice."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="custodes-dns")
        self._running: dict[tuple[str, int], asyncio.Future[Sequence[Address]]] = {}

    async def __call__(self, name: str, port: int) -> Sequence[Address]:
        """Look a name up."""
        key = (name, port)
        found = self._running.get(key)
        if found is None:
            found = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, name, port)
            self._running[key] = found
            found.add_done_callback(lambda _: self._running.pop(key, None))
        # Who waits may be cut off by its deadline; the others who wait for the same name go on.
        return await asyncio.shield(found)

    def close(self) -> None:
        """Let go of the threads, without waiting for lookups that do not end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class CheckedResolver(AbstractResolver):
    """What the HTTP library asks: answers with checked addresses, or not at all."""

    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up and check where it leads.

        Raises:
            OutgoingFailed: it cannot be looked up, or leads where nobody may go.
        """
        del family
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            addresses = await self._lookup(host, port)
        except (OSError, UnicodeError):
            raise OutgoingFailed("the name cannot be looked up", FailureKind.DNS) from None
        finally:
            watch = running.get()
            if watch is not None:
                watch.dns += loop.time() - begun
        self._policy.check(addresses)
        return [_result(host, port, address) for address in dict.fromkeys(addresses)]

    async def close(self) -> None:
        """Nothing to let go of: the lookup belongs to the client."""


def _look_up(name: str, port: int) -> Sequence[Address]:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [ip_address(str(entry[4][0])) for entry in found]


def _result(host: str, port: int, address: Address) -> ResolveResult:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return ResolveResult(
        hostname=host, host=str(address), port=port, family=family, proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )  # fmt: skip
