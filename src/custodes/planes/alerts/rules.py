"""Rules: those that come with Custodes, what a rule must be, and how one is written down."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, MINUTE, SECOND
from custodes.kernel.redact import storable
from custodes.kernel.tenant import valid_tenant
from custodes.planes.alerts.model import Comparator, Labels, Origin, Rule, Severity

#: Stored rules, at most: each costs a query every ten seconds.
MAX_RULES = 200

#: Incidents that one rule may have open at once, at most; more lines are left out and counted.
MAX_LINES_PER_RULE = 50

#: Shortest and longest time that a figure is taken over or must hold, microseconds.
SHORTEST = 10 * SECOND
LONGEST = 7 * DAY

#: Longest text of a rule, characters.
MAX_TEXT = 300

_METRIC = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,99}")

#: Rules that come with Custodes. Health covers every system with its own thresholds: dead letters, error rates, a slow
#: or full store, a sink that is off. Single failures (a webhook that became a dead letter) come as events beside these.
BUILT_IN = (
    Rule(
        id="health",
        name="A system is not healthy",
        metric="custodes.health",
        aggregation="max",
        by=("system",),
        comparator=Comparator.AT_LEAST,
        threshold=1,
        critical=2,
        window=30 * SECOND,
        hold=30 * SECOND,
        message="{meaning}",
        origin=Origin.BUILT_IN,
    ),
    Rule(
        id="api-error-rate",
        name="The API answers with server errors",
        metric="custodes.health.figure",
        labels={"system": "api", "figure": "error_rate"},
        aggregation="avg",
        comparator=Comparator.AT_LEAST,
        threshold=0.1,
        clear=0.05,
        critical=0.5,
        hold=2 * MINUTE,
        message="{percent} of the API calls end in a server error",
        origin=Origin.BUILT_IN,
    ),
    Rule(
        id="disk-full",
        name="The disk of the database is filling up",
        metric="system.disk.used_percent",
        aggregation="last",
        by=("host",),
        comparator=Comparator.AT_LEAST,
        threshold=90,
        clear=85,
        critical=97,
        message="The disk of {host} is {value} % full",
        origin=Origin.BUILT_IN,
    ),
)


def fingerprint(rule_id: str, tenant: str, labels: Labels) -> str:
    """Name the problem: the same for the same rule, tenant and labels, for ever."""
    text = "\x1f".join([rule_id, tenant, *(part for pair in labels for part in pair)])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def checked(rule: Rule) -> Rule:
    """Make sure that a rule can be evaluated.

    Raises:
        InvalidInput: it cannot; says which field and why.
    """
    for text in (rule.name, rule.message):
        if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
            raise _wrong("name or message", f"must have 1 to {MAX_TEXT} printable characters")
    if _METRIC.fullmatch(rule.metric) is None or not 1 <= len(rule.aggregation) <= 20:
        raise _wrong("metric", "must name a metric and an aggregation")
    if rule.tenant is not None and not valid_tenant(rule.tenant):
        raise _wrong("tenant", "is not a tenant id")
    if len(rule.by) > 5 or len(rule.labels) > 10:
        raise _wrong("by or labels", "may have 5 and 10 entries")
    names = (*rule.by, *(part for pair in dict(rule.labels).items() for part in pair))
    if any(storable(name) != name for name in names):
        raise _wrong("by or labels", "must be text without NUL and halves of surrogate pairs")
    numbers = (rule.threshold, rule.clear, rule.critical)
    if not all(math.isfinite(number) for number in numbers if number is not None):
        raise _wrong("threshold", "must be a finite number")
    _check_times(rule)
    _check_sides(rule)
    return rule


def _check_times(rule: Rule) -> None:
    if not SHORTEST <= rule.window <= LONGEST:
        raise _wrong("window", "must be 10 seconds to 7 days")
    if not (0 <= rule.hold <= LONGEST and 0 <= rule.clear_hold <= LONGEST and 0 <= rule.remind <= LONGEST):
        raise _wrong("hold, clear_hold or remind", "must be 0 to 7 days")


def _check_sides(rule: Rule) -> None:
    """``clear`` lies on the good side of the threshold, ``critical`` on the bad one."""
    sign = 1 if rule.comparator.upward else -1
    if rule.clear is not None and sign * (rule.clear - rule.threshold) > 0:
        raise _wrong("clear", "is on the wrong side of the threshold")
    if rule.critical is not None and sign * (rule.critical - rule.threshold) < 0:
        raise _wrong("critical", "is on the wrong side of the threshold")


def _wrong(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"The rule's {field} {what}", remedy="See docs/planes/alerts.md for what a rule is made of")


#: Fields of a rule that are written down; the others are columns of their own or follow from where it is kept.
_WRITTEN = tuple(one.name for one in fields(Rule) if one.name not in {"id", "tenant", "origin", "updated_at"})


def to_dict(rule: Rule) -> dict[str, Any]:
    """Write the definition of a rule as JSON-ready values."""
    found = {name: getattr(rule, name) for name in _WRITTEN}
    return {**found, "labels": dict(rule.labels), "by": list(rule.by)}


def from_dict(identifier: str, tenant: str | None, definition: Mapping[str, Any], updated_at: int) -> Rule:
    """Read back what :func:`to_dict` wrote."""
    known = {name: value for name, value in definition.items() if name in _WRITTEN}
    known["comparator"] = Comparator(known["comparator"])
    known["severity"] = Severity(known["severity"])
    known["by"] = tuple(known["by"])
    return Rule(id=identifier, tenant=tenant, origin=Origin.STORED, updated_at=updated_at, **known)
