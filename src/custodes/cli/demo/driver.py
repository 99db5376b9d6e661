"""Visits a running shop over HTTP as real clients would: shoppers, webhook senders, attackers, an operator.

Everything that is sent follows from the seed, but ids and moments, which are new in each run. What is sent when follows
the rate; bursts and attacks come in episodes, so that charts have something to show.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from custodes.cli.demo import bodies
from custodes.cli.demo.stock import CATALOGUE, GOOD_PASSWORD
from custodes.testing.webhooks import signed_webhook

#: Requests under way at once, at most: a slow server slows the demo down instead of piling up.
MAX_IN_FLIGHT = 64

#: Longest one request may take, seconds.
REQUEST_TIMEOUT_SECONDS = 15

#: What may be going on beside the usual: nothing, a burst of shoppers, a scan for holes, guessing of passwords, forged
#: webhooks, repeated webhooks.
EPISODES = ("", "burst", "scan", "guess", "forge", "replay")

#: Seconds of one episode: all of them are seen within a minute.
EPISODE_SECONDS = 10

#: Account that the attacker guesses the password of; it signs in, too.
VICTIM = "user-13"

#: What scanners ask every server for.
SCANNED = ("/wp-login.php", "/.env", "/.git/config", "/admin.php", "/phpmyadmin/", "/actuator/env", "/cgi-bin/luci")

#: Path of the admin API.
ADMIN = "/api/admin/enterprise"


@dataclass(slots=True)
class Tally:
    """What was sent and what came back."""

    #: Answers by kind of visitor and status class.
    answers: Counter[str] = field(default_factory=Counter[str])
    #: Requests that got no answer.
    lost: int = 0

    @property
    def total(self) -> int:
        """Answers in all."""
        return sum(self.answers.values())


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to make."""

    #: Kind of visitor, for the tally.
    kind: str
    #: HTTP method.
    method: str
    #: Path and query.
    path: str
    #: Headers, the visitor's address among them.
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Exact bytes of the body.
    body: bytes | None = None
    #: JSON body, when there are no bytes.
    json: Any = None


