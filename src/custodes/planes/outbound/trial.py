"""Trials: what was to be sent, or came in, is sent once to a URL of somebody's choosing, to see what it makes of it.

Nothing of it is kept but the entry in the audit trail, and nothing that is meant for an endpoint goes along: not its
credentials, not its own headers, and no signature that it would take.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from custodes.errors import Conflict
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits
from custodes.kernel.signing import SYMMETRIC_PREFIX
from custodes.planes.outbound.breaker import Answered
from custodes.planes.outbound.headers import (
    ORIGINAL,
    answered_headers,
    forwarded_headers,
    shown_headers,
    signed_headers,
)
from custodes.planes.outbound.keys import SECRET_BYTES
from custodes.planes.outbound.model import Message
from custodes.planes.outbound.sender import ANSWER_BYTES, excerpt_of
from custodes.runtime.outgoing.client import Limits, OutgoingClient
from custodes.runtime.outgoing.failure import OutgoingFailed
from custodes.runtime.outgoing.timing import Timing
from custodes.version import __version__

#: Longest a trial may take altogether, seconds: somebody waits for it.
SECONDS = 10.0

#: Trials of one process at the same time.
AT_ONCE = 8

#: Header that says that this is one.
HEADER = "custodes-trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One request to a URL of somebody's choosing, and what came of it."""

    #: When it began, microseconds.
    started_at: int
    #: Where it was sent.
    url: str
    #: Whether it was answered with 2xx.
    succeeded: bool
    #: HTTP status of the answer; None when there was none.
    status: int | None
    #: What went wrong; empty when nothing did.
    error: str
    #: The beginning of the answer.
    excerpt: str
    #: Where the time went.
    timing: Timing
    #: Headers that were sent, secrets masked.
    headers: tuple[tuple[str, str], ...]
    #: Headers of the answer, secrets masked, as far as they are shown.
    answer_headers: tuple[tuple[str, str], ...] = ()
    #: Secret ``whsec_…`` that it was signed with, made for it and kept nowhere; empty when we did not sign.
    secret: str = field(default="", repr=False)


class Trials:
    """Sends them.

    Args:
        client: sends requests, to where it may.
        clock: source of time.
        random_bits: source of secrets: never a seeded one.
    """

    def __init__(self, client: OutgoingClient, clock: Clock, random_bits: RandomBits) -> None:
        self._client = client
        self._clock = clock
        self._random_bits = random_bits
        self._running = 0

    def check_room(self) -> None:
        """Check that one more may begin.

        Raises:
            Conflict: there are as many as there may be.
        """
        if self._running >= AT_ONCE:
            msg = f"{AT_ONCE} trials are under way"
            raise Conflict(msg, remedy=f"Try again in {SECONDS:.0f} s")

    async def of_message(self, url: str, message: Message, version: str, body: bytes) -> Trial:
        """Send the body of a message, signed with a secret made for it."""
        secret = self._random_bits(SECRET_BYTES * 8).to_bytes(SECRET_BYTES, "big")
        headers = dict(message.headers) or {"content-type": message.content_type}
        headers |= signed_headers(message.id, self._clock.now(), body, [secret])
        if version:
            headers["webhook-version"] = version
        return await self._send(url, headers, body, SYMMETRIC_PREFIX + base64.b64encode(secret).decode("ascii"))

    async def of_received(self, url: str, received: Sequence[tuple[str, str]], body: bytes) -> Trial:
        """Send what came in as it came: its sender's signature goes along, without what was masked."""
        headers = {
            name.removeprefix(ORIGINAL) if name.startswith(f"{ORIGINAL}webhook-") else name: value
            for name, value in forwarded_headers(received).items()
        }
        return await self._send(url, headers, body)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, secret: str = "") -> Trial:
        sent = {"user-agent": f"Custodes/{__version__}", **headers, HEADER: "true"}
        started_at = self._clock.now()
        self._running += 1
        try:
            answer = await self._client.request(
                "POST", url, headers=sent, body=body, limits=Limits(SECONDS, SECONDS, answer_bytes=ANSWER_BYTES)
            )
        except OutgoingFailed as failure:
            status, error, excerpt, timing = None, f"{failure.kind}: {failure.message}", "", failure.timing
            came: tuple[tuple[str, str], ...] = ()
        else:
            status, excerpt, timing = answer.status, excerpt_of(answer), answer.timing
            error = "" if Answered(status).good else f"It answered {status}"
            came = answered_headers(answer.headers)
        finally:
            self._running -= 1
        return Trial(
            started_at=started_at,
            url=url,
            succeeded=not error,
            status=status,
            error=error,
            excerpt=excerpt,
            timing=timing,
            headers=shown_headers(sent, ()),
            answer_headers=came,
            secret=secret,
        )
