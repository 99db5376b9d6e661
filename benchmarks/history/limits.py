"""Counted windows of rate limits of the past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from custodes.kernel.clock import DAY, MINUTE
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit.tracking import WINDOW

#: (rule, endpoint) of each limit, days that windows are kept (``CUSTODES_API_LOG_RETENTION_DAYS``).
RULES = (("all", "*"), ("login", "/login"), ("search", "/api/v1/search"), ("export", "/api/v1/export"))
DAYS = 7

#: Identifiers with a row of their own in each minute.
IDENTIFIERS = 100

#: Columns of a row, in order.
COLUMNS = (
    "tenant_id", "id", "window_start", "window_end", "rule", "kind", "identifier", "endpoint", "allowed", "refused",
    "would_refuse", "trace_id",
)  # fmt: skip


def windows(now: int, tenant: str, identifiers: int = IDENTIFIERS) -> Iterator[tuple[Any, ...]]:
    """Yield rows, oldest first: of each minute those of identifiers, and the sums over all."""
    chance = random.Random(13)
    begin = now - DAYS * DAY
    for start in range(begin - begin % WINDOW, now, MINUTE):
        sums = dict.fromkeys(RULES, 0)
        met = {(int(chance.random() ** 3 * 20_000), chance.choice(RULES)) for _ in range(identifiers)}
        for who, (rule, endpoint) in met:
            refused = 5 if who % 40 == 0 else 0
            sums[rule, endpoint] += refused
            address = f"198.{who // 65_536}.{who // 256 % 256}.{who % 256}"
            yield (
                tenant, uuid7(start, chance.getrandbits), start, start + WINDOW, rule, "ip", address, endpoint, 7,
                refused, 0, "",
            )  # fmt: skip
        for (rule, endpoint), refused in sums.items():
            yield (
                tenant, uuid7(start, chance.getrandbits), start, start + WINDOW, rule, "", "", endpoint,
                7 * identifiers // len(RULES), refused, 0, "",
            )  # fmt: skip
