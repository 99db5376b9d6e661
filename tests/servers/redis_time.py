"""Redis whose time stands still: the limiter's own script, with a clock that a test sets."""

from __future__ import annotations

import redis

from custodes.storage.redis.scripts import Script, decision

#: What stands in for ``time.lua``: the moment is read from a key, and a microsecond until a key ends takes Redis a
#: millisecond, so that none ends while a test runs.
_STILL = """
local now = tonumber(redis.call('GET', 'test:now'))
local function lifetime(micros_left) return string.format('%.0f', math.max(micros_left, 1)) end
"""

#: Longer than any key is kept, milliseconds: those that end then were not told when they end.
_NOT_TOLD = 10**14


def still_decision() -> Script:
    """Return the script."""
    return decision(_STILL)


def set_time(client: redis.Redis, now: int) -> None:
    """Set the clock, microseconds."""
    client.set("test:now", now)


class StillKeys:
    """Ends the limiter's keys when the test's clock comes to the moment that the script has told Redis.

    Args:
        client: to Redis.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        #: When each key ends, microseconds.
        self.ends: dict[bytes, int] = {}

    def end(self, now: int) -> None:
        """End those whose time has come."""
        over = [key for key, ends in self.ends.items() if ends <= now]
        if over:
            self._client.delete(*over)
        for key in over:
            del self.ends[key]

    def note(self, now: int) -> set[bytes]:
        """Note when keys end, after a call of this moment; returns those that were told anew."""
        keys: list[bytes] = self._client.keys("custodes:*")
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.pttl(key)
                pipeline.pexpire(key, _NOT_TOLD)
            left: list[int] = pipeline.execute()[::2]
        told = {key: now + lifetime for key, lifetime in zip(keys, left, strict=True) if lifetime < _NOT_TOLD // 2}
        assert all(key in told or key in self.ends for key in keys), "nothing is kept for ever"
        self.ends = {key: told.get(key) or self.ends[key] for key in keys}
        return set(told)