class Driver:
    """Sends the demo's traffic.

    Args:
        url: where the shop runs.
        secrets: signing secret of each webhook source that is to be visited.
        api_key: key of an admin for the operator's actions; without it there are none.
        rate: requests a second, on average.
        seed: what everything follows from.
    """

    def __init__(
        self, url: str, secrets: Mapping[str, str], *, api_key: str = "", rate: float = 20, seed: int = 1
    ) -> None:
        self.tally = Tally()
        self._url = url.rstrip("/")
        self._secrets = secrets
        self._api_key = api_key
        self._rate = rate
        self._random = Random(seed)
        self._seed = seed
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._sent_webhooks: list[Visit] = []
        self._episode = ""

    async def run(self, seconds: float = 0, on_tick: Callable[[Tally], None] | None = None) -> Tally:
        """Send traffic for so many seconds, or until cancelled when 0."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=MAX_IN_FLIGHT)
        started = time.monotonic()
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            asyncio.TaskGroup() as visits,
        ):
            due = started
            while not seconds or due < started + seconds:
                self._choose_episode(due - started)
                for visit in self._next_visits():
                    await self._slots.acquire()
                    visits.create_task(self._visit(session, visit))
                due += self._random.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if on_tick is not None:
                    on_tick(self.tally)
        return self.tally

    async def _visit(self, session: aiohttp.ClientSession, visit: Visit) -> None:
        try:
            async with session.request(
                visit.method, self._url + visit.path, headers=visit.headers, data=visit.body, json=visit.json
            ) as answer:
                await answer.read()
                self.tally.answers[f"{visit.kind} {answer.status // 100}xx"] += 1
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.tally.lost += 1
        finally:
            self._slots.release()

    # ── What comes next ──────────────────────────────────────────────────────

    def _choose_episode(self, elapsed: float) -> None:
        """Take the next episode of a cycle; each cycle has all of them, in an order of its own."""
        cycle, place = divmod(int(elapsed // EPISODE_SECONDS), len(EPISODES))
        order = list(EPISODES)
        Random(self._seed * 1_000_003 + cycle).shuffle(order)
        self._episode = order[place]

    def _next_visits(self) -> list[Visit]:
        kind = self._random.choices(("shopper", "webhook", "attack", "operator"), (69, 20, 10, 1))[0]
        match kind:
            case "webhook":
                return [self._webhook()]
            case "attack":
                return self._attack()
            case "operator":
                return self._operator()
            case _:
                visits = [self._shopper()]
                return visits * 4 if self._episode == "burst" else visits

    def _shopper(self) -> Visit:
        random = self._random
        number = random.randrange(60)
        headers = {"x-demo-user": f"user-{number}", "x-forwarded-for": f"198.51.100.{number + 1}"}
        if random.random() < 0.3:
            headers["x-demo-key"] = f"key-{number % 7}"
        path = random.choices(
            ("/products", "/products/{}", "/search", "/orders", "/login", "/reports/{}", "/refund", "/role"),
            (25, 30, 14, 16, 6, 5, 1, 1),
        )[0]
        product = random.randrange(len(CATALOGUE) + 1)
        match path:
            case "/products/{}":
                return Visit("shopper", "GET", f"/products/{product}", headers)
            case "/search":
                word = random.choice(("mug", "beans", "filters", "kettle gooseneck", "scale precise to a tenth"))
                return Visit("shopper", "GET", f"/search?q={word.replace(' ', '+')}", headers)
            case "/orders":
                order = {"product": product % len(CATALOGUE), "quantity": random.choice((1, 1, 1, 2, 3, 50))}
                return Visit("shopper", "POST", "/orders", headers, json=order)
            case "/login":
                password = GOOD_PASSWORD if random.random() < 0.97 else "guess"
                return Visit(
                    "shopper", "POST", "/login", headers, json={"user": f"user-{number}", "password": password}
                )
            case "/reports/{}":
                return Visit("shopper", "GET", f"/reports/{random.randrange(1, 12)}", headers)
            case "/refund":
                return Visit("shopper", "POST", f"/orders/{random.randrange(999)}/refund", headers)
            case "/role":
                change = {"role": random.choice(("member", "manager", "admin"))}
                return Visit("shopper", "PUT", f"/members/user-{random.randrange(60)}/role", headers, json=change)
            case _:
                return Visit("shopper", "GET", "/products", headers)

    def _webhook(self) -> Visit:
        random = self._random
        if self._episode == "replay" and self._sent_webhooks:
            return random.choice(self._sent_webhooks)
        if not self._secrets:
            return self._shopper()
        source = random.choice([name for name in bodies.MAKERS if name in self._secrets])
        now = time.time_ns() // 1_000
        kind, body = bodies.MAKERS[source](random, now)
        secret = "whsec_Zm9yZ2VkZm9yZ2VkZm9yZ2Vk" if self._episode == "forge" else self._secrets[source]
        signed = signed_webhook(source, body, secret, event_type=kind, now=now)
        forwarded = "203.0.113.66" if self._episode == "forge" else f"192.0.2.{len(source)}"
        headers = {**signed.headers, "x-forwarded-for": forwarded, "content-type": "application/json"}
        path = "/api/stripe/webhook-enhanced" if source == "stripe" and random.random() < 0.5 else f"/hooks/{source}"
        visit = Visit("webhook", "POST", path, headers, body=body)
        self._sent_webhooks = [*self._sent_webhooks[-20:], visit]
        return visit

    def _attack(self) -> list[Visit]:
        random = self._random
        if self._episode == "guess":
            headers = {"x-forwarded-for": "203.0.113.7"}
            # One account is guessed at, others are tried once: a takeover to look at, not one of everybody.
            users = [VICTIM] * 5 + [f"user-{random.randrange(60)}"]
            return [
                Visit("attacker", "POST", "/login", headers, json={"user": user, "password": f"{random.random()}"})
                for user in users
            ]
        if self._episode == "scan":
            headers = {"x-forwarded-for": f"203.0.113.{100 + random.randrange(3)}", "user-agent": "zgrab/0.x"}
            return [Visit("attacker", "GET", path, headers) for path in random.sample(SCANNED, 3)]
        return [Visit("attacker", "GET", random.choice(SCANNED), {"x-forwarded-for": "203.0.113.99"})]

    def _operator(self) -> list[Visit]:
        if not self._api_key:
            return [self._shopper()]
        headers = {"authorization": f"Bearer {self._api_key}", "x-forwarded-for": "192.0.2.200"}
        address = f"203.0.113.{self._random.randrange(100, 110)}"
        block = {"kind": "ip", "identifier": address, "reason": "scanned us", "duration_seconds": 120}
        return self._random.choice(
            (
                [Visit("operator", "POST", f"{ADMIN}/rate-limits/blocks", headers, json=block)],
                [Visit("operator", "GET", f"{ADMIN}/webhook-health", headers)],
                [Visit("operator", "GET", f"{ADMIN}/audit-logs?flagged=true", headers)],
            )
        )


async def wait_until_up(url: str, seconds: float = 60) -> bool:
    """Wait until the server answers ``/healthz``; False when it does not within the time."""
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while time.monotonic() < deadline:
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with session.get(f"{url.rstrip('/')}/healthz") as answer:
                    if answer.status == 200:
                        return True
            await asyncio.sleep(0.1)
    return False
