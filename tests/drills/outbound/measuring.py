"""What drills of the sender measure with: receivers in a process of their own, a steady pace, how late the loop is."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from custodes import Custodes
from custodes.runtime.outgoing.client import Limits

TELLING = Limits(total_seconds=30, answer_bytes=10_000_000)


def p99(values: list[float]) -> float:
    """The 99th percentile of what was measured, same unit."""
    return sorted(values)[int(len(values) * 0.99)]


@asynccontextmanager
async def receivers() -> AsyncIterator[str]:
    """The receivers of ``receivers.py``; gives their URL."""
    script = Path(__file__).with_name("receivers.py")
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def sending(url: str, **settings: object) -> AsyncIterator[Custodes]:
    """An install that delivers to loopback; what hangs at the end is broken off."""
    custodes = Custodes(
        url,
        outbound_allow_http=True,
        outgoing_allow_networks="127.0.0.0/8",
        webhook_concurrency=0,
        secret_key="d" * 32,
        **settings,
    )
    await custodes.start()
    try:
        yield custodes
    finally:
        await custodes.outbound.worker.stop(drain_seconds=0)
        await custodes.stop()


async def lateness(custodes: Custodes, base: str, count: int, *, within: float = 60) -> list[float]:
    """Wait until so many events have arrived at good receivers; returns how late each was, seconds."""
    found: list[float] = []
    async with asyncio.timeout(within):
        while len(found) < count:
            answer = await custodes.outgoing.request("GET", f"{base}/told", limits=TELLING)
            found += json.loads(answer.body)
            await asyncio.sleep(0.1)
    return found


async def at_pace(a_second: float, seconds: float, send: Callable[[int], Awaitable[object]]) -> int:
    """Call something at a steady pace, whether or not the call before has ended; returns how often."""
    began, count = time.perf_counter(), int(a_second * seconds)
    async with asyncio.TaskGroup() as calls:
        for number in range(count):
            calls.create_task(send(number))
            await asyncio.sleep(max(0.0, began + (number + 1) / a_second - time.perf_counter()))
    return count


@dataclass
class Strain:
    """How the process of the sender is doing."""

    #: Most memory, bytes.
    memory: int = 0
    #: Longest that the loop was late, seconds.
    lag: float = 0.0
    #: Processor time, seconds.
    spent: float = 0.0

    async def watch(self) -> None:
        process = psutil.Process()
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.05)
            self.lag = max(self.lag, time.perf_counter() - began - 0.05)
            self.memory = max(self.memory, process.memory_info().rss)


@asynccontextmanager
async def strain() -> AsyncIterator[Strain]:
    """Watch this process."""
    found, began = Strain(), time.process_time()
    task = asyncio.create_task(found.watch())
    try:
        yield found
    finally:
        found.spent = time.process_time() - began
        task.cancel()
