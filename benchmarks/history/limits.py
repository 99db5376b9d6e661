"""Counted windows of rate limits of the past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby

from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit.model import Window
from custodes.planes.ratelimit.tracking import WINDOW

#: (rule, endpoint) of each limit, days that windows are kept (``CUSTODES_API_LOG_RETENTION_DAYS``).
RULES = (("all", "*"), ("login", "/login"), ("search", "/api/v1/search"), ("export", "/api/v1/export"))
DAYS = 7

#: Identifiers with a row of their own in each minute.
IDENTIFIERS = 100


def hours(now: int, tenant: str) -> Iterator[list[Window]]:
    """Yield the windows of each hour, oldest first: their figures add up whole hours."""
    for _, some in groupby(windows(now, tenant), lambda window: window.window_start // HOUR):
        yield list(some)


def windows(now: int, tenant: str, identifiers: int = IDENTIFIERS) -> Iterator[Window]:
    """Yield windows, oldest first: of each minute those of identifiers, and the sums over all."""
    chance = random.Random(13)
    begin = now - DAYS * DAY
    for start in range(begin - begin % WINDOW, now, MINUTE):
        sums = dict.fromkeys(RULES, 0)
        met = {(int(chance.random() ** 3 * 20_000), chance.choice(RULES)) for _ in range(identifiers)}

        def window(
            limit: tuple[str, str], kind: str, identifier: str, *, allowed: int, refused: int, start: int = start
        ) -> Window:
            return Window(
                tenant=tenant, id=uuid7(start, chance.getrandbits), window_start=start, window_end=start + WINDOW,
                rule=limit[0], kind=kind, identifier=identifier, endpoint=limit[1], allowed=allowed, refused=refused,
                would_refuse=0, trace_id="",
            )  # fmt: skip

        for who, limit in met:
            refused = 5 if who % 40 == 0 else 0
            sums[limit] += refused
            address = f"198.{who // 65_536}.{who // 256 % 256}.{who % 256}"
            yield window(limit, "ip", address, allowed=7, refused=refused)
        for limit, refused in sums.items():
            yield window(limit, "", "", allowed=7 * identifiers // len(RULES), refused=refused)
