"""A score is the sum of its reasons, and each rule applies exactly where it says."""

from dataclasses import replace

import pytest

from custodes.planes.audit.activity import Observed
from custodes.planes.audit.catalogue import action_named
from custodes.planes.audit.model import Outcome, Reference
from custodes.planes.audit.risk import (
    MANY_FAILURES,
    MASS_ACTIONS,
    MASS_TARGETS,
    REPEATED_FAILURES,
    RULES,
    SPRAYED_ACCOUNTS,
    Facts,
    assess,
    flag_key,
)

USER = Reference("user", "42")
ADMIN = Reference("user", "1")

#: A routine event: no rule applies.
PLAIN = Facts(action_named("data.created"), Outcome.SUCCESS, USER, None, (), "203.0.113.9", Observed())
FAILED = replace(PLAIN, outcome=Outcome.FAILURE)

#: Rule → the least that makes it apply, and the nearest that does not.
CASES = {
    "privileged": (
        replace(PLAIN, action=action_named("role.granted")),
        replace(PLAIN, action=action_named("role.revoked")),
    ),
    "unsuccessful": (FAILED, PLAIN),
    "impersonation": (replace(PLAIN, impersonator=ADMIN), PLAIN),
    "self_granted": (
        replace(PLAIN, action=action_named("role.granted"), targets=(USER,)),
        replace(PLAIN, action=action_named("role.granted"), targets=(ADMIN,)),
    ),
    "actor_failures": (
        replace(FAILED, observed=Observed(actor_failures=REPEATED_FAILURES)),
        replace(FAILED, observed=Observed(actor_failures=REPEATED_FAILURES - 1)),
    ),
    "ip_failures": (
        replace(FAILED, observed=Observed(ip_failures=REPEATED_FAILURES)),
        replace(FAILED, observed=Observed(ip_failures=REPEATED_FAILURES - 1)),
    ),
    "many_failures": (
        replace(FAILED, observed=Observed(ip_failures=MANY_FAILURES)),
        replace(FAILED, observed=Observed(ip_failures=MANY_FAILURES - 1)),
    ),
    "spray": (
        replace(FAILED, observed=Observed(ip_accounts=SPRAYED_ACCOUNTS)),
        replace(FAILED, observed=Observed(ip_accounts=SPRAYED_ACCOUNTS - 1)),
    ),
    "success_after_failures": (
        replace(PLAIN, action=action_named("auth.login"), observed=Observed(failures_before=REPEATED_FAILURES)),
        replace(PLAIN, observed=Observed(failures_before=REPEATED_FAILURES)),
    ),
    "new_address": (replace(PLAIN, observed=Observed(new_address=True)), PLAIN),
    "new_device": (replace(PLAIN, observed=Observed(new_device=True)), PLAIN),
    "mass_action": (
        replace(PLAIN, observed=Observed(bulk_actions=MASS_ACTIONS)),
        replace(PLAIN, observed=Observed(bulk_actions=MASS_ACTIONS - 1)),
    ),
    "mass_targets": (
        replace(PLAIN, targets=(ADMIN,) * MASS_TARGETS),
        replace(PLAIN, targets=(ADMIN,) * (MASS_TARGETS - 1)),
    ),
}


def test_every_rule_has_a_case():
    assert set(CASES) == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_applies_from_its_threshold_on_and_not_before(name: str):
    applies, does_not = CASES[name]

    assert name in {reason.rule for reason in assess(applies)[1]}
    assert name not in {reason.rule for reason in assess(does_not)[1]}


@pytest.mark.parametrize("name", CASES)
def test_the_score_is_the_sum_of_its_reasons_at_most_100(name: str):
    score, reasons = assess(CASES[name][0])

    assert score == min(100, sum(reason.points for reason in reasons))
    assert all(reason.sentence for reason in reasons)


def test_a_routine_event_scores_nothing_and_has_no_reasons():
    assert assess(PLAIN) == (0, ())


def test_the_highest_score_is_100():
    worst = replace(
        FAILED,
        action=action_named("owner.transferred"),
        impersonator=ADMIN,
        targets=(USER,) * MASS_TARGETS,
        observed=Observed(actor_failures=50, ip_failures=50, ip_accounts=50, new_address=True, new_device=True),
    )

    assert assess(worst)[0] == 100


def test_the_heaviest_pattern_and_whose_it_is_name_what_repeats():
    """Given an attack; then its entries have one key, whatever the action; without a pattern there is none."""
    attack = replace(FAILED, observed=Observed(actor_failures=MANY_FAILURES, ip_failures=MANY_FAILURES))
    spray = replace(attack, observed=replace(attack.observed, ip_accounts=SPRAYED_ACCOUNTS))
    another = replace(attack, action=action_named("auth.login"))

    assert flag_key(attack, assess(attack)[1]) == "actor_failures user:42"
    assert flag_key(another, assess(another)[1]) == "actor_failures user:42"
    assert flag_key(spray, assess(spray)[1]) == "spray ip:203.0.113.9"
    granted = replace(PLAIN, action=action_named("role.granted"), targets=(USER,))
    assert flag_key(granted, assess(granted)[1]) == ""
