"""Risk: 0–100 points for an event, each with a reason.

The score is the sum of the rules that apply, at most 100. Thresholds of the pattern rules follow Elastic's published
detection rules (brute force, password spraying, success after an attack, first-seen address), with rounder numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from custodes.kernel.clock import HOUR, MINUTE
from custodes.planes.audit.activity import (
    ATTACK_WINDOW,
    BULK_WINDOW,
    FAILURE_WINDOW,
    SPRAY_WINDOW,
    Observed,
)
from custodes.planes.audit.catalogue import Action
from custodes.planes.audit.model import Outcome, Reference, RiskReason

#: Most a score can be.
MAX_RISK = 100

#: Score from which an entry is flagged for review when the setting says nothing.
DEFAULT_FLAG_THRESHOLD = 60

#: How long flagged entries with the same key belong to one review, from the first one on, microseconds: an attack that
#: goes on is one thing to look at, and after an hour worth a second look.
FLAG_WINDOW = HOUR

#: Failures of one actor, or from one address, within the window that are a pattern; and that are an attack.
REPEATED_FAILURES = 5
MANY_FAILURES = 15

#: Accounts failing from one address that are a spray.
SPRAYED_ACCOUNTS = 5

#: Bulk actions within the window that are a mass action.
MASS_ACTIONS = 20

#: Targets of one event that are a mass action by themselves.
MASS_TARGETS = 50


@dataclass(slots=True)  # not frozen: it is made for each event, and that would take three times as long
class Facts:
    """What the rules look at."""

    #: The kind of event.
    action: Action
    #: How it ended.
    outcome: Outcome
    #: Who.
    actor: Reference
    #: Who acted in the actor's name.
    impersonator: Reference | None
    #: To whom.
    targets: tuple[Reference, ...]
    #: Client address; empty when unknown.
    ip: str
    #: What the past says.
    observed: Observed


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to look at an event."""

    #: Stable name.
    name: str
    #: Points when it applies.
    points: int
    #: When it applies, in one sentence.
    description: str
    #: The case in a sentence for a person; empty when the rule does not apply.
    applies: Callable[[Facts], str]
    #: Whose pattern it is when it recognises something that repeats; None: each case is one of its own.
    pattern_of: Callable[[Facts], str] | None = None


def _privileged(facts: Facts) -> str:
    return f"{facts.action.name} changes who may do what, or a protection" if facts.action.privileged else ""


def _unsuccessful(facts: Facts) -> str:
    return (
        f"It was {'denied' if facts.outcome is Outcome.DENIED else 'tried without success'}" if _failed(facts) else ""
    )


def _impersonated(facts: Facts) -> str:
    return f"{facts.impersonator} acted as {facts.actor}" if facts.impersonator else ""


def _self_granted(facts: Facts) -> str:
    own = facts.action.privileged and any(str(target) == str(facts.actor) for target in facts.targets)
    return f"{facts.actor} did this to itself" if own else ""


def _actor_failures(facts: Facts) -> str:
    count = facts.observed.actor_failures
    if not _failed(facts) or count < REPEATED_FAILURES:
        return ""
    return f"{count} failures of {facts.actor} within {_minutes(FAILURE_WINDOW)}"


def _ip_failures(facts: Facts) -> str:
    count = facts.observed.ip_failures
    if not _failed(facts) or count < REPEATED_FAILURES:
        return ""
    return f"{count} failures from {facts.ip} within {_minutes(FAILURE_WINDOW)}"


def _many_failures(facts: Facts) -> str:
    count = max(facts.observed.ip_failures, facts.observed.actor_failures)
    return f"{count} failures within {_minutes(FAILURE_WINDOW)}" if _failed(facts) and count >= MANY_FAILURES else ""


def _spray(facts: Facts) -> str:
    count = facts.observed.ip_accounts
    if not _failed(facts) or count < SPRAYED_ACCOUNTS:
        return ""
    return f"{count} accounts failed from {facts.ip} within {_minutes(SPRAY_WINDOW)}"


