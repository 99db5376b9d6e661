"""The one-time login of a first start: printed once in the life of an install, by whatever starts it first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.acceptance import plain

pytestmark = pytest.mark.acceptance

#: The fixtures ``start`` and ``until``.
Start = Callable[..., Any]
Until = Callable[..., Any]


def test_a_first_start_prints_a_login_and_no_later_one_does(start: Start):
    first = start(cold=True)
    first.client()
    assert len(first.logins) == 1
    assert first.stop() == 0

    second = start()
    second.client()

    assert second.logins == []


def test_of_several_that_start_at_once_on_a_new_database_one_prints_it(start: Start):
    servers = [start() for _ in range(3)]

    for server in servers:
        server.client()

    assert sum(len(server.logins) for server in servers) == 1


def test_who_signs_in_elsewhere_gets_no_login_but_is_told_how_to_begin(start: Start):
    server = start(CUSTODES_OIDC_ISSUERS="https://issuer.example.com", CUSTODES_OIDC_AUDIENCE="custodes")

    server.client()

    assert server.logins == []
    assert "custodes user add" in server.said


def test_an_app_that_mounts_it_prints_the_login_too_once(start: Start, until: Until, free_port: int):
    # Given an app with Custodes in it, served by a plain server
    words = ("mounted_host:app", "--no-proxy-headers", "--port", str(free_port))
    first = start(*words, command="uvicorn", cold=True)
    until(lambda: len(first.logins) == 1, "the login is printed")
    first.stop()

    # When it starts again
    second = start(*words, command="uvicorn")

    # Then it serves, and prints none
    assert plain.get(f"{second.url}/pid").status_code == 200
    second.stop()
    assert second.logins == []
