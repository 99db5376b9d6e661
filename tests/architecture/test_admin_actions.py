"""Whatever an administrator can change goes through the audit trail."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from fastapi.routing import APIRoute

from custodes.admin.app import PLANES
from custodes.admin.dependencies import AuditTrail
from custodes.planes.audit.catalogue import ACTIONS as CATALOGUE

SOURCE = Path(__file__).parents[2] / "src/custodes"

#: Whoever is given the name of an action.
TELLERS = {"entry", "admin_entry", "log_admin_action", "log_audit_event", "log_security_event", "SecuritySignal"}

#: What is named like an action and is none: failures that become alerts, tasks, policies.
NO_ACTIONS = {
    "alert.sink_disabled", "audit.entries", "audit.fold", "audit.high_risk", "audit.write_failed", "retention.runs",
    "retention.sweep", "webhook.dead_lettered", "webhook.failing", "webhook.gap_healed", "webhook.lost",
    "webhook.silent",
}  # fmt: skip

#: Our code; the shop of the demo has actions of its own.
TREES = {
    file: ast.parse(file.read_text())
    for file in sorted(SOURCE.rglob("*.py"))
    if not {"demo", "migrations"} & set(file.parts)
}

NOUNS = {name.partition(".")[0] for name in CATALOGUE}

ACTIONS = [
    route
    for _, module in PLANES
    for route in module.router.routes
    if isinstance(route, APIRoute) and route.methods - {"GET", "HEAD", "OPTIONS"}
]


def test_there_are_actions_to_check():
    assert len(ACTIONS) > 20


@pytest.mark.parametrize("route", ACTIONS, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_action_asks_for_the_trail(route: APIRoute):
    parameters = inspect.signature(route.endpoint, eval_str=True).parameters.values()

    assert any(AuditTrail in get_args(parameter.annotation) for parameter in parameters)


def test_every_action_that_we_record_is_in_our_catalogue():
    """So that each has its category, its risk and its place in the compliance report."""
    composers = _composers()
    named = {(name, str(where)) for where, tree in TREES.items() for name in _named(where.stem, tree, composers)}
    assert len({name for name, _ in named}) > 70

    assert {one for one in named if one[0] not in CATALOGUE and one[0] not in NO_ACTIONS} == set()


def _named(module: str, tree: ast.Module, composers: dict[tuple[str, str], str]) -> Iterator[str]:
    """Actions that a module names: texts with a noun of the catalogue, whatever is told, and what is put together."""
    for call in _calls(tree):
        given = [each for each in call.args[:2] if not isinstance(each, ast.Dict)]
        given += [keyword.value for keyword in call.keywords if keyword.arg == "action"]
        words = [text for each in given for text in ast.walk(each) if isinstance(text, ast.Constant)]
        if _key(module, call)[1] in TELLERS:
            yield from (text.value for text in words if re.fullmatch(r"[a-z_]+\.[a-z_]+", str(text.value)))
        noun = composers.get(_key(module, call))
        if noun:
            yield from (noun + text.value for text in words if re.fullmatch("[a-z_]+", str(text.value)))
    for text in ast.walk(tree):
        found = re.fullmatch(r"([a-z_]+)\.[a-z_]+", str(text.value)) if isinstance(text, ast.Constant) else None
        if found and found[1] in NOUNS:
            yield found[0]


def _composers() -> dict[tuple[str, str], str]:
    """Functions that put an action together from a word, ``f"rate_limit.{what}"``, or hand it on to such a one."""
    found: dict[tuple[str, str], str] = {}
    for where, tree in [*TREES.items()] * 2:
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                match node:
                    case ast.JoinedStr(
                        values=[ast.Constant(value=noun), ast.FormattedValue(value=ast.Name(id="what"))]
                    ):
                        if noun.removesuffix(".") in NOUNS:
                            found[where.stem, function.name] = noun
                    case ast.Call(args=[_, ast.Name(id="what"), *_]) if _key(where.stem, node) in found:
                        found[where.stem, function.name] = found[_key(where.stem, node)]
                    case _:
                        pass
    assert len(found) >= 5
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _key(module: str, call: ast.Call) -> tuple[str, str]:
    """Module and name of what is called, as far as they can be read."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=base), attr=name):
            return base, name
        case ast.Attribute(attr=name):
            return "", name
        case ast.Name(id=name):
            return module, name
        case _:
            return "", ""
