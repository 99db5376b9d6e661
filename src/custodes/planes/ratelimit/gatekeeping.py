"""Changing and listing what is in force: rules made at run time, blocks, the allow list and the deny list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from custodes.errors import NotFound
from custodes.kernel.clock import MINUTE, Clock
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.spelling import one_of
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.ratelimit.administration import Administration
from custodes.planes.ratelimit.analytics import Course, course_of, whole_minutes
from custodes.planes.ratelimit.bans import Escalation
from custodes.planes.ratelimit.in_force import InForce
from custodes.planes.ratelimit.model import Access, Effect, Kind, Rule
from custodes.planes.ratelimit.ports import RateLimitStore
from custodes.runtime.transactions import Work, nothing

#: Newest blocks and bans whose offences are known at once after a restart, and to other workers; the store looks at all
#: of those who are banned, as the ban is written.
MAX_RECALLED = 1_000


class Gatekeeping:
    """The verbs of administrators: one half of :class:`custodes.planes.ratelimit.limiter.RateLimiter`.

    Every change counts at once in this worker and within two seconds in the others, and commits together with ``also``.
    """

    def __init__(
        self,
        store: RateLimitStore,
        in_force: InForce,
        administration: Administration,
        escalation: Escalation | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._in_force = in_force
        self._administration = administration
        self._escalation = escalation
        self._clock = clock

    # ── Rules ────────────────────────────────────────────────────────────────

    def list_rules(self, *, tenant: str | None = None) -> list[Rule]:
        """List the rules; those of one tenant and those for all when a tenant is named.

        All are in force but those that are ``overruled``.
        """
        return [rule for rule in self._in_force.rules if tenant is None or rule.tenant in (tenant, EVERY_TENANT)]

    def admitted_untold(self) -> frozenset[str]:
        """Name the rules of which it is not known what they admitted of one tenant alone.

        Those by address that hold for all: an address is the same client in every tenant, and what such a rule admits
        is counted for the default tenant. What it refuses is counted for the tenant of the request.
        """
        return frozenset(
            rule.name for rule in self._in_force.rules if rule.tenant == EVERY_TENANT and rule.by == (Kind.IP,)
        )

    async def create_rule(
        self, *, actor: str, tenant: str | None = None, rule_id: str = "", also: Work = nothing, **given: Any
    ) -> Rule:
        """Make a rule at run time; it holds at once here and within two seconds in other workers.

        Args:
            actor: who does it.
            tenant: whose requests it holds for; all when None.
            rule_id: its id (a UUIDv7), so that ``also`` can name it beforehand.
            also: what commits with it, such as the audit entry.
            given: arguments of :meth:`limit`.

        Raises:
            InvalidInput: a value is not acceptable.
            Conflict: the name is taken.
        """
        return await self._administration.put_rule(given, actor=actor, tenant=tenant, rule_id=rule_id, also=also)

    async def change_rule(
        self,
        rule_id: str,
        *,
        actor: str,
        tenant: str | None = None,
        version: int | None = None,
        also: Work = nothing,
        **changes: Any,
    ) -> Rule:
        """Change a rule made at run time; what was counted under limits that stay the same is kept.

        Args:
            rule_id: the rule.
            actor: who does it.
            tenant: only if it is this tenant's; any when None.
            version: only if it still has this version; any when None.
            also: what commits with it, such as the audit entry.
            changes: arguments of :meth:`limit`; all others stay as they are in the store.

        Raises:
            NotFound: no such rule, or another tenant's.
            InvalidInput: a value is not acceptable.
            Conflict: the name is taken, or somebody else has changed the rule since that version.
        """
        return await self._administration.change_rule(
            rule_id, changes, actor=actor, tenant=tenant, version=version, also=also
        )

    async def delete_rule(self, rule_id: str, *, tenant: str | None = None, also: Work = nothing) -> Rule:
        """Delete a rule made at run time.

        Raises:
            NotFound: no such rule, or another tenant's.
        """
        return await self._administration.delete_rule(rule_id, tenant=tenant, also=also)

    async def get_rule_course(
        self, rule: str, *, since: int | None = None, until: int | None = None, tenant: str | None = None
    ) -> Course:
        """Follow what a rule of this name admitted and refused; one that was deleted, too.

        Args:
            rule: its name.
            since: begin, microseconds; a day before the end when None.
            until: end, microseconds; now when None.
            tenant: only this tenant's requests; all when None.

        Raises:
            InvalidInput: the stretch is empty.
        """
        begin, end = whole_minutes(since, until, self._clock.now())
        return await course_of(self._store, rule, whom=None, tenant=tenant, since=begin, until=end)

    # ── Blocks and lists ─────────────────────────────────────────────────────

    async def get_blocked_identifiers(
        self,
        *,
        tenant: str | None = None,
        kind: Kind | str | None = None,
        active: bool = True,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Access]:
        """List blocks and bans, newest first (spec S3); those that have ended, too, unless ``active``."""
        return await self._list((Effect.BLOCK,), tenant, kind, active=active, limit=limit, cursor=cursor)

    async def count_blocked_identifiers(self, *, tenant: str | None = None) -> int:
        """Count the blocks and bans that stand."""
        return await self._store.blocks_at(self._clock.now(), tenant=tenant)

    async def block_identifier(
        self,
        identifier: str,
        kind: Kind | str = Kind.IP,
        *,
        reason: str,
        actor: str,
        duration: int | None = None,
        tenant: str | None = None,
        entry_id: str = "",
        also: Work = nothing,
    ) -> Access:
        """Refuse every request of an identifier: at once here, within two seconds in other workers (spec S3).

        Args:
            identifier: address, CIDR block, user, key id or tenant.
            kind: what the identifier is.
            reason: why, for people.
            actor: who does it.
            duration: microseconds; no end when None.
            tenant: only requests of this tenant; all when None.
            entry_id: id of the block (a UUIDv7), so that ``also`` can name it beforehand.
            also: what commits with it, such as the audit entry.

        Raises:
            InvalidInput: not an identifier of this kind; loopback, a trusted proxy or too large a block.
        """
        return await self._administration.put(
            Effect.BLOCK,
            identifier,
            _kind(kind),
            reason=reason,
            actor=actor,
            duration=duration,
            tenant=tenant,
            entry_id=entry_id,
            also=also,
        )

    async def unblock_identifier(
        self,
        identifier: str,
        kind: Kind | str = Kind.IP,
        *,
        actor: str,
        tenant: str | None = None,
        also: Work = nothing,
    ) -> list[Access]:
        """Lift all blocks and bans of an identifier, and forget its offences (spec S3).

        Raises:
            NotFound: nothing stands against it.
        """
        lifted = await self._administration.end(
            identifier, _kind(kind), effects=(Effect.BLOCK,), actor=actor, tenant=tenant, also=also
        )
        for entry in lifted:
            self._pardon(entry)
        return lifted

    async def lift_block(self, block_id: str, *, actor: str, tenant: str | None = None, also: Work = nothing) -> Access:
        """Lift one block by its id.

        Raises:
            NotFound: no such block, or another tenant's.
            Conflict: it has ended already.
        """
        lifted = await self._administration.end_entry(
            block_id, effects=(Effect.BLOCK,), actor=actor, tenant=tenant, also=also
        )
        self._pardon(lifted)
        return lifted

    async def get_access(self, entry_id: str, *, tenant: str | None = None) -> Access:
        """Return a block, a ban or an entry of a list, whether it stands or has ended.

        Raises:
            NotFound: no such entry, or another tenant's.
        """
        found = await self._store.units.read(lambda tx: self._store.access(tx, entry_id))
        if found is None or tenant not in (None, found.tenant):
            msg = "No such entry"
            raise NotFound(msg, remedy="It may have been deleted after its end; look at the list")
        return found

    async def get_access_course(self, entry: Access, *, since: int = 0) -> Course:
        """Follow what a block, a ban or an entry of the deny list has refused since it holds.

        Args:
            entry: which.
            since: not before this moment, microseconds: windows are not kept for ever.
        """
        # The minute that it ends in, or that is now, counts as a whole.
        end = min(entry.ends_at, self._clock.now()) + MINUTE
        return await course_of(
            self._store,
            f"({entry.refuses_as})",
            whom=(entry.kind.value, entry.identifier),
            tenant=None if entry.tenant == EVERY_TENANT else entry.tenant,
            since=min(max(entry.created_at, since), end - 1),
            until=end,
        )

    async def list_access(
        self,
        effect: Effect | str | None = None,
        *,
        tenant: str | None = None,
        kind: Kind | str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Access]:
        """List what stands on the allow list and the deny list, newest first."""
        effects = (Effect.ALLOW, Effect.DENY) if effect is None else (one_of(Effect, effect, "list"),)
        return await self._list(effects, tenant, kind, active=True, limit=limit, cursor=cursor)

    async def add_to_list(
        self,
        effect: Effect | str,
        identifier: str,
        kind: Kind | str = Kind.IP,
        *,
        reason: str,
        actor: str,
        tenant: str | None = None,
        entry_id: str = "",
        also: Work = nothing,
    ) -> Access:
        """Put an identifier on the ``"allow"`` or the ``"deny"`` list; arguments as for :meth:`block_identifier`.

        Raises:
            InvalidInput: not an identifier of this kind; for the deny list also what :meth:`block_identifier` refuses.
        """
        return await self._administration.put(
            one_of(Effect, effect, "list"),
            identifier,
            _kind(kind),
            reason=reason,
            actor=actor,
            duration=None,
            tenant=tenant,
            entry_id=entry_id,
            also=also,
        )

    async def remove_from_list(
        self, entry_id: str, *, actor: str, tenant: str | None = None, also: Work = nothing
    ) -> Access:
        """Take an entry off its list.

        Raises:
            NotFound: no such entry, or another tenant's.
            Conflict: it was taken off already.
        """
        return await self._administration.end_entry(
            entry_id, effects=(Effect.ALLOW, Effect.DENY), actor=actor, tenant=tenant, also=also
        )

    async def _list(
        self,
        effects: Sequence[Effect],
        tenant: str | None,
        kind: Kind | str | None,
        *,
        active: bool,
        limit: int,
        cursor: str | None,
    ) -> Page[Access]:
        return await self._store.access_page(
            tenant=tenant,
            effects=effects,
            active_at=self._clock.now() if active else None,
            kind=None if kind is None else _kind(kind).value,
            limit=limit,
            cursor=cursor,
        )

    async def _recall_bans(self) -> None:
        """Have the escalation go on where it was before a restart, and where other workers are."""
        if self._escalation is not None:
            blocks = await self._list((Effect.BLOCK,), None, None, active=False, limit=MAX_RECALLED, cursor=None)
            self._escalation.recall(blocks.items)

    def _pardon(self, entry: Access) -> None:
        if self._escalation is not None:
            self._escalation.pardon(entry.kind.value, entry.identifier)


def _kind(kind: Kind | str) -> Kind:
    return one_of(Kind, kind, "kind of identifier")
