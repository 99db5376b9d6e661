"""Audit entries of the past."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from custodes.kernel.clock import DAY, MINUTE
from custodes.kernel.ids import uuid7
from custodes.planes.audit.catalogue import ACTIONS
from custodes.planes.audit.model import SCHEMA_VERSION

#: People and addresses that entries are from, and days that they are spread over (the usual retention).
ACTORS = 2_000
ADDRESSES = 5_000
DAYS = 90

#: One entry in so many failed; one in so many is flagged, and one in so many of these waits for its verdict.
FAILS = 12
FLAGGED = 200
WAITING = 10

#: Gives the others theirs, ten minutes to a day after.
VERDICTS = f"""
    UPDATE audit_logs SET review_state = 'benign', reviewed_by = 'user:1',
      reviewed_at = recorded_at + {10 * MINUTE} * (1 + seq % 144)
    WHERE review_state = 'open' AND (seq - 1) % {FLAGGED * WAITING} <> 0
"""

_REASON = '[{"points":40,"rule":"new_address","sentence":"The address is new"}]'


def entries(count: int, now: int, tenant: str) -> Iterator[tuple[tuple[Any, ...], tuple[str, ...]]]:
    """Yield (values, targets) of each entry in the shape that the store inserts, oldest first."""
    chance = random.Random(11)
    names = sorted(ACTIONS)
    span = DAYS * DAY
    for number in range(count):
        at = now - span + number * span // count
        action = names[int(chance.random() ** 3 * len(names))]
        actor = int(chance.random() ** 2 * ACTORS)
        address = (actor * 3 + int(chance.random() ** 4 * 5)) % ADDRESSES
        flagged = number % FLAGGED == 0
        target = f"invoice:{number % 50_000}"
        identifier = uuid7(at, chance.getrandbits)
        values = (
            identifier, tenant, at, at, SCHEMA_VERSION, "event", action, ACTIONS[action].category,
            "failure" if number % FAILS == 0 else "success", f"user:{actor}",
            f"203.0.{address // 250}.{address % 250}", f"Browser/{actor % 7}", f"{number:032x}", "", "", None,
            f'{{"actor":{{"id":"{actor}","type":"user"}}}}', f'[{{"id":"{number % 50_000}","type":"invoice"}}]',
            '[{"new":"sent","old":"draft","path":"status"}]', '{"auth_method":"password"}', "{}",
            60 if flagged else 5, _REASON if flagged else "[]", flagged, None,
            identifier if flagged else None, "open" if flagged else None,
        )  # fmt: skip
        yield values, (target,)
