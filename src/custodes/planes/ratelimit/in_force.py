"""What is in force in this worker: rules and access entries, kept in step with the other workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from custodes.errors import ConfigurationError
from custodes.kernel.clock import Clock
from custodes.planes.ratelimit.access import AccessTable
from custodes.planes.ratelimit.model import Access, Rule
from custodes.planes.ratelimit.plans import RuleBook
from custodes.planes.ratelimit.ports import RateLimitStore, Windows

#: Most rules of an install: each request may be held against all of them.
MAX_RULES = 500


class InForce:
    """Rules of the code and of administrators, and who is allowed or blocked.

    Decisions read :attr:`book` and :attr:`access` and nothing else. Other workers' changes come in by :meth:`refresh`,
    which reads one number when nothing has changed.
    """

    def __init__(
        self, windows: Windows, store: RateLimitStore, clock: Clock, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._windows = windows
        self._store = store
        self._clock = clock
        #: Called when others have to look again.
        self._changed = changed
        self._written: dict[str, Rule] = {}
        self._shared: dict[str, Rule] = {}
        #: Entries made here that the store does not have yet.
        self._unsaved: dict[str, Access] = {}
        self._changes = 0
        self.version = -1
        self.access = AccessTable()
        self.book = RuleBook((), windows)

    @property
    def rules(self) -> list[Rule]:
        """All rules: those in code, in order, then those made at run time, by name."""
        return [*self._written.values(), *sorted(self._shared.values(), key=lambda rule: rule.name)]

    def rule_in_code(self, name: str) -> bool:
        """Tell whether a rule of this name is written in code."""
        return name in self._written

    def write(self, rule: Rule) -> None:
        """Add a rule of the host's code.

        Raises:
            ConfigurationError: another has the same name, or there are too many.
        """
        if rule.name in self._written:
            msg = f"There are two rules named {rule.name!r}"
            raise ConfigurationError(msg, remedy='Give each its own: custodes.limit(..., name="login")')
        if len(self._written) >= MAX_RULES:
            msg = f"There are more than {MAX_RULES} rules"
            raise ConfigurationError(msg, remedy="Use path templates instead of a rule for each path")
        self._written[rule.name] = rule
        self._rebuild()

    # ── Changes made here, at once ───────────────────────────────────────────

    def put(self, entry: Access, *, saved: bool = True) -> None:
        """Have an entry count from now on; one that is not saved yet outlives refreshes."""
        self._changes += 1
        self.access.add(entry)
        if saved:
            self._changed()
        else:
            self._unsaved[entry.id] = entry

    def saved(self, entries: Iterable[Access]) -> None:
        """Note that the store has these now, as they are given here."""
        self._changes += 1
        for entry in entries:
            if self._unsaved.pop(entry.id, None) is not None:  # otherwise it was lifted meanwhile
                self.access.add(entry)
        self._changed()

    def end(self, ids: Iterable[str]) -> None:
        """Have entries count no longer."""
        self._changes += 1
        for entry_id in ids:
            self._unsaved.pop(entry_id, None)
            self.access.remove(entry_id)
        self._changed()

    def put_rule(self, rule: Rule) -> None:
        """Have a rule made at run time count from now on."""
        self._changes += 1
        self._shared[rule.id] = rule
        self._rebuild()
        self._changed()

    def end_rule(self, rule_id: str) -> None:
        """Have a rule made at run time count no longer."""
        self._changes += 1
        if self._shared.pop(rule_id, None) is not None:
            self._rebuild()
            self._changed()

    @property
    def unsaved(self) -> list[Access]:
        """Entries that the store does not have yet."""
        return list(self._unsaved.values())

    def shared_rule(self, rule_id: str) -> Rule | None:
        """Return a rule made at run time."""
        return self._shared.get(rule_id)

    # ── Changes made elsewhere ───────────────────────────────────────────────

    async def refresh(self) -> bool:
        """Take over what other workers have changed; returns whether there was anything.

        Raises:
            StorageUnavailable: the store cannot be read; what is in force stays so.
        """
        if await self._store.version() == self.version:
            return False
        while True:
            before = self._changes
            shared = await self._store.shared(self._clock.now())
            if self._changes == before:  # otherwise the snapshot may miss what was changed here meanwhile
                break
        self.version = shared.version
        self.access = AccessTable([*shared.access, *self._unsaved.values()])
        rules = {rule.id: rule for rule in shared.rules}
        if rules != self._shared:
            self._shared = rules
            self._rebuild()
        return True

    def _rebuild(self) -> None:
        self.book = RuleBook(self.rules, self._windows)
        self._windows.keep_only(name for gate in self.book.gates for name in gate.names)
