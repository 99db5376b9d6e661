"""What does it cost to verify one delivery of 4 kB, and to read who and what it is?

Peers are the senders' own libraries where they have one for Python. Both begin with the request's headers ready to be
asked and its raw bytes, and end with the signature checked and the type known: for the peers that means parsing the
body, for ours to pick out a few fields. Rounds alternate, so that both see the same machine; the median round counts.
"""

from __future__ import annotations

import base64
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import stripe
from standardwebhooks.webhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook

from custodes.kernel.clock import SECOND
from custodes.kernel.signing import PrivateKey
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

#: Deliveries in a round, and rounds.
DELIVERIES = 2_000
ROUNDS = 15

#: Bytes of the body, about.
SIZE = 4_096

#: Longest that verifying a delivery of Stripe may take, microseconds, HMAC of 4 kB included.
STRIPE_TARGET = 12.0

COMMAND = "python -m benchmarks verify"

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
PRIVATE = "whsk_" + base64.b64encode(b"s" * 32).decode()

#: What any proxy adds: looking for the right header among others is part of the work.
OTHER_HEADERS = {
    "host": "api.example.com",
    "user-agent": "Sender/1.0 (+https://example.com/webhooks)",
    "accept": "*/*",
    "accept-encoding": "gzip",
    "x-forwarded-for": "198.51.100.7",
    "x-forwarded-proto": "https",
    "content-length": str(SIZE),
}


def body() -> bytes:
    """An invoice-like event of about 4 kB."""
    line = {"id": "il_1", "amount": 1999, "currency": "eur", "description": "Pro plan, monthly", "metadata": {"a": "b"}}
    event: dict[str, Any] = {"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1789999999}
    event["data"] = {"object": {"id": "in_1", "lines": []}}
    while len(json.dumps(event)) < SIZE:
        event["data"]["object"]["lines"].append(line)
    return json.dumps(event).encode()


def median_micros(*calls: Callable[[], object]) -> list[float]:
    """The median processor time of each call, microseconds; rounds of all take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, rounds in zip(calls, times, strict=True):
            begin = time.process_time()
            for _ in range(DELIVERIES):
                call()
            rounds.append((time.process_time() - begin) / DELIVERIES * 1e6)
    return [statistics.median(rounds) for rounds in times]


def headers(kind: str, content: bytes, now: int) -> dict[str, str]:
    """Headers as a framework hands them to a library."""
    return signed_webhook(kind, content, SECRET, now=now, headers=OTHER_HEADERS).headers


def ours(kind: str, secret: str, now: int, verifying: str = "", **options: str) -> Callable[[], object]:
    """A call that takes a request to a verdict."""
    request = signed_webhook(kind, body(), secret, now=now, headers=OTHER_HEADERS, **options).request
    source = make_source(kind, [verifying or secret], **options)
    return lambda: source.verify(request, now)


def row(name: str, call: Callable[[], object], peer: Callable[[], object] | None, peer_name: str) -> dict[str, Any]:
    mine, *others = median_micros(call, *([peer] if peer else []))
    theirs = others[0] if others else None
    target = f"≤ {STRIPE_TARGET:g} µs" if name == "stripe" else ("≤ peer" if peer else "no target")
    met = mine <= STRIPE_TARGET if name == "stripe" else theirs is None or mine <= theirs
    return {
        "name": f"verify 4 kB, {name}",
        "ours": round(mine, 2),
        "peer": None if theirs is None else round(theirs, 2),
        "peer_name": peer_name,
        "ratio": None if theirs is None else round(mine / theirs, 3),
        "unit": "µs",
        "target": target,
        "met": met,
        "command": COMMAND,
    }


def run() -> list[dict[str, Any]]:
    now = int(time.time()) * SECOND
    content = body()
    of_stripe, of_standard, of_svix = (headers(kind, content, now) for kind in ("stripe", "standard-webhooks", "svix"))
    standard, svix = StandardWebhook(SECRET), SvixWebhook(SECRET)

    def by_stripe() -> object:
        return stripe.Webhook.construct_event(content, of_stripe["stripe-signature"], SECRET)["type"]

    def by_svix() -> object:
        svix.verify(content, of_svix)
        return json.loads(content)["type"]

    libraries: dict[str, tuple[Callable[[], object], str]] = {
        "stripe": (by_stripe, "stripe"),
        "standard-webhooks v1": (lambda: standard.verify(content, of_standard)["type"], "standardwebhooks"),
        "svix": (by_svix, "svix"),
    }
    public = PrivateKey.read(PRIVATE)
    assert public is not None
    calls = {
        "stripe": ours("stripe", SECRET, now),
        "github": ours("github", "secret", now),
        "clerk": ours("clerk", SECRET, now),
        "svix": ours("svix", SECRET, now),
        "standard-webhooks v1": ours("standard-webhooks", SECRET, now),
        "standard-webhooks v1a": ours("standard-webhooks", PRIVATE, now, public.public()),
        "shopify": ours("shopify", "secret", now),
        "slack": ours("slack", "secret", now),
        "gitlab signing token": ours("gitlab", SECRET, now),
        "gitlab secret token": ours("gitlab", "secret", now),
        "twilio": ours("twilio", "secret", now),
        "square": ours("square", "secret", now),
        "zendesk": ours("zendesk", "secret", now),
        "hmac": ours("hmac", "secret", now, header="X-Signature"),
    }
    return [row(name, call, *libraries.get(name, (None, "none for Python"))) for name, call in calls.items()]
