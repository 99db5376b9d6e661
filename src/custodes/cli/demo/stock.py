"""What shop and visitors both know."""

from __future__ import annotations

import os

#: Things on sale: (name, price in cents).
CATALOGUE = (
    ("Espresso beans, 1 kg", 2390),
    ("Hand grinder", 8900),
    ("Gooseneck kettle", 6450),
    ("Paper filters, 100", 790),
    ("Travel mug", 2490),
    ("Milk pitcher", 1890),
    ("Scale, 0.1 g", 3990),
    ("Cleaning brush", 590),
)

#: The password that the demo's users have; anything else fails.
GOOD_PASSWORD = "correct horse"


def shared_secrets() -> dict[str, str]:
    """Tell the signing secrets that shop and driver share, from the environment."""
    names = {"stripe": "STRIPE_WEBHOOK_SECRET", "github": "GITHUB_WEBHOOK_SECRET", "clerk": "CLERK_WEBHOOK_SECRET"}
    return {source: os.environ[name] for source, name in names.items() if os.environ.get(name)}
