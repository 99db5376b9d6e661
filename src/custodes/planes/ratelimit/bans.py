"""Escalation: those who keep on running into limits are shut out, a little longer each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

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


def ban_reason(level: int) -> str:
    """Say why somebody is banned."""
    return f"Ran into limits again and again (offence {level})"


def _told_by(entry: Access) -> tuple[int, int]:
    """Return the moment and the offence that a block tells of: to lift one pardons, one made by hand is no offence."""
    if entry.lifted_by:
        return entry.ends_at, 0
    return (entry.created_at, entry.level) if entry.level else (0, 0)


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
        #: What bans in the store tell: (moment, offence), of before a restart and of other workers.
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
        return Sentence(record.offences, self._duration(record.offences))

    def remembered_since(self, now: int) -> int:
        """Tell from which moment on a ban may still count; what ended before is forgiven."""
        return now - self.policy.decay * len(self.policy.steps)

    def decide(self, ban: Access, history: Iterable[Access]) -> Access:
        """Give a ban the level that follows from what was there before, whichever worker made it, and its length.

        Args:
            ban: the ban, with the level that this worker knows of.
            history: all blocks and bans of the same identifier that may still count.
        """
        bans = [one for one in history if one.tenant in (ban.tenant, EVERY_TENANT)]
        at, offence = max(map(_told_by, bans), default=(0, 0))
        beside = [one for one in bans if one.level and not one.lifted_by and one.ends_at > ban.created_at]
        if not beside:  # otherwise another worker was refusing, too: one offence, seen twice
            offence = max(0, offence - max(0, ban.created_at - at) // self.policy.decay) + 1
        level = max(ban.level, offence)
        ends_at = max(ban.created_at + self._duration(level), *(one.ends_at for one in (ban, *beside)))
        return replace(ban, level=level, ends_at=ends_at, reason=ban_reason(level))

    def recall(self, blocks: Iterable[Access]) -> None:
        """Know the offences that these blocks and bans tell of, in place of those of the last call."""
        self._recalled = {}
        for one in blocks:
            if one.level or one.lifted_by:
                offender = (one.tenant, one.kind.value, one.identifier)
                self._recalled[offender] = max(_told_by(one), self._recalled.get(offender, (0, 0)))

    def _duration(self, level: int) -> int:
        return self.policy.steps[min(level, len(self.policy.steps)) - 1]

    def _take_over(self, offender: Offender, record: _Record) -> None:
        """Count on from a later offence than this worker's own; a ban of an address is one of all tenants."""
        for tenant in (offender[0], EVERY_TENANT):
            at, offence = self._recalled.get((tenant, *offender[1:]), (0, 0))
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
