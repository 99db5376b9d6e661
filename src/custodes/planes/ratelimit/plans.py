"""Compiled rules: from a request to the limits that it is held against, in a microsecond."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

from custodes.kernel.redact import visible
from custodes.kernel.tenant import EVERY_TENANT
from custodes.kernel.window import Ask, Cells, Concurrency
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import Meter, State
from custodes.planes.ratelimit.answers import Answers, Policy
from custodes.planes.ratelimit.language import MAX_AMOUNT, meter_of
from custodes.planes.ratelimit.model import Algorithm, Call, Kind, Rule, Source, Subject
from custodes.planes.ratelimit.paths import PathTrie
from custodes.planes.ratelimit.ports import States
from custodes.planes.ratelimit.rules import spell_subjects
from custodes.planes.ratelimit.standing import MAX_STANDING, Standing
from custodes.runtime.log import get_logger

#: Paths whose plan is remembered, of all methods together; forgotten all at once when there are more.
MAX_REMEMBERED = 4_096

#: Longest path that is remembered, characters.
_MAX_PATH = 512

#: Longest text of a callable that names a subject, characters.
_MAX_SUBJECT = 256

#: Between tenant and parts of a key: a control character, which no tenant holds. Keys are texts, for a text is hashed
#: once and a tuple at each lookup.
_SEPARATOR = "\x1f"

#: Subject of a client whose address is not known: all of those count as one.
UNKNOWN = "unknown"

KeyOf = Callable[[Call, str], "Key | None"]

#: One limit to charge; see :attr:`Plan.steps`.
Step: TypeAlias = (
    "tuple[KeyOf | None, int, int, Cells, Callable[[State, int, int], tuple[State, int, int] | None], Meter]"
)

_log = get_logger("custodes.ratelimit")


class Gate:
    """One rule, compiled."""

    __slots__ = (
        "bit",
        "by_ip",
        "cells",
        "cost",
        "cost_of",
        "key_of",
        "kinds",
        "names",
        "plain",
        "policies",
        "rule",
        "tenant",
    )

    def __init__(self, rule: Rule, windows: States) -> None:
        self.rule = rule
        #: Set in the mask of a request that this rule holds for.
        self.bit = 0
        self.kinds = "+".join(kind_of(one) for one in rule.by)
        self.key_of = _key_of(rule.by)
        #: The most frequent case, for which nothing has to be called.
        self.by_ip = rule.by == (Kind.IP,)
        self.cost = 1 if callable(rule.cost) else rule.cost
        self.cost_of = rule.cost if callable(rule.cost) else None
        self.tenant = None if rule.tenant == EVERY_TENANT else rule.tenant
        self.plain = not (callable(rule.cost) or rule.shadow or self.tenant) and all(
            limit.algorithm is not Algorithm.CONCURRENCY for limit in rule.limits
        )
        single = len(rule.limits) == 1
        meters = [meter_of(limit) for limit in rule.limits]
        self.policies = [
            Policy(rule.name if single else f"{rule.name} {number}", meter) for number, meter in enumerate(meters, 1)
        ]
        # What makes two limits the same: a change of anything else keeps what was counted. A rule made at run time
        # never counts on the states of one in code: in shadow, it would put those in shadow, too.
        origin = "" if rule.source is Source.CODE else f"{rule.source}\n"
        prefix = f"{origin}{rule.tenant}\n{rule.name}\n{spell_subjects(rule)}\n"
        self.names = [prefix + limit.text for limit in rule.limits]
        self.cells: list[Cells] = [
            windows.cells(name, meter, shadow=rule.shadow, together=rule.route)
            for name, meter in zip(self.names, meters, strict=True)
        ]
        for cells in self.cells:
            cells.lease = rule.lease

    def charge(self, call: Call) -> int:
        """Ask the host's callable what the request costs; 1 when it fails, at least 1."""
        assert self.cost_of is not None
        try:
            return min(max(1, int(self.cost_of(call))), MAX_AMOUNT)
        except Exception as error:  # noqa: BLE001 - the host's callable never harms the request
            _log.warning("cost_failed", rule=self.rule.name, error=type(error).__name__)
            return 1

    def whom(self, key: Key, call_tenant: str) -> tuple[str, str, str]:
        """Spell a key: (tenant, kind, identifier)."""
        text = str(key)
        if self.by_ip:
            return call_tenant, self.kinds, text
        tenant, _, identifier = text.partition(_SEPARATOR)
        # A callable of the host may name anything; what no store takes would cost the counts of all others.
        return tenant, self.kinds, visible(identifier.replace(_SEPARATOR, " "))


