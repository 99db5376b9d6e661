"""The read side: usage, refusals and abuse over a stretch of time (spec Y4, A4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.time_range import range_of
from custodes.kernel.window import capacity
from custodes.planes.ratelimit.model import Kind, Usage
from custodes.planes.ratelimit.plans import Gate
from custodes.planes.ratelimit.ports import RateLimitStore, Total, Windows

#: Rows of each ranking.
TOP = 20

#: Points of a trend at most.
MAX_POINTS = 500

#: Lengths that a point of a trend may have.
_BUCKETS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitAnalytics:
    """What the limits did in a stretch of time."""

    #: Begin, microseconds; included.
    since: int
    #: End, microseconds; not included.
    until: int
    #: Length of a point of the trend, microseconds.
    bucket: int
    #: Units admitted.
    allowed: int
    #: Requests refused.
    refused: int
    #: Requests that a rule in shadow would have refused.
    would_refuse: int
    #: The trend: label is the begin of the point, microseconds as text.
    trend: Sequence[Total]
    #: By rule, most refused first.
    rules: Sequence[Total]
    #: By endpoint, most refused first.
    endpoints: Sequence[Total]
    #: By identifier (``ip:203.0.113.9``), most refused first: those who were refused, or would have been by a rule in
    #: shadow.
    identifiers: Sequence[Total]
    #: The same of each kind by itself, so that many addresses do not hide the users.
    addresses: Sequence[Total]
    users: Sequence[Total]
    api_keys: Sequence[Total]
    #: Blocks and bans that stood at the end.
    blocks_in_force: int

    @property
    def refusal_rate(self) -> float:
        """Refused part of everything, 0 to 1; 0 when there was nothing."""
        everything = self.allowed + self.refused
        return self.refused / everything if everything else 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """What one rule, block, ban or deny did in a stretch of time."""

    #: Begin, microseconds; included.
    since: int
    #: End, microseconds; not included.
    until: int
    #: Length of a point of the trend, microseconds.
    bucket: int
    #: The trend: label is the begin of the point, microseconds as text; points without any request are left out.
    trend: Sequence[Total]

    @property
    def sums(self) -> Total:
        """All points together."""
        return Total(
            "",
            sum(point.allowed for point in self.trend),
            sum(point.refused for point in self.trend),
            sum(point.would_refuse for point in self.trend),
        )


async def course_of(
    store: RateLimitStore, rule: str, *, whom: tuple[str, str] | None, tenant: str | None, since: int, until: int
) -> Course:
    """Follow one rule over a stretch of time, widened to whole minutes; of one kind and identifier, or of everybody.

    Raises:
        InvalidInput: the stretch is empty.
    """
    since, until = _whole_minutes(since, until)
    bucket = point_length(since, until)
    trend = await store.points(tenant=tenant, rule=rule, whom=whom, since=since, until=until, bucket=bucket)
    return Course(since, until, bucket, trend)


def _whole_minutes(since: int, until: int) -> tuple[int, int]:
    """Check a stretch of time; the minute that it begins in counts as a whole, as the last one does."""
    if since >= until:
        msg = "since is not before until"
        raise InvalidInput(msg, remedy="Swap them")
    return since - since % MINUTE, until


def whole_minutes(since: int | None, until: int | None, now: int) -> tuple[int, int]:
    """Complete a range that is counted by minutes: one that is over ends with a whole one.

    Raises:
        InvalidInput: it is empty.
    """
    begin, end = range_of(since, until, now)
    return begin - begin % MINUTE, end if end > now else min(now, end + -end % MINUTE)


async def analyse(store: RateLimitStore, *, tenant: str | None, since: int, until: int) -> RateLimitAnalytics:
    """Sum up a stretch of time, widened to whole minutes.

    Raises:
        InvalidInput: the stretch is empty.
    """
    since, until = _whole_minutes(since, until)
    bucket = point_length(since, until)
    found = await store.usages(tenant=tenant, since=since, until=until, bucket=bucket, top=TOP)
    # Whoever is among the first of all is among the first of a kind.
    everybody = sorted(
        (one for some in found.identifiers.values() for one in some),
        key=lambda one: (-one.refused, -one.would_refuse, -one.allowed, one.label),
    )
    return RateLimitAnalytics(
        since=since,
        until=until,
        bucket=bucket,
        allowed=sum(point.allowed for point in found.points),
        refused=sum(point.refused for point in found.points),
        would_refuse=sum(point.would_refuse for point in found.points),
        trend=found.points,
        rules=found.rules,
        endpoints=found.endpoints,
        identifiers=everybody[:TOP],
        addresses=found.identifiers.get(Kind.IP, ()),
        users=found.identifiers.get(Kind.USER, ()),
        api_keys=found.identifiers.get(Kind.API_KEY, ()),
        blocks_in_force=await store.blocks_at(until, tenant=tenant),
    )


def point_length(since: int, until: int) -> int:
    """Choose the length of the points of a trend, microseconds."""
    return next((one for one in _BUCKETS if (until - since) // one <= MAX_POINTS - 1), _BUCKETS[-1])


async def near_limits(
    gates: Iterable[Gate], windows: Windows, now: int, tenant: str | None, default_tenant: str
) -> list[Usage]:
    """List the subjects that have used 80 % of a limit or more, as this worker knows; the fullest first."""
    found: list[Usage] = []
    for gate in gates:
        for cells, policy in zip(gate.cells, gate.policies, strict=True):
            for key, left in await windows.near(cells, now):
                if not isinstance(key, str):
                    continue  # a state that many share is nobody's
                whose, kind, identifier = gate.whom(key, gate.tenant or default_tenant)
                if tenant in (None, whose):
                    most = capacity(cells.meter)
                    found.append(Usage(rule=policy.name, identifier=f"{kind}:{identifier}", limit=most, remaining=left))
    found.sort(key=lambda usage: usage.remaining / usage.limit)
    return found[: 5 * TOP]
