"""Floods: who is refused again and again within minutes is told of, whether or not anybody shuts him out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import nlargest

from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.signals import FailureSignal, SecuritySignal, Signal
from custodes.planes.ratelimit.counts import Counts

#: Stretch of time in which they are added up, microseconds: long enough for a slow one, short enough to be news.
WITHIN = 5 * MINUTE

#: After this long without another one it is a new flood, microseconds: by then the alert of the last one is over.
QUIET = 15 * MINUTE

#: Those counted at one moment, at most; whoever comes beyond that is not watched until others are through.
MAX_WATCHED = 20_000

#: New floods told to security people in one go, at most: a botnet must not become an attack on the audit trail.
MAX_TOLD = 20

#: Floods told to alerts in one go, at most, the largest first; the others are told the next time. Alerts keep 500
#: problems between two looks, of all planes: those of a botnet must not take the place of a store that is down.
MAX_AT_ONCE = 100

#: (tenant, rule, kind, identifier)
_Whom = tuple[str, str, str, str]


@dataclass(slots=True)
class _Watched:
    """What somebody was refused of late."""

    #: Begin of the stretch, microseconds.
    since: int
    #: Refused requests in it.
    refused: int = 0
    #: When it was a flood last, microseconds; None: it was none.
    flood_at: int | None = None

    def over(self, now: int) -> bool:
        """Tell whether nothing of it counts any more."""
        return now - self.since >= (WITHIN if self.flood_at is None else QUIET)


class Floods:
    """Adds up what this worker has refused, each time it writes its counts; the path of requests knows nothing of it.

    Args:
        refusals: how often a rule refuses one identifier within :data:`WITHIN` in a flood; 0: there is none.
        emit: takes the signals.
    """

    def __init__(self, refusals: int, emit: Callable[[Signal], None]) -> None:
        self._refusals = refusals
        self._emit = emit
        self._watched: dict[_Whom, _Watched] = {}
        #: When it was looked last, microseconds: what is counted at a look was refused since then.
        self._looked_at: int | None = None

    def look(self, counted: Mapping[tuple[str, str, str, str, str], Counts], now: int) -> None:
        """Add counts of (tenant, rule, kind, identifier, endpoint), and tell of the floods among them.

        What blocks, bans and the deny list refuse is none: somebody has seen to that already.
        """
        if not self._refusals:
            return
        if self._looked_at is not None and now < self._looked_at:  # the clock was put back
            self._watched, self._looked_at = {}, None
        self._watched = {whom: one for whom, one in self._watched.items() if not one.over(now)}
        begin = now if self._looked_at is None else max(self._looked_at, now - MINUTE)
        self._looked_at = now
        traces: dict[_Whom, str] = {}
        for (tenant, rule, kind, identifier, _), counts in counted.items():
            if not counts.refused or not identifier or rule.startswith("("):
                continue
            whom = (tenant, rule, kind, identifier)
            one = self._watched.get(whom)
            if one is None:
                if len(self._watched) >= MAX_WATCHED:
                    continue
                one = self._watched[whom] = _Watched(begin)
            elif now - one.since >= WITHIN:
                one.since, one.refused = begin, 0
            one.refused += counts.refused
            traces[whom] = counts.trace_id
        floods = [whom for whom in traces if self._watched[whom].refused >= self._refusals]
        new = 0
        for whom in nlargest(MAX_AT_ONCE, floods, key=lambda whom: self._watched[whom].refused):
            one = self._watched[whom]
            begins = one.flood_at is None or now - one.flood_at >= QUIET
            new += begins
            self._tell(whom, one, now, traces[whom], security=begins and new <= MAX_TOLD)
            one.since, one.refused, one.flood_at = now, 0, now

    def _tell(self, whom: _Whom, one: _Watched, now: int, trace_id: str, *, security: bool) -> None:
        tenant, rule, kind, identifier = whom
        name = f"{kind}:{identifier}"
        seconds = max(1, (now - one.since) // SECOND)
        summary = f"{name} was refused {one.refused} times within {_told(seconds)} by the limit {rule}"
        self._emit(
            FailureSignal(
                at=now,
                tenant=tenant,
                trace_id=trace_id,
                system="rate_limits",
                name="rate_limit.exceeded",
                about=(("rule", rule), ("identifier", name)),
                title="Somebody is refused again and again",
                summary=summary,
                context={"refused": one.refused, "seconds": seconds},
            )
        )
        if security:
            self._emit(
                SecuritySignal(
                    at=now,
                    tenant=tenant,
                    trace_id=trace_id,
                    action="rate_limit.exceeded",
                    actor=name,
                    target=name,
                    reason=summary,
                    ip=identifier if kind == "ip" and "/" not in identifier else "",
                    context={"rule": rule, "refused": one.refused, "seconds": seconds},
                )
            )


def _told(seconds: int) -> str:
    """Write a stretch of time."""
    return f"{seconds} second{'s' if seconds > 1 else ''}" if seconds < 120 else f"{seconds // 60} minutes"
