"""Webhooks of the past: figures of three levels, refusals, events with their attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from custodes.kernel.clock import DAY, MINUTE, SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.ids import uuid7
from custodes.kernel.stretches import KEPT, Level
from custodes.planes.inbound.figures import REFUSAL_BUCKET

#: Sources, and types of events of each.
SOURCES = ("stripe", "github", "clerk", "shopify", "internal")
TYPES = 12

#: Events are kept for so many days (``CUSTODES_WEBHOOK_LOG_RETENTION_DAYS``); one in so many fails its first attempt.
EVENT_DAYS = 30
FAILS = 50

_HANDLER = "app.handle"
_REASONS = ("bad_signature", "stale_timestamp", "missing_signature")


class WebhookHistory:
    """Draws the rows.

    Args:
        events: how many webhooks are kept.
        now: end of the history, microseconds.
        tenant: whose.
    """

    def __init__(self, events: int, now: int, tenant: str) -> None:
        self._chance = random.Random(7)
        self._events = events
        self._now = now
        self._tenant = tenant
        self._writer = uuid7(now, self._chance.getrandbits)

    def rollups(self) -> Iterator[tuple[bool, tuple[Any, ...]]]:
        """Yield (of a source, row): every type has figures in every stretch in which it was met, its source their sum.

        A row of a source is one of ``webhook_source_rollups``, the others are of ``webhook_rollups``.
        """
        for level in Level:
            span = min(KEPT[level], EVENT_DAYS * DAY)
            each = self._events / (EVENT_DAYS * DAY) * level.micros / (len(SOURCES) * TYPES)
            pool = [self._processing(max(1, round(each))) for _ in range(20)]
            for bucket in range(self._now - span - (self._now - span) % level.micros, self._now, level.micros):
                for source in SOURCES:
                    met: list[tuple[int, bytes]] = []
                    for kind in range(TYPES):
                        if each >= 1 or self._chance.random() < each:
                            met.append(pool[int(self._chance.random() * 20)])
                            key = (self._tenant, level.value, bucket, source, f"type.{kind}", self._writer)
                            yield False, (*key, *_figures(*met[-1:]))
                    if met:
                        yield True, (self._tenant, level.value, bucket, source, self._writer, *_figures(*met))

    def _processing(self, count: int) -> tuple[int, bytes]:
        histogram = Histogram(int(self._chance.lognormvariate(10, 1)) for _ in range(min(count, 1_000)))
        return count, histogram.encode()

    def refusals(self) -> Iterator[tuple[Any, ...]]:
        """Yield ``webhook_refusal_counts``: now and then, somebody sends what is not signed."""
        span = EVENT_DAYS * DAY
        for bucket in range(self._now - span, self._now, 10 * MINUTE):
            reason = _REASONS[int(self._chance.random() * len(_REASONS))]
            source = SOURCES[int(self._chance.random() * len(SOURCES))]
            yield self._tenant, bucket - bucket % REFUSAL_BUCKET, source, reason, self._writer, 5

    def events(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...], list[tuple[Any, ...]]]]:
        """Yield (event, payload, attempts) of each, oldest first."""
        span = EVENT_DAYS * DAY
        for number in range(self._events):
            at = self._now - span + number * span // self._events
            identifier = uuid7(at, self._chance.getrandbits)
            source, kind = SOURCES[number % len(SOURCES)], f"type.{number % TYPES}"
            failed = number % FAILS == 0
            dead = number % (FAILS * 20) == 0
            event = (
                self._tenant, identifier, at, source, f"evt_{number}", kind, f"evt_{number}", "verified",
                f"{number:032x}", "203.0.113.9", 900, "dead" if dead else "succeeded", 1 + failed, 20_000,
                at + SECOND, None, "ValueError: of the benchmark" if dead else None, "{}",
            )  # fmt: skip
            payload = (self._tenant, identifier, "[]", b'{"id": "evt"}')
            attempts = [
                (
                    self._tenant, identifier, attempt, _HANDLER, source, kind,
                    "failed" if failed and attempt == 1 else "succeeded", at, 20_000,
                    "ValueError" if failed and attempt == 1 else "", "of the benchmark" if failed else "",
                )
                for attempt in range(1, 2 + failed)
            ]  # fmt: skip
            yield event, payload, attempts


def _figures(*met: tuple[int, bytes]) -> tuple[Any, ...]:
    """Add up the figures of some types: (events, processing times) of each."""
    times = Histogram()
    times.merge_all(each for _, each in met)
    counts = [(count, count // 20, count, count // FAILS, 0) for count, _ in met]
    return (*map(sum, zip(*counts, strict=True)), times.encode(), 0)