def _success_after_failures(facts: Facts) -> str:
    count = facts.observed.failures_before
    signed_in = facts.action.sign_in and not _failed(facts)
    if not signed_in or count < REPEATED_FAILURES:
        return ""
    return f"{facts.actor} got in after {count} failures within {_minutes(ATTACK_WINDOW)}"


def _new_address(facts: Facts) -> str:
    return f"{facts.actor} was not seen from {facts.ip} before" if facts.observed.new_address else ""


def _new_device(facts: Facts) -> str:
    return f"{facts.actor} was not seen with this user agent before" if facts.observed.new_device else ""


def _mass_action(facts: Facts) -> str:
    count = facts.observed.bulk_actions
    return f"{count} such actions of {facts.actor} within {_minutes(BULK_WINDOW)}" if count >= MASS_ACTIONS else ""


def _mass_targets(facts: Facts) -> str:
    count = len(facts.targets)
    return f"{count} targets at once" if count >= MASS_TARGETS else ""


def _by_actor(facts: Facts) -> str:
    return str(facts.actor)


def _by_address(facts: Facts) -> str:
    return f"ip:{facts.ip}"


def _failed(facts: Facts) -> bool:
    return facts.outcome is not Outcome.SUCCESS


def _minutes(window: int) -> str:
    return f"{window // MINUTE} minutes"


#: Every rule beside the base risk of the action (rule ``action``), in the order in which reasons are listed.
RULES: tuple[Rule, ...] = (
    Rule("privileged", 15, "The action changes who may do what, or switches a protection off.", _privileged),
    Rule("unsuccessful", 10, "It failed or was denied.", _unsuccessful),
    Rule("impersonation", 25, "Somebody acted in the actor's name.", _impersonated),
    Rule("self_granted", 20, "A privileged action of an actor on itself.", _self_granted),
    Rule(
        "actor_failures",
        25,
        f"{REPEATED_FAILURES} failures of the actor in a row of minutes.",
        _actor_failures,
        _by_actor,
    ),
    Rule(
        "ip_failures",
        20,
        f"{REPEATED_FAILURES} failures from the address in a row of minutes.",
        _ip_failures,
        _by_address,
    ),
    Rule("many_failures", 20, f"{MANY_FAILURES} such failures.", _many_failures),
    Rule("spray", 35, f"{SPRAYED_ACCOUNTS} accounts fail from one address within the hour.", _spray, _by_address),
    Rule(
        "success_after_failures",
        60,
        "A sign-in that succeeds after repeated failures.",
        _success_after_failures,
        _by_actor,
    ),
    Rule("new_address", 15, "The address is new in the actor's past.", _new_address),
    Rule("new_device", 10, "The user agent is new in the actor's past.", _new_device),
    Rule("mass_action", 40, f"{MASS_ACTIONS} deletions, exports or downloads within minutes.", _mass_action, _by_actor),
    Rule("mass_targets", 20, f"One event with {MASS_TARGETS} targets or more.", _mass_targets),
)


_PATTERNS = {rule.name: rule.pattern_of for rule in RULES if rule.pattern_of}


def flag_key(facts: Facts, reasons: Sequence[RiskReason]) -> str:
    """Name what repeats: the heaviest pattern and whose it is; empty when no reason is a pattern.

    Entries of one key within :data:`FLAG_WINDOW` are one thing to review. A case without a pattern, such as a fraud
    warning or a granted role, is always looked at by itself.
    """
    patterns = [reason for reason in reasons if reason.rule in _PATTERNS]
    if not patterns:
        return ""
    heaviest = max(patterns, key=lambda reason: reason.points)
    return f"{heaviest.rule} {_PATTERNS[heaviest.rule](facts)}"


def assess(facts: Facts) -> tuple[int, tuple[RiskReason, ...]]:
    """Score an event: (points 0–100, the reasons that add up to them before the cap)."""
    reasons: list[RiskReason] = []
    if facts.action.risk:
        reasons.append(RiskReason("action", facts.action.risk, f"Base risk of {facts.action.name}"))
    for rule in RULES:
        sentence = rule.applies(facts)
        if sentence:
            reasons.append(RiskReason(rule.name, rule.points, sentence))
    return min(MAX_RISK, sum(reason.points for reason in reasons)), tuple(reasons)
