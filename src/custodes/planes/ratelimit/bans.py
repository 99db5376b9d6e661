"""Escalation: those who keep on running into limits are shut out, a little longer each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from custodes.errors import ConfigurationError
from custodes.kernel.address import parse_network
from custodes.planes.ratelimit.model import EVERY_TENANT, Access, BanPolicy, Kind

#: Repeat offenders remembered in each of two generations; beyond that, new ones are not counted until it changes.
MAX_OFFENDERS = 20_000

Offender = tuple[str, str, str]


@dataclass(slots=True)
class _Record:
    """What somebody has done."""

    #: Begin of the stretch in which refusals are counted, microseconds.
    since: int
    #: Refused requests in it.
    refusals: int = 0
    #: Offences not forgiven yet.
    offences: int = 0
    #: When the latest offence was, microseconds.
    latest: int = 0


@dataclass(frozen=True, slots=True)
class Sentence:
    """What an offence brings."""

    #: Step of the escalation, from 1.
    level: int
    #: How long to shut out, microseconds; 0 for a warning.
    duration: int


def immune_addresses(trusted_proxies: Iterable[str]) -> Callable[[str, str], bool]:
    """Make the test for who is never shut out: loopback, trusted proxies, what overlaps them, and no address at all."""
    networks = [parse_network(block) for block in ("127.0.0.0/8", "::1", *trusted_proxies)]

    def immune(kind: str, identifier: str) -> bool:
        if kind != Kind.IP:
            return False
        try:
            suspect = parse_network(identifier)
        except ConfigurationError:
            return True
        return any(one.version == suspect.version and one.overlaps(suspect) for one in networks)

    return immune


class Escalation:
    """Counts refused requests by offender (tenant, kind, identifier) and passes sentence.

    Args:
        policy: when and for how long.
        immune: tells who is never shut out, by kind and identifier: loopback and trusted proxies.
    """

    def __init__(self, policy: BanPolicy, immune: Callable[[str, str], bool]) -> None:
        self.policy = policy
        self._immune = immune
        self._records: dict[Offender, _Record] = {}
        self._earlier: dict[Offender, _Record] = {}
        #: What bans in the store tell: (offence, moment), of before a restart and of other workers.
        self._recalled: dict[Offender, tuple[int, int]] = {}
        self._changed_at = 0
        self._tidied_at = 0
        #: Refused requests not counted because there were too many offenders.
        self.shed = 0

    def refused(self, offender: Offender, now: int) -> Sentence | None:
        """Count a refused request; return the sentence when it completes an offence."""
        record = self._record(offender, now)
        if record is None:
            return None
        if now - record.since >= self.policy.within:
            record.since, record.refusals = now, 0
        record.refusals += 1
        if record.refusals < self.policy.refusals:
            return None
        record.since, record.refusals = now, 0
        if self._immune(offender[1], offender[2]):
            return None
        self._take_over(offender, record)
        forgiven = max(0, now - record.latest) // self.policy.decay if record.offences else 0
        record.offences = max(0, record.offences - forgiven) + 1
        record.latest = now
        steps = self.policy.steps
        return Sentence(record.offences, steps[min(record.offences, len(steps)) - 1])

    def recall(self, bans: Iterable[Access]) -> None:
        """Know the offences of these bans, newest first, in place of those of the last call; a lifted one pardons."""
        self._recalled = {}
        for ban in bans:
            known = (0, ban.ends_at) if ban.lifted_by else (ban.level, ban.created_at)
            self._recalled.setdefault((ban.tenant, ban.kind.value, ban.identifier), known)

    def _take_over(self, offender: Offender, record: _Record) -> None:
        """Count on from a later offence than this worker's own; a ban of an address is one of all tenants."""
        for tenant in (offender[0], EVERY_TENANT):
            offence, at = self._recalled.get((tenant, *offender[1:]), (0, 0))
            if at > record.latest:
                record.offences, record.latest = offence, at

    def pardon(self, kind: str, identifier: str) -> None:
        """Forget what somebody has done, in every tenant."""
        for records in (self._records, self._earlier, self._recalled):
            for offender in [one for one in records if one[1:] == (kind, identifier)]:
                del records[offender]

    def _record(self, offender: Offender, now: int) -> _Record | None:
        found = self._records.get(offender)
        if found is not None:
            return found
        # What nobody has touched for as long as all offences take to decay is as good as nothing.
        if now - self._changed_at > self.policy.decay * len(self.policy.steps):
            self._records, self._earlier, self._changed_at = {}, self._records, now
        found = self._earlier.pop(offender, None)
        if found is None and len(self._records) >= MAX_OFFENDERS and not self._make_room(now):
            self.shed += 1
            return None
        found = self._records[offender] = found or _Record(since=now)
        return found

    def _make_room(self, now: int) -> bool:
        """Let go of those who have no offence and have been quiet; looked for once a stretch, for it takes a while."""
        quiet = now - self.policy.within
        if self._tidied_at > quiet:
            return False
        self._tidied_at = now
        self._records = {who: one for who, one in self._records.items() if one.offences or one.since > quiet}
        return len(self._records) < MAX_OFFENDERS