class Applicable:
    """The rules of a plan that hold for a request."""

    __slots__ = ("answers", "holds", "owners")

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.answers = Answers([(policy, gate.rule) for gate in gates for policy in gate.policies])
        #: The rule behind each ask.
        self.owners = [gate for gate in gates for _ in gate.policies]
        #: Whether slots are held until the request is over.
        self.holds = any(isinstance(policy.meter, Concurrency) for policy in self.answers.policies)


class Plan:
    """All rules that hold for a method and path."""

    __slots__ = (
        "_for_one_tenant",
        "applicable",
        "by_client",
        "compiled_steps",
        "gates",
        "remembers",
        "standing",
        "steps",
    )

    def __init__(self, gates: Sequence[Gate], *, at_once: bool) -> None:
        self.gates = tuple(gates)
        #: For each limit: names the subject (None for the client itself), bit of the rule, units, states, how to
        #: charge, and the algorithm. Empty when there is more to do than that: the engine is awaited, a callable tells
        #: the cost, slots are held, or a rule is in shadow or for one tenant only.
        self.steps: tuple[Step, ...] = ()
        if at_once and all(gate.plain for gate in gates):
            self.steps = tuple(
                (None if gate.by_ip else gate.key_of, gate.bit, gate.cost, cells, cells.attempt, cells.meter)
                for gate in gates
                for cells in gate.cells
            )
        #: The same as the compiled twin has them, once it was asked.
        self.compiled_steps: Any = None
        #: By the mask of the rules that hold for the request: those by user do not when nobody is signed in.
        self.applicable: dict[int, Applicable] = {}
        #: Refusals that stand, by :meth:`whom`, or by client where nothing else counts.
        self.standing: dict[Hashable, Standing[Gate]] = {}
        self._for_one_tenant = any(gate.tenant is not None for gate in gates)
        self.by_client = not self._for_one_tenant and all(gate.by_ip for gate in gates)
        #: Whether refusals are: not where a callable of the host tells the cost or the subject.
        self.remembers = all(
            gate.cost_of is None and all(isinstance(one, Kind) for one in gate.rule.by) for gate in gates
        )

    def whom(self, call: Call, client: str) -> Hashable:
        """Name the subjects of a request under all rules."""
        if len(self.gates) == 1 and not self._for_one_tenant:
            return self.gates[0].key_of(call, client)
        keys = [gate.key_of(call, client) for gate in self.gates]
        return (call.tenant, *keys) if self._for_one_tenant else tuple(keys)

    def applicable_to(self, mask: int) -> Applicable:
        """Prepare what belongs to a mask."""
        made = self.applicable[mask] = Applicable([gate for gate in self.gates if gate.bit & mask])
        return made


