"""What administrators change: blocks, lists, rules. Each change takes the caller's audit entry along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import DAY, SECOND, Clock
from custodes.kernel.tenant import EVERY_TENANT, check_tenant
from custodes.planes.ratelimit.access import normal_identifier
from custodes.planes.ratelimit.bans import Escalation
from custodes.planes.ratelimit.in_force import MAX_RULES, MAX_RULES_OF_TENANT, InForce
from custodes.planes.ratelimit.model import FOREVER, Access, Effect, Kind, Rule, Source
from custodes.planes.ratelimit.ports import RateLimitStore
from custodes.planes.ratelimit.rules import given_of, make_rule
from custodes.runtime.transactions import Transaction, Work

#: Longest reason, characters.
MAX_REASON = 500

#: Entries that stand at most: all of them are in the memory of every worker.
MAX_ENTRIES = 100_000

#: Entries of one tenant that stand at most, bans not counted: a tenth of the room, so that no tenant takes it from the
#: others.
MAX_ENTRIES_OF_TENANT = 10_000

#: Bans that are written in one transaction: whoever writes blocks waits for it, and botnets are banned by the ten
#: thousand.
BANS_AT_ONCE = 200

#: Shortest prefix that may be blocked or denied, bits: a typing error must not shut out a continent.
SHORTEST_PREFIX = {4: 8, 6: 16}

_REFUSING = (Effect.BLOCK, Effect.DENY)


class Administration:
    """Writes to the store, and has it count in this worker at once.

    Args:
        store: where it is kept.
        in_force: what counts in this worker.
        clock: source of time.
        new_id: makes ids.
        immune: tells which addresses are never shut out, by kind and identifier.
        escalation: decides how long bans are; None where there are none.
    """

    def __init__(
        self,
        store: RateLimitStore,
        in_force: InForce,
        clock: Clock,
        new_id: Callable[[], str],
        immune: Callable[[str, str], bool],
        escalation: Escalation | None,
    ) -> None:
        self._store = store
        self._in_force = in_force
        self._clock = clock
        self._new_id = new_id
        self._immune = immune
        self._escalation = escalation

    # ── Access ───────────────────────────────────────────────────────────────

    async def put(
        self,
        effect: Effect,
        identifier: str,
        kind: Kind,
        *,
        reason: str,
        actor: str,
        duration: int | None,
        tenant: str | None,
        entry_id: str,
        also: Work,
    ) -> Access:
        """Add an entry, in place of one that stands for the same identifier."""
        entry = self.entry(
            effect,
            identifier,
            kind,
            reason=reason,
            actor=actor,
            duration=duration,
            tenant=tenant,
            entry_id=entry_id,
        )
        if effect in _REFUSING:
            self._refuse_self_harm(entry)
        self._refuse_too_many(entry)

        replaced = self._same(entry)
        # Bans that it takes the place of are written all the same: the next ones go on from their level.
        bans = [one for one in self._in_force.unsaved if one.id in replaced]

        def work(tx: Transaction) -> None:
            self._put_bans(tx, bans)
            self._store.put_access(tx, entry)
            also(tx)

        await self._store.units.write(work)
        self._in_force.end(replaced)
        self._in_force.put(entry)
        return entry

    def entry(
        self,
        effect: Effect,
        identifier: str,
        kind: Kind,
        *,
        reason: str,
        actor: str,
        duration: int | None,
        tenant: str | None,
        level: int = 0,
        entry_id: str = "",
    ) -> Access:
        """Make an entry, checked.

        Raises:
            InvalidInput: a value is not acceptable.
        """
        now = self._clock.now()
        if tenant:
            check_tenant(tenant)
        if kind is Kind.CUSTOM:
            msg = "A custom identifier is known to the callable of its rule alone: an entry for it would never count"
            raise InvalidInput(msg, remedy="Name an ip, user, api_key or tenant, or change the rule")
        if duration is not None and not SECOND <= duration <= 3660 * DAY:
            msg = "A block lasts from one second to ten years"
            raise InvalidInput(msg, remedy="Leave the duration out for no end")
        if len(reason) > MAX_REASON:
            msg = f"The reason is longer than {MAX_REASON} characters"
            raise InvalidInput(msg)
        return Access(
            id=entry_id or self._new_id(),
            tenant=tenant or EVERY_TENANT,
            effect=effect,
            kind=kind,
            identifier=normal_identifier(kind, identifier),
            reason=reason,
            actor=actor,
            created_at=now,
            ends_at=FOREVER if duration is None else now + duration,
            level=level,
        )

    async def end(
        self,
        identifier: str,
        kind: Kind,
        *,
        effects: Sequence[Effect],
        actor: str,
        tenant: str | None,
        also: Work,
    ) -> list[Access]:
        """End the entries that stand for an identifier.

        Raises:
            NotFound: there are none.
        """
        name = normal_identifier(kind, identifier)
        now = self._clock.now()

        unsaved = [one for one in self._in_force.unsaved if _names(one, kind, name, tenant)]

        def work(tx: Transaction) -> list[Access]:
            self._put_bans(tx, unsaved)  # and lifts them: what writes them just now finds them there
            found = self._store.standing(tx, tenant=tenant, kind=kind.value, identifier=name, effects=effects, now=now)
            if not found:
                msg = f"Nothing stands against this {kind}"
                raise NotFound(msg, remedy="Look at the list of blocks for how it is written")
            self._store.end_access(tx, [one.id for one in found], now, actor)
            also(tx)
            return found

        found = await self._store.units.write(work)
        self._in_force.end(one.id for one in (*found, *unsaved))
        return [replace(one, ends_at=now, lifted_by=actor) for one in found]

    async def end_entry(
        self, entry_id: str, *, effects: Sequence[Effect], actor: str, tenant: str | None, also: Work
    ) -> Access:
        """End one entry by its id.

        Raises:
            NotFound: no such entry, or another tenant's.
            Conflict: it has ended already.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> Access:
            found = self._store.access(tx, entry_id)
            if found is None or found.effect not in effects or tenant not in (None, found.tenant):
                msg = "No such entry"
                raise NotFound(msg)
            if found.ends_at <= now:
                msg = "It has ended already"
                raise Conflict(msg)
            self._end(tx, [entry_id], actor, now)
            also(tx)
            return found

        found = await self._store.units.write(work)
        self._in_force.end([entry_id])
        return replace(found, ends_at=now, lifted_by=actor)

    async def save_bans(self, bans: Sequence[Access]) -> None:
        """Write bans that were made in this worker without waiting; they last as long as the store's history has it."""
        for begin in range(0, len(bans), BANS_AT_ONCE):
            some = bans[begin : begin + BANS_AT_ONCE]
            self._in_force.saved(await self._store.units.write(lambda tx, some=some: self._put_bans(tx, some)))

    def _put_bans(self, tx: Transaction, bans: Sequence[Access]) -> list[Access]:
        """Raise the version, and write bans, each with the level that follows from those written before it."""
        self._store.bump(tx)  # first: whoever writes at the same time waits here, and then sees these
        return [self._put_ban(tx, self._escalation, ban) for ban in bans if self._escalation is not None]

    def _put_ban(self, tx: Transaction, escalation: Escalation, ban: Access) -> Access:
        written = self._store.access(tx, ban.id)
        if written is not None:  # by a block that took its place meanwhile
            return written
        since = escalation.remembered_since(ban.created_at)
        history = self._store.standing(
            tx, tenant=None, kind=ban.kind, identifier=ban.identifier, effects=(Effect.BLOCK,), now=since
        )
        decided = escalation.decide(ban, history)
        self._store.put_access(tx, decided)
        return decided

    def _end(self, tx: Transaction, ids: Sequence[str], actor: str, now: int) -> None:
        self._store.bump(tx)  # first, as by all who write entries: two of them never wait for each other
        self._store.end_access(tx, ids, now, actor)

    def _same(self, entry: Access) -> list[str]:
        key = (entry.tenant, entry.effect, entry.kind, entry.identifier)
        standing = self._in_force.access.standing(entry.created_at)
        return [one.id for one in standing if (one.tenant, one.effect, one.kind, one.identifier) == key]

    def _refuse_too_many(self, entry: Access) -> None:
        access = self._in_force.access
        # Nearly always far from full: what has ended is sorted out only where it matters.
        if len(access) < MAX_ENTRIES_OF_TENANT:
            return
        standing = access.standing(entry.created_at)
        remedy = "Block CIDR blocks instead of single addresses, or lift some blocks"
        if len(standing) >= MAX_ENTRIES:
            msg = f"There are {MAX_ENTRIES} entries already"
            raise Conflict(msg, remedy=remedy)
        # Without bans: a botnet's would keep the tenant's administrators from blocking anybody.
        of_tenant = sum(one.tenant == entry.tenant and not one.level for one in standing)
        if entry.tenant != EVERY_TENANT and of_tenant >= MAX_ENTRIES_OF_TENANT:
            msg = f"This tenant has {MAX_ENTRIES_OF_TENANT} entries already"
            raise Conflict(msg, remedy=remedy)

    def _refuse_self_harm(self, entry: Access) -> None:
        if entry.kind is not Kind.IP:
            return
        bare, slash, prefix = entry.identifier.partition("/")
        if slash and int(prefix) < SHORTEST_PREFIX[6 if ":" in bare else 4]:
            msg = f"{entry.identifier} is too large a part of the internet to block"
            raise InvalidInput(msg, remedy="Block /8 or longer for IPv4, /16 or longer for IPv6")
        if self._immune(entry.kind, entry.identifier):
            msg = f"{entry.identifier} is loopback or a trusted proxy: everybody behind it would be shut out"
            raise InvalidInput(msg, remedy="Block the client's own address; check CUSTODES_TRUSTED_PROXIES")

    # ── Rules ────────────────────────────────────────────────────────────────

    async def put_rule(
        self, given: dict[str, Any], *, actor: str, tenant: str | None, rule_id: str, also: Work
    ) -> Rule:
        """Make a rule at run time.

        Raises:
            InvalidInput: a value is not acceptable.
            Conflict: the name is taken, or there are too many rules.
        """
        rules = self._in_force.rules
        if len(rules) >= MAX_RULES:
            msg = f"There are {MAX_RULES} rules already"
            raise Conflict(msg, remedy="Delete some, or use path templates")
        if tenant and sum(rule.tenant == tenant for rule in rules) >= MAX_RULES_OF_TENANT:
            msg = f"This tenant has {MAX_RULES_OF_TENANT} rules already"
            raise Conflict(msg, remedy="Delete some, or use path templates")
        stored: dict[str, Any] = {
            "id": rule_id or self._new_id(),
            "version": 1,
            "updated_at": self._clock.now(),
            "actor": actor,
        }
        rule = make_rule(**given, tenant=tenant or EVERY_TENANT, source=Source.API, **stored)
        self._refuse_name_in_code(rule)

        def work(tx: Transaction) -> None:
            self._store.bump(tx)
            self._store.add_rule(tx, rule)
            also(tx)

        await self._store.units.write(work)
        self._in_force.put_rule(rule)
        return rule

    async def change_rule(
        self, rule_id: str, changes: dict[str, Any], *, actor: str, tenant: str | None, version: int | None, also: Work
    ) -> Rule:
        """Change a rule made at run time; what was counted under unchanged limits stays.

        Raises:
            NotFound: no such rule, or another tenant's.
            InvalidInput: a value is not acceptable.
            Conflict: the name is taken, or the rule has another version than the one named.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> Rule:
            self._store.bump(tx)  # first: whoever changes it at the same time waits here, and then sees this change
            old = self._own_rule(tx, rule_id, tenant)
            if version not in (None, old.version):
                raise _changed_meanwhile(old)
            stored: dict[str, Any] = {"id": old.id, "version": old.version + 1, "updated_at": now, "actor": actor}
            made = make_rule(**{**given_of(old), **changes}, tenant=old.tenant, source=Source.API, **stored)
            self._refuse_name_in_code(made)
            if not self._store.change_rule(tx, made, old.version):
                raise _changed_meanwhile(old)
            also(tx)
            return made

        rule = await self._store.units.write(work)
        self._in_force.put_rule(rule)
        return rule

    async def delete_rule(self, rule_id: str, *, tenant: str | None, also: Work) -> Rule:
        """Delete a rule made at run time.

        Raises:
            NotFound: no such rule, or another tenant's.
        """

        def work(tx: Transaction) -> Rule:
            self._store.bump(tx)
            rule = self._own_rule(tx, rule_id, tenant)
            self._store.delete_rule(tx, rule_id)
            also(tx)
            return rule

        rule = await self._store.units.write(work)
        self._in_force.end_rule(rule_id)
        return rule

    def _refuse_name_in_code(self, rule: Rule) -> None:
        if self._in_force.rule_in_code(rule.name):
            msg = f"A rule in the code is named {rule.name!r}"
            raise Conflict(msg, remedy="Choose another name; rules in code are changed in code")

    def _own_rule(self, tx: Transaction, rule_id: str, tenant: str | None) -> Rule:
        rule = self._store.rule(tx, rule_id)
        if rule is None or tenant not in (None, rule.tenant):
            raise _no_rule()
        return rule


def _no_rule() -> NotFound:
    msg = "No such rule made at run time"
    return NotFound(msg, remedy="Rules in code are changed in code")


def _changed_meanwhile(rule: Rule) -> Conflict:
    msg = f"Somebody else has changed {rule.name!r} meanwhile: it has version {rule.version} now"
    return Conflict(msg, remedy="Look at it again, then change it")


def _names(entry: Access, kind: Kind, identifier: str, tenant: str | None) -> bool:
    return (entry.kind, entry.identifier) == (kind, identifier) and tenant in (None, entry.tenant)
