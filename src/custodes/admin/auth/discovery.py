"""What an issuer says of itself, remembered: strangers can have it looked at, and must not make us a hammer."""

from __future__ import annotations

import asyncio
from typing import Any

from custodes.admin.auth.fetch import FetchFailed, HttpFetcher, discover
from custodes.admin.auth.jwks import REFRESH_AFTER
from custodes.kernel.clock import SECOND, Clock

#: Least time between two fetches that failed; who asks in between is told the same failure.
TRY_AGAIN_AFTER = 5 * SECOND


class Discovery:
    """The discovery document of one issuer: one fetch at a time at most, one in :data:`REFRESH_AFTER` that succeeds.

    Args:
        issuer: its URL, exactly as ``iss`` spells it.
        fetch: fetches the document.
        clock: source of time; only the monotonic hand is used.
    """

    def __init__(self, issuer: str, fetch: HttpFetcher, clock: Clock) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._document: dict[str, Any] = {}
        self._failure: FetchFailed | None = None
        self._until = 0
        self._flight: asyncio.Task[None] | None = None

    async def document(self) -> dict[str, Any]:
        """Return the document, at most :data:`REFRESH_AFTER` old.

        Raises:
            FetchFailed: it cannot be had.
        """
        if self._clock.monotonic() >= self._until:
            if self._flight is None or self._flight.done():
                self._flight = asyncio.create_task(self._look(), name="custodes-discovery")
            # Shielded: who leaves must not take the others' fetch along.
            await asyncio.shield(self._flight)
        if self._failure is not None:
            raise FetchFailed(self._failure.message, remedy=self._failure.remedy)
        return self._document

    async def _look(self) -> None:
        try:
            self._document, self._failure = await discover(self._issuer, self._fetch), None
        except FetchFailed as error:
            self._failure = error
        self._until = self._clock.monotonic() + (REFRESH_AFTER if self._failure is None else TRY_AGAIN_AFTER)
