"""Answers that instances share for a moment, in Redis: sealed, for they hold addresses and users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from custodes.kernel.clock import MILLISECOND, SECOND
from custodes.kernel.sealing import Sealer
from custodes.runtime.log import get_logger
from custodes.storage.redis.connection import connect, disconnect

#: How long an answer is kept, microseconds: a board that looks again sees what is new.
KEPT = 2 * SECOND

#: Longest that the cache may take, seconds: a summary that is worked out takes longer.
MAX_SECONDS = 0.05

#: After a failure, how long the cache is not asked, microseconds.
_AWAY = SECOND

#: Largest answer that is kept, bytes.
_MAX_ANSWER = 512 * 1024

_log = get_logger("custodes.summaries")


class RedisAnswers:
    """The :class:`~custodes.runtime.summaries.AnswerCache` of all instances on one Redis.

    Args:
        url: see :func:`custodes.storage.redis.connection.connect`.
        sealer: seals answers; with the same keys in all instances.
        monotonic: monotonic clock, microseconds.
        kept: how long an answer is kept, microseconds.
        seconds: longest that the cache may take.
    """

    def __init__(
        self,
        url: str,
        sealer: Sealer,
        monotonic: Callable[[], int],
        *,
        kept: int = KEPT,
        seconds: float = MAX_SECONDS,
    ) -> None:
        self._kept = kept
        self._seconds = seconds
        self._client: Any = connect(url)
        self._sealer = sealer
        self._monotonic = monotonic
        self._away_until = 0
        #: Answers that were found.
        self.found = 0
        #: Times that the cache could not be asked or did not answer.
        self.failures = 0

    async def get(self, key: bytes) -> bytes | None:
        """Return an answer; None when there is none, or nobody to ask."""
        sealed = await self._ask("GET", _name(key))
        if sealed is None:
            return None
        try:
            answer = self._sealer.open(sealed, _purpose(key))
        except Exception as error:  # noqa: BLE001 - another key's, or tampered with: it is worked out
            _log.warning("summary_not_opened", error=type(error).__name__)
            return None
        self.found += 1
        return answer

    async def put(self, key: bytes, answer: bytes) -> None:
        """Keep an answer for a moment, if that can be done now."""
        if len(answer) > _MAX_ANSWER:
            return
        with suppress(Exception):  # no key to seal with: nothing is kept
            sealed = self._sealer.seal(answer, _purpose(key))
            await self._ask("SET", _name(key), sealed, "PX", self._kept // MILLISECOND)

    async def stop(self) -> None:
        """Close the connection; idempotent."""
        await disconnect(self._client)

    async def _ask(self, *command: Any) -> bytes | None:
        if self._monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(self._seconds):
                return await self._client.execute_command(*command)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is worked out
            self.failures += 1
            self._away_until = self._monotonic() + _AWAY
            _log.debug("summaries_not_shared", error=repr(error))
            return None


def _name(key: bytes) -> bytes:
    return b"custodes:summary:" + key.hex().encode()


def _purpose(key: bytes) -> str:
    return f"summary:{key.hex()}"
