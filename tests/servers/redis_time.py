"""Redis whose time stands still: the limiter's own script, with a clock that a test sets."""

from __future__ import annotations

import redis

from custodes.storage.redis.scripts import Script, decision

#: What stands in for ``time.lua``: the moment is read from a key, and nothing ends in real time.
_STILL = """
local now = tonumber(redis.call('GET', 'test:now'))
local function lifetime() return '3600000' end
"""


def still_decision() -> Script:
    """Return the script."""
    return decision(_STILL)


def set_time(client: redis.Redis, now: int) -> None:
    """Set the clock, microseconds."""
    client.set("test:now", now)
