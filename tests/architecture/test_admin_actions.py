"""Whatever an administrator can change goes through the audit trail."""

import inspect
from typing import get_args

import pytest
from fastapi.routing import APIRoute

from custodes.admin.app import PLANES
from custodes.admin.dependencies import AuditTrail

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
