"""The app of a noisy tenant: emits at a pace from ``on`` to ``off`` on its input, and delivers nothing."""

import asyncio
import sys
import time

from custodes import Custodes


async def main(url: str, a_second: float) -> None:
    custodes = Custodes(
        url,
        outbound_concurrency=0,
        webhook_concurrency=0,
        outbound_allow_http=True,
        outgoing_allow_networks="127.0.0.0/8",
        secret_key="d" * 32,
    )
    await custodes.open()
    loud = asyncio.Event()
    sys.stdout.write("ready\n")
    sys.stdout.flush()

    async def listen() -> None:
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip() == "on":
                loud.set()
            else:
                loud.clear()

    async def emit() -> None:
        while True:
            await loud.wait()
            began = time.perf_counter()
            await asyncio.gather(*(custodes.outbound.emit("x", {}, tenant="noisy") for _ in range(10)))
            await asyncio.sleep(max(0.0, began + 10 / a_second - time.perf_counter()))

    await asyncio.gather(listen(), emit())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
