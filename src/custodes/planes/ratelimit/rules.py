"""Making rules: from the words of a person to a checked rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, cast

from custodes.errors import InvalidInput
from custodes.kernel.several import several
from custodes.kernel.tenant import EVERY_TENANT, valid_tenant
from custodes.planes.ratelimit.language import MAX_AMOUNT, parse_limits
from custodes.planes.ratelimit.model import (
    EVERY_ENDPOINT,
    Algorithm,
    Call,
    Cost,
    FailureMode,
    Kind,
    Limit,
    Rule,
    Source,
    Subject,
)
from custodes.planes.ratelimit.paths import template_parts

#: Whom to count, as written: ``"ip"``, ``"ip+user"``, a callable, or several of these.
By: TypeAlias = "str | Callable[[Call], str] | Sequence[str | Callable[[Call], str]]"

#: Longest name of a rule, characters.
MAX_NAME = 100

#: Most methods and exempt paths of a rule.
MAX_LIST = 32

#: Largest lease, as a part of the limit: with ten instances or fewer, at most twice the limit can pass.
LEASED_PART = 10

# Printable ASCII without quote and backslash: a structured-field string that needs no escapes.
_NAME = re.compile(r"[\x21\x23-\x5b\x5d-\x7e][\x20\x21\x23-\x5b\x5d-\x7e]*")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,15}")

NAMED_KINDS = {str(kind): kind for kind in Kind if kind is not Kind.CUSTOM}


def make_rule(
    limits: str,
    *,
    name: str = "",
    by: By = "ip",
    route: str = EVERY_ENDPOINT,
    methods: Iterable[str] | str = (),
    exempt: Iterable[str] = (),
    cost: Cost = 1,
    shadow: bool = False,
    enabled: bool = True,
    on_failure: FailureMode | str | None = None,
    lease: int = 1,
    tenant: str = EVERY_TENANT,
    source: Source = Source.CODE,
    **stored: Any,
) -> Rule:
    """Check everything and make a rule.

    Args:
        limits: in the rule language: ``"100/minute; 2000/day"``.
        name: unique name; made from ``by``, ``methods`` and ``route`` when empty: ``ip:/login``, ``ip:POST:/login``.
        by: whom to count.
        route: path template: ``/items/{id}``, ``/api/*``, ``*``.
        methods: ``"POST"``, ``"GET, HEAD"`` or a list; all when empty. ``GET`` includes ``HEAD``.
        exempt: path templates that it does not hold for.
        cost: units of a request, or a callable that tells them.
        shadow: refuse nobody, only tell whom it would.
        enabled: False to switch it off.
        on_failure: what becomes of its requests when the engine cannot decide: ``"open"``, ``"closed"`` or
            ``"degraded"``; what the install has chosen when None.
        lease: units of each limit that an instance may take from Redis at once and hand out itself; up to one less for
            each instance may pass beyond a limit. 1 for none.
        tenant: whose requests; all when ``*``.
        source: where the rule comes from.
        stored: ``id``, ``version``, ``updated_at`` and ``actor`` of a rule made at run time.

    Raises:
        InvalidInput: a value is not acceptable; tells how to write it.
    """
    for what, given in (("limits", limits), ("route", route)):
        if not isinstance(cast("object", given), str):
            msg = f"The {what} of a rule are given as a {type(given).__name__}"
            raise InvalidInput(msg, remedy='Write limits as "100/minute; 2000/day", and a rule for each route')
    template_parts(route)
    subjects = _subjects(by)
    parsed = parse_limits(limits)
    held = _methods(methods)
    return Rule(
        name=_name(name or _made_name(subjects, held, route)),
        limits=parsed,
        by=subjects,
        route=route,
        methods=held,
        exempt=_exempt(exempt),
        cost=_cost(cost),
        shadow=shadow,
        enabled=enabled,
        on_failure=_failure_mode(on_failure),
        lease=_lease(lease, parsed),
        tenant=_tenant(tenant),
        source=source,
        **stored,
    )


def given_of(rule: Rule) -> dict[str, Any]:
    """Tell what :func:`make_rule` takes to make this rule again, but for its tenant and where it comes from."""
    return {
        "limits": "; ".join(limit.text for limit in rule.limits),
        "name": rule.name,
        "by": spell_subjects(rule),
        "route": rule.route,
        "methods": sorted(rule.methods),
        "exempt": rule.exempt,
        "cost": rule.cost,
        "shadow": rule.shadow,
        "enabled": rule.enabled,
        "on_failure": rule.on_failure,
        "lease": rule.lease,
    }


def spell_subjects(rule: Rule) -> str:
    """Write whom a rule counts: ``"ip+user"``."""
    return _spell(rule.by)


def _spell(subjects: Sequence[Subject]) -> str:
    return "+".join(str(one) if isinstance(one, Kind) else getattr(one, "__name__", "custom") for one in subjects)


def _made_name(subjects: Sequence[Subject], methods: frozenset[str], route: str) -> str:
    # HEAD comes with GET (see _methods) and is not what anybody wrote.
    written = ",".join(sorted(methods - {"HEAD"} if "GET" in methods else methods))
    return ":".join(part for part in (_spell(subjects), written, route) if part)


def _name(name: str) -> str:
    if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        msg = f"{name[:MAX_NAME]!r} cannot be the name of a rule"
        raise InvalidInput(msg, remedy=f"Use 1 to {MAX_NAME} printable ASCII characters without quotes or backslashes")
    return name


def _subjects(by: By) -> tuple[Subject, ...]:
    parts: list[str | Callable[[Call], str]] = [by] if isinstance(by, str) or callable(by) else list(by)
    found: list[Subject] = []
    for part in parts:
        if isinstance(part, str):
            found += [_kind(word.strip()) for word in part.split("+")]
        else:
            _refuse_async("by", part)
            found.append(part)
    if not 1 <= len(found) <= 4:
        msg = "A rule counts by 1 to 4 things"
        raise InvalidInput(msg, remedy='Write by="ip", by="ip+user" or by=a_callable')
    return tuple(found)


def _kind(word: str) -> Kind:
    kind = NAMED_KINDS.get(word)
    if kind is None:
        msg = f"{word[:40]!r} is nothing to count by"
        raise InvalidInput(msg, remedy=f"Use {', '.join(NAMED_KINDS)}, several joined by +, or a callable")
    return kind


def _methods(methods: Iterable[str] | str) -> frozenset[str]:
    words = methods.split(",") if isinstance(methods, str) else list(methods)
    found = {word.strip().upper() for word in words if word.strip()}
    if len(found) > MAX_LIST or not all(_METHOD.fullmatch(word) for word in found):
        msg = f"{sorted(found)[:3]} are not methods"
        raise InvalidInput(msg, remedy='Write methods="POST" or methods=["PUT", "PATCH"]')
    # HEAD runs the handler of GET: without this it would be a way around the limit.
    return frozenset(found | {"HEAD"} if "GET" in found else found)


def _exempt(templates: Iterable[str]) -> tuple[str, ...]:
    found = several("exempt paths", templates)
    if len(found) > MAX_LIST:
        msg = f"More than {MAX_LIST} exempt paths"
        raise InvalidInput(msg, remedy="Use a template such as /static/*")
    for template in found:
        template_parts(template)
    return found


def _refuse_async(what: str, given: object) -> None:
    """What a coroutine function returns is another coroutine each time: nobody would ever be counted twice."""
    if iscoroutinefunction(given) or iscoroutinefunction(getattr(given, "__call__", None)):  # noqa: B004
        msg = f"The callable of {what} is asynchronous"
        raise InvalidInput(msg, remedy="Use a plain function; identify may be asynchronous, and tells user and tenant")


def _cost(cost: Cost) -> Cost:
    _refuse_async("cost", cost)
    if not callable(cost) and not (type(cost) is int and 1 <= cost <= MAX_AMOUNT):
        msg = f"A request cannot cost {cost!r}"
        raise InvalidInput(
            msg,
            remedy=f"Use a whole number from 1 to {MAX_AMOUNT}, or a callable; switch the rule off to charge nothing",
        )
    return cost


def _failure_mode(mode: FailureMode | str | None) -> FailureMode | None:
    if mode is None:
        return None
    try:
        return FailureMode(mode)
    except ValueError:
        msg = f"{str(mode)[:40]!r} is no failure mode"
        raise InvalidInput(
            msg, remedy="Use open, closed or degraded; leave it out for what the install has chosen"
        ) from None


def _lease(lease: int, limits: Sequence[Limit]) -> int:
    if lease == 1 and type(lease) is int:
        return lease
    if any(limit.algorithm is Algorithm.CONCURRENCY for limit in limits):
        msg = "Slots cannot be leased"
        raise InvalidInput(msg, remedy="Leave the lease out, or give the concurrency limit a rule of its own")
    largest = min(limit.burst or limit.amount for limit in limits) // LEASED_PART
    if type(lease) is not int or not 1 <= lease <= max(1, largest):
        msg = f"An instance cannot take {lease} units at once"
        raise InvalidInput(msg, remedy=f"Use 1 to {max(1, largest)}: at most a tenth of the smallest limit or burst")
    return lease


def _tenant(tenant: str) -> str:
    if tenant != EVERY_TENANT and not valid_tenant(tenant):
        msg = "The tenant of the rule is not a tenant id"
        raise InvalidInput(msg, remedy="Leave it out for all tenants")
    return tenant
