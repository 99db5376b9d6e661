"""The processes of the kill drill: each line on the input forks one that emits and delivers until it is killed.

One process imports everything once; a fork opens the file with connections, threads and leases of its own, as a fresh
process does.
"""

import asyncio
import os
import sys

from custodes import Custodes
from custodes.planes.outbound.model import Options, RetryPolicy


def install(database: str) -> Custodes:
    return Custodes(
        database,
        outbound_allow_http=True,
        outgoing_allow_networks="127.0.0.0/8",
        outbound_lease_seconds=1,
        outbound_concurrency=int(os.environ["DRILL_PLACES"]),
        webhook_concurrency=0,
        secret_key="d" * 32,
    )


async def prepare(database: str) -> None:
    custodes = install(database)
    await custodes.open()
    retry = RetryPolicy((1_000_000,) * 10)
    await custodes.outbound.create_endpoint(os.environ["DRILL_URL"], retry=retry, options=Options(concurrency=100))
    await custodes.close()


async def run(database: str, number: int) -> None:
    """Emit from four tasks and deliver; what was emitted durably is told on the output."""
    custodes = install(database)
    await custodes.open()
    await custodes.outbound.start()

    async def emit(task: int) -> None:
        count = 0
        while True:
            count += 1
            message = await custodes.outbound.emit("drill", {"round": number, "task": task, "n": count})
            os.write(1, f"{message.id}\n".encode())
            await asyncio.sleep(0.002)

    tasks = 0 if number < 0 else 4
    await asyncio.gather(*(emit(task) for task in range(tasks)), asyncio.Event().wait())


def main() -> None:
    database = os.environ["DRILL_DATABASE"]
    asyncio.run(prepare(database))
    os.write(1, b"ready\n")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(run(database, int(line)))
            os._exit(0)
        os.write(1, f"pid {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


if __name__ == "__main__":
    main()
