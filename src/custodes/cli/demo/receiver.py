"""The customers of the demo: a small server that takes the shop's webhooks, each endpoint in its own way.

It listens on loopback, where no request of an install goes: only the demo allows it, by name, for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import aiohttp
from aiohttp import web

from custodes.errors import ConfigurationError

#: What the demo needs of the guard of outgoing requests.
ENVIRONMENT = {"CUSTODES_OUTBOUND_ALLOW_HTTP": "true", "CUSTODES_OUTGOING_ALLOW_NETWORKS": "127.0.0.1/32"}

#: Path of the admin API.
ADMIN = "/api/admin/enterprise"

#: How the endpoints of the demo begin their description: a second run finds them again.
MARK = "Demo: "

#: Waits between attempts, seconds: a look around is too short for the usual ones.
SCHEDULE_SECONDS = [2, 5, 15, 60]

#: Shortest and longest that the slow endpoint thinks, seconds.
SLOW_SECONDS = (0.3, 1.8)

#: Of so many requests the unreliable endpoint refuses one, the last: one that begins with a failure is left alone for
#: a minute, until it has proven itself.
FAILS_ONE_OF = 3

#: What the shop emits.
EVENT_TYPES: dict[str, dict[str, Any]] = {
    "order.created": {
        "description": "Somebody has ordered",
        "payload_schema": {
            "type": "object",
            "required": ["order", "cents"],
            "properties": {"order": {"type": "integer"}, "cents": {"type": "integer"}, "item": {"type": "string"}},
        },
        "example": {"order": 1042, "cents": 2490, "item": "Travel mug"},
    },
    "member.role_changed": {
        "description": "Somebody may do more, or less",
        "example": {"member": "7", "role": "admin"},
    },
}


@dataclass(frozen=True, slots=True)
class Customer:
    """One endpoint of the demo."""

    #: Last part of its path.
    name: str
    #: What it is for.
    text: str
    #: What it subscribes to.
    event_types: tuple[str, ...]


CUSTOMERS = (
    Customer("warehouse", "packs what was ordered; always there", ("order.*",)),
    Customer("analytics", "counts everything; takes its time", ("*",)),
    Customer("crm", "fails now and then, and is tried again", ("order.*", "member.*")),
    Customer("legacy-shop", "was switched off: it answers 410, and is disabled", ("order.*",)),
)


class Receiver:
    """Answers the webhooks.

    Args:
        random: what chance follows.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count()
        self._closing = asyncio.Event()
        self._answers: dict[str, Callable[[], Awaitable[web.Response]]] = {
            "warehouse": self._warehouse,
            "analytics": self._analytics,
            "crm": self._crm,
            "legacy-shop": self._legacy,
        }

    async def take(self, request: web.Request) -> web.Response:
        """Take one."""
        await request.read()
        answer = self._answers.get(request.match_info["name"])
        return web.Response(status=404, text="no such receiver") if answer is None else await answer()

    def close(self) -> None:
        """Answer at once from now on: for who still thinks when it gives up, aiohttp may log a traceback of its own."""
        self._closing.set()

    async def _think(self, shortest: float, longest: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._random.uniform(shortest, longest))

    async def _warehouse(self) -> web.Response:
        await self._think(0.004, 0.03)
        return web.json_response({"packed": True})

    async def _analytics(self) -> web.Response:
        await self._think(*SLOW_SECONDS)
        return web.Response(status=202, text="counted")

    async def _crm(self) -> web.Response:
        if next(self._numbers) % FAILS_ONE_OF == FAILS_ONE_OF - 1:
            return web.json_response({"error": "deadlock detected, try again"}, status=503)
        await self._think(0.02, 0.2)
        return web.Response(status=204)

    async def _legacy(self) -> web.Response:
        return web.Response(status=410, text="This shop has moved out.")


@asynccontextmanager
async def receiving(url: str, api_key: str, seed: int) -> AsyncGenerator[str]:
    """Take the webhooks of the shop at a URL for as long as the context lasts; gives where.

    Raises:
        ConfigurationError: the shop does not take the endpoints.
    """
    app, receiver = web.Application(), Receiver(Random(seed))
    app.router.add_post("/{name}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        here = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(headers={"X-API-Key": api_key}) as session:
            await _subscribe(session, url.rstrip("/") + ADMIN, here)
        yield here
    finally:
        receiver.close()
        await runner.cleanup()


async def _subscribe(session: aiohttp.ClientSession, api: str, here: str) -> None:
    """Describe what is emitted, and have every customer get it; those of a run before get their new address."""
    for name, described in EVENT_TYPES.items():
        await _sent(session, "PUT", f"{api}/webhook-event-types/{name}", described)
    listed = await _sent(session, "GET", f"{api}/webhook-configurations?limit=200")
    known = {row["description"]: row for row in listed["items"]}
    for customer in CUSTOMERS:
        text, address = f"{MARK}{customer.text}", f"{here}/{customer.name}"
        row = known.get(text)
        if row is None:
            body = {
                "url": address,
                "description": text,
                "event_types": list(customer.event_types),
                "retry": {"schedule_seconds": SCHEDULE_SECONDS, "timeout_seconds": 5},
            }
            await _sent(session, "POST", f"{api}/webhook-configurations", body)
            continue
        await _sent(session, "PATCH", f"{api}/webhook-configurations/{row['id']}", {"url": address})


async def _sent(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    async with session.request(method, url, json=body) as answer:
        if answer.status >= 400:
            msg = f"The shop answered {answer.status} to the demo's webhook endpoints"
            raise ConfigurationError(msg, remedy="Look at its log; delete .custodes/demo.db to begin anew")
        return await answer.json()