class RuleBook:
    """All rules that are switched on, indexed by path and method; rebuilt when a rule changes."""

    def __init__(self, rules: Sequence[Rule], windows: States) -> None:
        self._at_once = windows.synchronous
        self.gates = [Gate(rule, windows) for rule in rules if rule.enabled]
        self._trie: PathTrie[Gate] = PathTrie()
        self._exempt: PathTrie[Gate] = PathTrie(exactly=True)
        for number, gate in enumerate(self.gates):
            gate.bit = 1 << number
            self._trie.add(gate.rule.route, gate)
            for template in gate.rule.exempt:
                self._exempt.add(template, gate)
        #: Plans of the paths that came lately, by method.
        self.by_method: dict[str, dict[str, Plan]] = {}
        self._remembered = 0
        self._plans: dict[tuple[Gate, ...], Plan] = {}
        self._standing = 0

    def remember(self, plan: Plan, subject: Hashable, refusal: Standing[Gate]) -> None:
        """Remember a refusal that stands; there is one bound for those of all plans."""
        if self._standing >= MAX_STANDING:
            for each in self._plans.values():
                each.standing.clear()
            self._standing = 0
        self._standing += subject not in plan.standing
        plan.standing[subject] = refusal

    def forget(self, plan: Plan, subject: Hashable) -> None:
        """Forget a refusal that stands no more."""
        if plan.standing.pop(subject, None) is not None:
            self._standing -= 1

    def look_up(self, method: str, path: str) -> Plan:
        """Find the rules that hold for a method and path, and remember them in :attr:`by_method`."""
        found = self._trie.find(path)
        # Servers hand "post" on as it came, and Django takes it for POST.
        meant = method.upper()
        gates = [gate for gate in found if not gate.rule.methods or meant in gate.rule.methods]
        if any(gate.rule.exempt for gate in gates):
            exempt = set(self._exempt.find(path))
            gates = [gate for gate in gates if gate not in exempt]
        gates.sort(key=lambda gate: gate.bit)
        plan = self._plan_of(gates)
        self._remember(method, path, plan)
        return plan

    def without_tenants(self, plan: Plan) -> Plan:
        """Find the plan of those of its rules that hold for all tenants."""
        return self._plan_of([gate for gate in plan.gates if gate.tenant is None])

    def _plan_of(self, gates: Sequence[Gate]) -> Plan:
        # Few combinations of rules stand behind many paths: they share a plan.
        found = self._plans.get(tuple(gates))
        if found is None:
            found = self._plans[tuple(gates)] = Plan(gates, at_once=self._at_once)
        return found

    def _remember(self, method: str, path: str, plan: Plan) -> None:
        if len(path) > _MAX_PATH:
            return
        if self._remembered >= MAX_REMEMBERED:
            self.by_method.clear()
            self._remembered = 0
        self._remembered += 1
        self.by_method.setdefault(method, {})[path] = plan


def gather(plan: Plan, call: Call, client: str) -> tuple[list[Ask], int]:
    """List what to ask for a request, and the mask of the rules that hold for it."""
    asks: list[Ask] = []
    mask = 0
    for gate in plan.gates:
        if gate.tenant is not None and gate.tenant != call.tenant:
            continue
        key = gate.key_of(call, client)
        if key is None:
            continue
        cost = gate.cost if gate.cost_of is None else gate.charge(call)
        for cells in gate.cells:
            asks.append((cells, key, cost))  # noqa: PERF401 - nearly always one: a generator would cost more
        mask |= gate.bit
    return asks, mask


def kind_of(subject: Subject) -> str:
    """Name what a subject is."""
    return str(subject) if isinstance(subject, Kind) else str(Kind.CUSTOM)


def _key_of(by: Sequence[Subject]) -> KeyOf:
    if len(by) == 1:
        single = _SINGLE.get(by[0]) if isinstance(by[0], Kind) else None
        if single is not None:
            return single
    parts = [_PARTS[one] if isinstance(one, Kind) else _guarded(one) for one in by]

    def combined(call: Call, client: str) -> Key | None:
        key = call.tenant
        for part in parts:
            text = part(call, client)
            if not text:
                return None
            key += _SEPARATOR + text.replace(_SEPARATOR, " ")
        return key

    return combined


def _guarded(name: Callable[[Call], str]) -> Callable[[Call, str], str]:
    def part(call: Call, _client: str) -> str:
        try:
            return str(name(call) or "")[:_MAX_SUBJECT]
        except Exception as error:  # noqa: BLE001 - the host's callable never harms the request
            _log.warning("subject_failed", error=type(error).__name__)
            return ""

    return part


#: A subject that is one kind. Addresses are the same client in every tenant; users and keys belong to theirs.
_SINGLE: dict[Kind, KeyOf] = {
    Kind.IP: lambda _call, client: client or None,
    Kind.USER: lambda call, _client: f"{call.tenant}\x1f{call.user}" if call.user else None,
    Kind.API_KEY: lambda call, _client: f"{call.tenant}\x1f{call.api_key}" if call.api_key else None,
    Kind.TENANT: lambda call, _client: f"{call.tenant}\x1f{call.tenant}",
}

#: The parts of a combination; empty text: the rule does not hold for the request.
_PARTS: dict[Kind, Callable[[Call, str], str]] = {
    Kind.IP: lambda _call, client: client,
    Kind.USER: lambda call, _client: call.user,
    Kind.API_KEY: lambda call, _client: call.api_key,
    Kind.TENANT: lambda call, _client: call.tenant,
}
