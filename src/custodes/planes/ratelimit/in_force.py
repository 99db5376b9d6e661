"""What is in force in this worker: rules and access entries, kept in step with the other workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from custodes.errors import ConfigurationError
from custodes.kernel.clock import Clock
from custodes.planes.ratelimit.access import AccessTable
from custodes.planes.ratelimit.model import Access, Rule
from custodes.planes.ratelimit.plans import RuleBook
from custodes.planes.ratelimit.ports import RateLimitStore, Windows
from custodes.runtime.log import get_logger

#: Most rules of an install: each request may be held against all of them.
MAX_RULES = 500

#: Most rules of one tenant: a tenth of the room, so that no tenant takes it from the others, or their time.
MAX_RULES_OF_TENANT = 50


_log = get_logger("custodes.ratelimit")


@dataclass(slots=True)
class _Meanwhile:
    """What was changed here while the store was read: by id, what it is now, None for what counts no longer."""

    access: dict[str, Access | None] = field(default_factory=dict)
    rules: dict[str, Rule | None] = field(default_factory=dict)


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
        #: Notes of the reads that are under way.
        self._reads: list[_Meanwhile] = []
        #: Ids of overruled rules that the log has told of.
        self._told: set[str] = set()
        #: Version of what was taken over last; -1 for none, and where something was changed here since then.
        self.version = -1
        self.access = AccessTable()
        self.book = RuleBook((), windows)

    @property
    def rules(self) -> list[Rule]:
        """All rules: those in code, in order, then those made at run time, by name.

        Of two with one name the one in code holds, and the other is ``overruled``. Neither process that made them could
        have refused: the command line does not know the code's rules, and the code not those of its next version.
        """
        shared = [
            replace(rule, overruled=True) if rule.name in self._written else rule for rule in self._shared.values()
        ]
        return [*self._written.values(), *sorted(shared, key=lambda rule: rule.name)]

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
        self.access.add(entry)
        if saved:
            self._note_access(entry.id, entry)
            self._changed()
        else:
            self._unsaved[entry.id] = entry

    def saved(self, entries: Iterable[Access]) -> None:
        """Note that the store has these now, as they are given here."""
        for entry in entries:
            if self._unsaved.pop(entry.id, None) is not None:  # otherwise it was lifted meanwhile
                self.access.add(entry)
                self._note_access(entry.id, entry)
        self._changed()

    def end(self, ids: Iterable[str]) -> None:
        """Have entries count no longer."""
        for entry_id in ids:
            self._unsaved.pop(entry_id, None)
            self.access.remove(entry_id)
            self._note_access(entry_id, None)
        self._changed()

    def put_rule(self, rule: Rule) -> None:
        """Have a rule made at run time count from now on."""
        self._note_rule(rule.id, rule)
        self._shared[rule.id] = rule
        self._rebuild()
        self._changed()

    def end_rule(self, rule_id: str) -> None:
        """Have a rule made at run time count no longer."""
        self._note_rule(rule_id, None)
        if self._shared.pop(rule_id, None) is not None:
            self._rebuild()
            self._changed()

    @property
    def unsaved(self) -> list[Access]:
        """Entries that the store does not have yet."""
        return list(self._unsaved.values())

    # ── Changes made elsewhere ───────────────────────────────────────────────

    async def refresh(self) -> bool:
        """Take over what other workers have changed; returns whether there was anything.

        What is changed here while the store is read counts on top of what was read, for that may not have it. It may
        also have more, such as that another worker has lifted it again: after a change of its own a worker reads anew
        at its next look. So however much is changed here, each look reads once.

        Raises:
            StorageUnavailable: the store cannot be read; what is in force stays so.
        """
        if await self._store.version() == self.version:
            return False
        meanwhile = _Meanwhile()
        self._reads.append(meanwhile)
        try:
            shared = await self._store.shared(self._clock.now())
        finally:
            self._reads = [one for one in self._reads if one is not meanwhile]
        self.version = -1 if meanwhile.access or meanwhile.rules else shared.version
        access = {**{entry.id: entry for entry in shared.access}, **meanwhile.access, **self._unsaved}
        self.access = AccessTable(entry for entry in access.values() if entry is not None)
        rules = {**{rule.id: rule for rule in shared.rules}, **meanwhile.rules}
        standing = {rule_id: rule for rule_id, rule in rules.items() if rule is not None}
        if standing != self._shared:
            self._shared = standing
            self._rebuild()
        return True

    def _note_access(self, entry_id: str, entry: Access | None) -> None:
        self.version = -1
        for read in self._reads:
            read.access[entry_id] = entry

    def _note_rule(self, rule_id: str, rule: Rule | None) -> None:
        self.version = -1
        for read in self._reads:
            read.rules[rule_id] = rule

    def _rebuild(self) -> None:
        self.book = RuleBook([rule for rule in self.rules if not rule.overruled], self._windows)
        self._windows.keep_only(name for gate in self.book.gates for name in gate.names)
        overruled = {rule.id: rule.name for rule in self.rules if rule.overruled}
        for rule_id in overruled.keys() - self._told:
            _log.warning(
                "rate_limit_rule_overruled",
                rule=overruled[rule_id],
                id=rule_id,
                remedy="A rule in code has its name and holds; delete the one made at run time, or name the other anew",
            )
        self._told = set(overruled)
