"""What an answer means for a delivery, and what a row of them means for its endpoint. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from custodes.kernel.clock import DAY, MINUTE, SECOND, from_datetime
from custodes.kernel.figures import length
from custodes.planes.outbound.model import Endpoint, EndpointHealth

#: Failures in a row that open the breaker.
OPEN_AFTER = 5

#: How long it stays open after so many failures and at most, microseconds. Each probe that fails doubles it.
FIRST_PAUSE = 30 * SECOND
LONGEST_PAUSE = 10 * MINUTE

#: Pause when a receiver is overloaded and does not say for how long, microseconds.
THROTTLE = MINUTE

#: Longest that a receiver can have us wait (``Retry-After``), microseconds.
LONGEST_RETRY_AFTER = DAY

#: By how much the clocks of processes may differ, microseconds: an endpoint that is left alone for longer than it was
#: meant to be, and for this, has been closed by a clock that ran ahead.
TOLERANCE = MINUTE

#: Failures in a row without which an endpoint is not disabled, however long ago the first was: of an endpoint that gets
#: an event a month one failure says little.
LEAST_FAILURES = 10

#: Shares of the time to being disabled at which its owner is told, percent.
NOTICES = (50, 70, 90, 100)

#: "Slow down", and what proxies say when what is behind them is down (Standard Webhooks).
THROTTLING = frozenset({429, 502, 503, 504})

#: "Never again" (Standard Webhooks).
GONE = 410


@dataclass(frozen=True, slots=True)
class Answered:
    """What an attempt came to."""

    #: HTTP status; None when there was no answer.
    status: int | None
    #: ``Retry-After`` of the answer; empty when it had none.
    retry_after: str = ""

    @property
    def good(self) -> bool:
        """Whether it was delivered. Redirects are failures: what is signed goes where it was meant to go."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows for the endpoint."""

    #: How it is doing now.
    health: EndpointHealth
    #: Percent of the time to being disabled that its owner is to be told of; 0: nothing new.
    notice: int = 0
    #: Why it is to be disabled; empty: it is not.
    disable: str = ""


def retry_after(text: str, now: int) -> int:
    """Read ``Retry-After`` (RFC 9110 §10.2.3): seconds or a date; microseconds to wait, 0 when it cannot be read."""
    text = text.strip()[:64]
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * SECOND, LONGEST_RETRY_AFTER)
    try:
        moment: datetime = parsedate_to_datetime(text)
        wait = from_datetime(moment) - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
    return min(max(wait, 0), LONGEST_RETRY_AFTER)


def possible(health: EndpointHealth, now: int) -> EndpointHealth:
    """Take an endpoint for open that is left alone for longer than was meant: a clock that ran ahead has done that."""
    latest = now + TOLERANCE + (health.open_for or LONGEST_RETRY_AFTER)
    return health if health.open_until <= latest else replace(health, open_until=0, open_for=0)


def judge(endpoint: Endpoint, health: EndpointHealth, answered: Answered, now: int) -> Judgement:
    """Tell what an attempt means for its endpoint."""
    if answered.good:
        return Judgement(EndpointHealth(paced_until=health.paced_until))
    health = possible(health, now)
    failures = health.failures + 1
    since = min(health.failing_since or now, now)
    open_until = health.open_until
    if failures >= OPEN_AFTER:
        pause = min(FIRST_PAUSE << min(failures - OPEN_AFTER, 20), LONGEST_PAUSE)
        open_until = max(open_until, now + pause)
    if answered.status in THROTTLING:
        asked = retry_after(answered.retry_after, now)
        open_until = max(open_until, now + (asked or THROTTLE))
    open_for = max(open_until - now, 0)
    judged = replace(health, failures=failures, failing_since=since, open_until=open_until, open_for=open_for)
    if answered.status == GONE:
        return Judgement(
            replace(judged, noticed=100), 100, "The receiver answered 410: it does not want webhooks any more"
        )
    limit = endpoint.options.disable_after
    if not limit or failures < LEAST_FAILURES:
        return Judgement(judged)
    share = min(100 * (now - since) // limit, 100)
    notice = max((step for step in NOTICES if health.noticed < step <= share), default=0)
    why = f"Every attempt failed for {length(limit / SECOND)}" if notice == 100 else ""
    return Judgement(replace(judged, noticed=notice or health.noticed), notice, why)
