"""The rulebook: built-in rules, rules of the code and stored ones, and the verbs that change them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.planes.alerts.model import Origin, Rule
from custodes.planes.alerts.ports import AlertStore
from custodes.planes.alerts.rules import BUILT_IN, MAX_RULES, checked
from custodes.runtime.transactions import Transaction, Work, nothing

#: Longest id of a rule, characters.
MAX_ID = 36


class Rulebook:
    """All rules. A stored rule stands above one of the same id from elsewhere; deleting it brings that one back."""

    def __init__(
        self,
        store: AlertStore,
        clock: Clock,
        new_id: Callable[[], str],
        check_aggregation: Callable[[str], None],
        built_in: Iterable[Rule] = BUILT_IN,
    ) -> None:
        self._check_aggregation = check_aggregation
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._fixed = {rule.id: checked(rule) for rule in built_in}

    def add(self, rule: Rule) -> None:
        """Add a rule in code; one of the same id is replaced.

        Raises:
            InvalidInput: the rule cannot be evaluated.
        """
        if not 1 <= len(rule.id) <= MAX_ID:
            msg = f"{rule.id[:50]!r} is not an id of a rule"
            raise InvalidInput(msg, remedy=f"Give it 1 to {MAX_ID} characters, such as orders-stopped")
        self._fixed[rule.id] = self._checked(replace(rule, origin=Origin.CODE))

    async def list(self, tenant: str | None = None) -> list[Rule]:
        """Return the rules, by id: all for ``None``, else those of this tenant."""
        stored = await self._store.read(self._store.list_rules)
        merged = {**self._fixed, **{rule.id: rule for rule in stored}}
        return [rule for _, rule in sorted(merged.items()) if tenant in (None, rule.tenant)]

    async def get(self, identifier: str, tenant: str | None = None) -> Rule:
        """Return one rule.

        Raises:
            NotFound: there is none, or not for this tenant.
        """
        for rule in await self.list(tenant):
            if rule.id == identifier:
                return rule
        msg = "There is no such alert rule"
        raise NotFound(msg, remedy="List the rules: GET alert-rules")

    async def create(self, rule: Rule, *, rule_id: str = "", also: Work = nothing) -> Rule:
        """Store a new rule; its id is made here, unless ``also`` has to name it beforehand.

        Raises:
            InvalidInput: the rule cannot be evaluated.
            Conflict: there are too many stored rules.
        """
        made = self._stored(rule, rule_id or self._new_id())

        def work(tx: Transaction) -> None:
            if len(self._store.list_rules(tx)) >= MAX_RULES:
                msg = f"There are {MAX_RULES} stored rules already"
                raise Conflict(msg, remedy="Delete rules that nobody needs")
            self._store.put_rule(tx, made)
            also(tx)

        await self._store.write(work)
        return made

    async def replace(self, identifier: str, rule: Rule, *, tenant: str | None = None, also: Work = nothing) -> Rule:
        """Write a rule anew; a built-in or code rule is overridden.

        Raises:
            NotFound: there is none, or not for this tenant.
            InvalidInput: the rule cannot be evaluated.
        """
        await self.get(identifier, tenant)
        made = self._stored(rule, identifier)

        def work(tx: Transaction) -> None:
            self._store.put_rule(tx, made)
            also(tx)

        await self._store.write(work)
        return made

    async def delete(self, identifier: str, *, tenant: str | None = None, also: Work = nothing) -> None:
        """Delete a stored rule; its open incidents resolve at the next evaluation.

        Raises:
            NotFound: there is none, or not for this tenant.
            Conflict: it is not a stored one; it can be disabled instead.
        """
        if (await self.get(identifier, tenant)).origin is not Origin.STORED:
            msg = "This rule is not a stored one and cannot be deleted"
            raise Conflict(msg, remedy="Replace it with enabled: false")

        def work(tx: Transaction) -> None:
            if self._store.delete_rule(tx, identifier):
                also(tx)

        await self._store.write(work)

    def _stored(self, rule: Rule, identifier: str) -> Rule:
        return self._checked(replace(rule, id=identifier, origin=Origin.STORED, updated_at=self._clock.now()))

    def _checked(self, rule: Rule) -> Rule:
        made = checked(rule)
        self._check_aggregation(made.aggregation)
        return made
