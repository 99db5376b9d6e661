"""Parts for users' own tests: :class:`FakeClock`, :func:`signed_webhook`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from custodes.testing.clock import FakeClock
    from custodes.testing.webhooks import SignedWebhook, signed_webhook

__all__ = ["FakeClock", "SignedWebhook", "signed_webhook"]

_HOMES = {
    "FakeClock": "custodes.testing.clock",
    "SignedWebhook": "custodes.testing.webhooks",
    "signed_webhook": "custodes.testing.webhooks",
}


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for: the pytest plugin lives here too, and loads with every test run."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'custodes.testing' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(home), name)
