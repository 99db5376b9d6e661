"""The hot path: one request, one decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import DAY, MINUTE, Clock, ticks_of
from custodes.kernel.compiled import twin
from custodes.kernel.signals import SecuritySignal
from custodes.kernel.tenant import EVERY_TENANT
from custodes.kernel.window import NEVER, Ask, Outcome, decide_contested, held
from custodes.kernel.window.cells import COUNT_EVERY
from custodes.planes.ratelimit.alarm import Alarm
from custodes.planes.ratelimit.answers import (
    FREE,
    Admitted,
    Decision,
    Noted,
    Refused,
    blocked_decision,
    unavailable_decision,
)
from custodes.planes.ratelimit.bans import Escalation, Sentence
from custodes.planes.ratelimit.counts import Counts
from custodes.planes.ratelimit.endpoints import MAX_LENGTH, endpoint_of
from custodes.planes.ratelimit.fallback import Fallback
from custodes.planes.ratelimit.in_force import InForce
from custodes.planes.ratelimit.model import (
    EVERY_ENDPOINT,
    FOREVER,
    Access,
    Call,
    Effect,
    FailureMode,
    Kind,
    Options,
)
from custodes.planes.ratelimit.pending import Pending
from custodes.planes.ratelimit.plans import UNKNOWN, Applicable, Gate, Plan, gather
from custodes.planes.ratelimit.ports import Windows
from custodes.planes.ratelimit.standing import Standing, standing
from custodes.planes.ratelimit.tracking import Tracker
from custodes.runtime.log import get_logger

_log = get_logger("custodes.ratelimit")

_twin = twin("custodes.planes.ratelimit._fast_path")

#: Called with (tenant, kind, identifier, level, duration) to shut somebody out.
Ban = Callable[[str, Kind, str, int, int], None]


#: Gives back slots: states, subject, moment at which they were taken, units.
Release = Callable[[Any, Any, int, int], None]


class Judge:
    """Decides on requests.

    Args:
        in_force: rules and access entries.
        windows: the engine that keeps the states.
        clock: source of time. Limits count on its monotonic hand, set once by the wall clock: when the wall clock
            jumps, no window is emptied and none is frozen.
        client_of: names the client behind an address (IPv6 by its prefix).
        tracker: told of what was refused.
        alarm: told of what security people want to see.
        escalation: counts offenders; None for none.
        ban: shuts somebody out.
        options: how the limiter behaves.
    """

    def __init__(
        self,
        in_force: InForce,
        windows: Windows,
        clock: Clock,
        client_of: Callable[[str], str],
        *,
        tracker: Tracker,
        alarm: Alarm,
        escalation: Escalation | None,
        ban: Ban,
        options: Options,
    ) -> None:
        self._in_force = in_force
        self._windows = windows
        self._clock = clock
        self._ticks = ticks_of(clock)
        self._offset = clock.now() - clock.monotonic()
        self._client_of = client_of
        self._tracker = tracker
        self._alarm = alarm
        self._escalation = escalation
        self._ban = ban
        self._options = options
        #: Decides on a request, as :meth:`check` does: that itself, or its twin.
        self.decide: Callable[[Call], Decision | Pending] = (
            self.check if _twin is None else _twin.FastPath(self, in_force, self._ticks, self._offset).check
        )
        #: Decides when the engine cannot.
        self.fallback = Fallback(windows, options)
        #: Requests refused by a limit, by an access entry, and not decided by the engine, since the start.
        self.limited = 0
        self.blocked = 0
        self.undecided = 0

    def check(  # noqa: C901 - one loop for what nearly every request takes, see below
        self, call: Call, unknown: str = UNKNOWN
    ) -> Decision | Pending:
        """Decide on a request: at once when the engine can, else to be awaited.

        Args:
            call: the request; ``limited_by`` is set when it is refused.
            unknown: who a client without an address is; empty: rules by address do not hold.
        """
        in_force = self._in_force
        client = call.client_ip or unknown
        if ":" in client:  # IPv6; IPv4 is its own name
            client = self._client_of(client)
        access = in_force.access
        allowed = False
        if access.entries:
            entry = access.find(call, client, self._clock.now())
            if entry is not None:
                if entry.effect is not Effect.ALLOW:
                    return self._shut_out(call, entry)
                if entry.tenant == EVERY_TENANT:
                    return FREE
                allowed = True
        book = in_force.book
        remembered = book.by_method.get(call.method)
        plan = None if remembered is None else remembered.get(call.path)
        if plan is None:
            plan = book.look_up(call.method, call.path)
        if allowed:
            plan = book.without_tenants(plan)
        steps = plan.steps
        if not steps:
            if plan.standing:
                subject = client if plan.by_client else plan.whom(call, client)
                known = plan.standing.get(subject)
                if known is not None:
                    now = self._ticks() // 1_000 + self._offset
                    if now < known.worded_until or self._word(known, call, now):
                        return self._refuse_again(call, known, now)
                    book.forget(plan, subject)
            return self._decide_generally(call, plan, client) if plan.gates else FREE
        now = self._ticks() // 1_000 + self._offset
        # Nearly every request: what gather, decide and admitted do together, in one loop.
        figures: list[int] = []
        mask = 0
        for key_of, bit, cost, cells, attempt, _ in steps:
            key = client if key_of is None else key_of(call, client)
            if not key:
                continue
            try:
                state = cells.at_hand[key]
            except KeyError:
                return self.contest(call, plan, client, now, len(figures) // 2)
            charged = attempt(state, now, cost)
            if charged is None:
                return self.contest(call, plan, client, now, len(figures) // 2)
            after, left, more_in = charged
            if after is not state:
                cells.at_hand[key] = after
            if cost == 1:
                charges = cells.fresh_charges
                charges.append(key)
                if len(charges) >= COUNT_EVERY:
                    cells.count()
            else:
                cells.tally[key] += cost
            figures += left, (more_in + 999_999) // 1_000_000
            mask |= bit
        if not mask:
            return FREE
        answers = (plan.applicable.get(mask) or plan.applicable_to(mask)).answers
        return Admitted((answers.policy_header, (b"ratelimit", answers.template % (*figures,))), figures)

    def _decide_generally(self, call: Call, plan: Plan, client: str) -> Decision | Pending:
        asks, mask = gather(plan, call, client)
        if not asks:
            return FREE
        now = self.steady_now()
        applicable = plan.applicable.get(mask) or plan.applicable_to(mask)
        try:
            answer = self._windows.decide(asks, now)
        except StorageUnavailable:
            return self._fall_back(call, plan, applicable, asks, now)
        if isinstance(answer, Outcome):
            return self._hear(call, plan, client, applicable, asks, answer, now)
        return Pending(
            answer,
            partial(self._hear, call, plan, client, applicable, asks, now=now),
            partial(self._fall_back, call, plan, applicable, asks, now),
        )

    def _hear(
        self,
        call: Call,
        plan: Plan,
        client: str,
        applicable: Applicable,
        asks: list[Ask],
        outcome: Outcome,
        now: int,
    ) -> Decision:
        """Answer with what the engine said, and remember a refusal that stands."""
        if outcome.refused and plan.remembers:
            found = standing(applicable.answers, applicable.owners, asks, outcome, now)
            if found is not None:
                self._in_force.book.remember(plan, client if plan.by_client else plan.whom(call, client), found)
        return self._answer(call, applicable, asks, outcome, now)

    def _word(self, known: Standing[Gate], call: Call, now: int) -> bool:
        gate, key = known.whom[0]
        _, kind, identifier = gate.whom(key, call.tenant)
        return known.word(now, self._options.jitter, f"{kind}:{identifier}")

    def _refuse_again(self, call: Call, known: Standing[Gate], now: int) -> Decision:
        """Refuse as before; a flood of refused requests costs this and no more."""
        self.limited += 1
        said = known.decision
        wait = said.retry_after if known.ends is None else known.ends - now
        decision = Refused(said.headers, said.problem, said.rule, wait, said.figures)  # the one before is another's
        call.limited_by = said.rule
        path = call.path[:MAX_LENGTH]  # what it is counted by, and all that is kept of it
        if path == known.path and known.epoch == self._tracker.epoch and call.tenant == known.tenant:
            for counts in known.counts:
                counts.refused += 1
                counts.trace_id = call.trace_id
        else:
            known.path, known.tenant, known.epoch = path, call.tenant, self._tracker.epoch
            known.counts = [
                self._track(call, gate, gate.whom(key, call.tenant), shadow=False) for gate, key in known.whom
            ]
        if self._escalation is not None:
            gate, key = known.whom[0]
            self._escalate(self._escalation, call, gate, gate.whom(key, call.tenant), now)
        return decision

    def contest(self, call: Call, plan: Plan, client: str, now: int, charged: int) -> Decision:
        """Decide where somebody is new or something refuses.

        Args:
            call: the request.
            plan: the rules that hold for its path.
            client: who asks.
            now: time that limits count on, microseconds.
            charged: limits that have been charged already, and are to be undone.
        """
        asks, mask = gather(plan, call, client)
        applicable = plan.applicable.get(mask) or plan.applicable_to(mask)
        return self._answer(call, applicable, asks, decide_contested(asks, now, charged), now)

    def steady_now(self) -> int:
        """Tell the time that limits count on, microseconds."""
        return self._ticks() // 1_000 + self._offset

    def _fall_back(self, call: Call, plan: Plan, applicable: Applicable, asks: list[Ask], now: int) -> Decision:
        self.undecided += 1
        owners = applicable.owners
        mode, held, own, outcome = self.fallback.decide(owners, asks, now)
        if mode is not FailureMode.DEGRADED:
            return unavailable_decision() if mode is FailureMode.CLOSED else FREE
        mask = 0
        for number in held:
            mask |= owners[number].bit
        still_applicable = plan.applicable.get(mask) or plan.applicable_to(mask)
        return self._answer(call, still_applicable, own, outcome, now, self.fallback.release)

    def _answer(
        self,
        call: Call,
        applicable: Applicable,
        asks: list[Ask],
        outcome: Outcome,
        now: int,
        release: Release | None = None,
    ) -> Decision:
        if outcome.refused:
            return self._refuse(call, applicable, asks, outcome, now)
        decision = applicable.answers.admitted(outcome.views)
        if not (outcome.would_refuse or applicable.holds):
            return decision
        would_refuse = self._note_shadow(call, applicable, asks, outcome)
        if not applicable.holds:
            return Noted(decision, would_refuse, None)
        return Noted(decision, would_refuse, _release_of(asks, outcome, now, release or self._windows.release))

    def _refuse(self, call: Call, applicable: Applicable, asks: list[Ask], outcome: Outcome, now: int) -> Decision:
        self.limited += 1
        number = outcome.refused[0][0]
        gate = applicable.owners[number]
        whom = gate.whom(asks[number][1], call.tenant)
        decision = applicable.answers.refused(
            outcome.views, outcome.refused, jitter=self._options.jitter, salt=f"{whom[1]}:{whom[2]}"
        )
        call.limited_by = decision.rule
        self._track(call, gate, whom, shadow=False)
        if len(outcome.refused) > 1:
            for owner, key in _refusers(applicable, asks, outcome.refused):
                if owner is not gate:
                    self._track(call, owner, owner.whom(key, call.tenant), shadow=False)
        if self._escalation is not None:
            self._escalate(self._escalation, call, gate, whom, now)
        return decision

    def _note_shadow(self, call: Call, applicable: Applicable, asks: list[Ask], outcome: Outcome) -> tuple[str, ...]:
        refusers = _refusers(applicable, asks, outcome.would_refuse)
        for owner, key in refusers:
            self._track(call, owner, owner.whom(key, call.tenant), shadow=True)
        return tuple(owner.rule.name for owner, _ in refusers)

    def _track(self, call: Call, gate: Gate, whom: tuple[str, str, str], *, shadow: bool) -> Counts:
        tenant, kind, identifier = whom
        route = gate.rule.route
        endpoint = endpoint_of(call.path) if route == EVERY_ENDPOINT else route
        return self._tracker.refuse((tenant, gate.rule.name, kind, identifier, endpoint), call.trace_id, shadow=shadow)

    def _escalate(self, escalation: Escalation, call: Call, gate: Gate, whom: tuple[str, str, str], now: int) -> None:
        if whom[1] not in _BANNABLE:
            return
        sentence = escalation.refused(whom, now)
        if sentence is None:
            return
        try:
            self._sentence(call, gate, whom, sentence)
        except Exception as error:  # noqa: BLE001 - the request is refused, whatever becomes of the ban
            _log.warning("rate_limit_sentence_failed", kind=whom[1], error=repr(error))

    def _sentence(self, call: Call, gate: Gate, whom: tuple[str, str, str], sentence: Sentence) -> None:
        tenant, kind, identifier = whom
        if sentence.duration:
            # An address is the same client everywhere, unless the rule speaks for one tenant only.
            everywhere = kind == Kind.IP and gate.tenant is None
            where = EVERY_TENANT if everywhere else tenant
            self._ban(where, Kind(kind), identifier, sentence.level, sentence.duration)
        action = "rate_limit.banned" if sentence.duration else "rate_limit.warned"
        context: dict[str, object] = {
            "rule": gate.rule.name,
            "level": sentence.level,
            "seconds": sentence.duration // 1_000_000,
        }
        self._signal(call, action, f"{kind}:{identifier}", "Ran into limits again and again", context)

    def _shut_out(self, call: Call, entry: Access) -> Decision:
        self.blocked += 1
        rule = entry.refuses_as
        call.limited_by = rule
        name = (call.tenant, f"({rule})", entry.kind.value, entry.identifier, endpoint_of(call.path))
        self._tracker.refuse(name, call.trace_id, shadow=False)
        self._signal(call, _HITS[rule], f"access:{entry.id}", entry.reason, {}, again=HITS_APART)
        remaining = NEVER if entry.ends_at >= FOREVER else entry.ends_at - self._clock.now()
        return blocked_decision(self._options.block_status, remaining, rule)

    def _signal(
        self, call: Call, action: str, target: str, reason: str, context: dict[str, object], again: int = MINUTE
    ) -> None:
        self._alarm.raise_(
            SecuritySignal(
                at=self._clock.now(),
                tenant=call.tenant,
                trace_id=call.trace_id,
                action=action,
                actor=f"ip:{call.client_ip}",
                target=target,
                reason=reason,
                ip=call.client_ip,
                context={"method": call.method, "endpoint": endpoint_of(call.path), **context},
            ),
            again,
        )


#: After this long it is told again that somebody who is shut out tries, microseconds: that a block does its work is no
#: news, and would add up to a suspicion in the audit trail.
HITS_APART = DAY

#: What is told when somebody who is shut out tries, by what shuts it out.
_HITS = {"block": "rate_limit.block_hit", "ban": "rate_limit.ban_hit", "deny-list": "rate_limit.deny_list_hit"}

#: What can be shut out by itself; what a callable named cannot be recognised without the callable.
_BANNABLE = frozenset({str(Kind.IP), str(Kind.USER), str(Kind.API_KEY)})


def _release_of(asks: list[Ask], outcome: Outcome, now: int, release: Release) -> Callable[[], None]:
    return partial(_release, held(asks, outcome, now), release)


def _release(slots: list[tuple[Ask, int]], release: Release) -> None:
    while slots:  # emptied, so that a second call gives nothing back twice
        (cells, key, cost), taken_at = slots.pop()
        release(cells, key, taken_at, cost)


def _refusers(applicable: Applicable, asks: list[Ask], refusals: Sequence[tuple[int, int]]) -> list[tuple[Gate, Any]]:
    """List the rules that refused, each once, with whom."""
    found: dict[int, tuple[Gate, Any]] = {}
    for number, _ in refusals:
        gate = applicable.owners[number]
        found.setdefault(gate.bit, (gate, asks[number][1]))
    return list(found.values())
