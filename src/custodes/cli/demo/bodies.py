"""Bodies of webhooks as the shop's providers would send them: made up, in the providers' shapes.

What makes an event the same one holds the moment, as it does with the providers: a second run of the demo on the same
database, with the same seed, would otherwise send nothing but repeats.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

#: Types of Stripe's events and how often they come; the last four are worth a security event.
STRIPE_TYPES = {
    "payment_intent.created": 20,
    "payment_intent.succeeded": 30,
    "payment_intent.payment_failed": 5,
    "invoice.paid": 20,
    "invoice.payment_failed": 3,
    "customer.subscription.updated": 8,
    "customer.created": 8,
    "charge.refunded": 3,
    "charge.dispute.created": 1,
    "radar.early_fraud_warning.created": 1,
    "review.opened": 1,
}

#: Types of GitHub's deliveries and how often they come.
GITHUB_TYPES = {"push": 10, "pull_request": 6, "issues": 4, "workflow_run": 6, "star": 1}

#: Types of Clerk's events and how often they come.
CLERK_TYPES = {"user.created": 4, "user.updated": 6, "session.created": 10, "session.ended": 6}

NAMES = ("Ada", "Barbara", "Chandra", "Dana", "Edsger", "Frances", "Grace", "Hedy", "Ida", "Jean", "Katherine", "Lynn")


def stripe(random: Random, now: int) -> tuple[str, bytes]:
    """Make a Stripe event: (type, body). ``now`` is in microseconds."""
    kind = _choose(random, STRIPE_TYPES)
    family = kind.rpartition(".")[0]
    cents = random.randrange(590, 40_000)
    thing: dict[str, Any] = {
        "id": _token(random, family.split(".")[0][:2] + "_"),
        "object": family,
        "amount": cents,
        "currency": random.choice(("eur", "usd", "gbp")),
        "customer": _token(random, "cus_", 14),
        "livemode": True,
        "metadata": {"order": str(random.randrange(1, 10_000)), "channel": random.choice(("web", "app", "pos"))},
        "status": random.choice(("succeeded", "requires_action", "processing")),
        "billing_details": {
            "name": random.choice(NAMES),
            "address": {
                "country": random.choice(("DE", "FR", "US", "GB")),
                "postal_code": f"{random.randrange(99999):05}",
            },
        },
        "lines": [
            {"description": f"Item {index}", "amount": cents // 3, "quantity": random.randrange(1, 4)}
            for index in range(random.randrange(1, 6))
        ],
    }
    event = {
        "id": _token(random, f"evt_{now:x}", 11),
        "object": "event",
        "api_version": "2026-10-28.acacia",
        "created": now // 1_000_000,
        "type": kind,
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": _token(random, "req_", 14), "idempotency_key": None},
        "data": {"object": thing},
    }
    return kind, json.dumps(event, indent=2).encode()


def github(random: Random, now: int) -> tuple[str, bytes]:
    """Make a GitHub delivery: (event, body). ``now`` is in microseconds."""
    kind = _choose(random, GITHUB_TYPES)
    author = random.choice(NAMES)
    commit = f"{random.getrandbits(160):040x}"
    body: dict[str, Any] = {
        "repository": {
            "id": 7_301,
            "full_name": "coffee/shop",
            "private": True,
            "pushed_at": now // 1_000_000,
            "default_branch": "main",
        },
        "sender": {"login": author.lower(), "id": random.randrange(10_000), "type": "User"},
    }
    if kind == "push":
        body |= {
            "ref": random.choices(("refs/heads/main", "refs/heads/checkout", "refs/heads/broken"), (12, 6, 1))[0],
            "before": f"{random.getrandbits(160):040x}",
            "after": commit,
            "commits": [{"id": commit, "message": "Roast darker", "author": {"name": author}, "modified": ["menu.py"]}],
        }
    else:
        body |= {"action": random.choice(("opened", "closed", "completed")), "number": random.randrange(1, 900)}
    return kind, json.dumps(body, separators=(",", ":")).encode()


def clerk(random: Random, now: int) -> tuple[str, bytes]:
    """Make a Clerk event: (type, body)."""
    kind = _choose(random, CLERK_TYPES)
    name = random.choice(NAMES)
    data = {
        "id": _token(random, "user_" if kind.startswith("user") else "sess_", 24),
        "first_name": name,
        "email_addresses": [{"email_address": f"{name.lower()}{random.randrange(99)}@example.com"}],
        "created_at": now // 1_000,
        "object": kind.split(".", maxsplit=1)[0],
    }
    return kind, json.dumps({"data": data, "object": "event", "type": kind, "timestamp": now // 1_000}).encode()


MAKERS = {"stripe": stripe, "github": github, "clerk": clerk}


def _choose(random: Random, weights: dict[str, int]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def _token(random: Random, prefix: str, length: int = 24) -> str:
    alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return prefix + "".join(random.choices(alphabet, k=length))
