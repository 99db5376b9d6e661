"""Mounted, a first start prints the owner's one-time login: to standard error, once, and never through logging."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from custodes.app import Custodes
from custodes.testing.asgi import converse

PASSWORD = re.compile(r"password  (\S+)")


@pytest.fixture
def custodes(custodes_of: Callable[..., Custodes], sqlite_url: str) -> Custodes:
    """An install that nobody has started before."""
    return custodes_of(database_url=sqlite_url)


async def host(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError  # knows no lifespan


async def live(custodes: Custodes) -> None:
    """Start and stop as a server would."""
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    await converse(custodes.wrap(host), {"type": "lifespan"}, messages)


async def test_it_is_printed_once_and_not_logged(
    custodes: Custodes, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(0)

    await live(custodes)
    first = capsys.readouterr()
    await live(custodes)
    second = capsys.readouterr()

    printed = PASSWORD.findall(first.err)
    assert len(printed) == 1
    assert PASSWORD.findall(first.out + second.out + second.err) == []
    assert printed[0] not in caplog.text


@pytest.mark.parametrize(
    "settings",
    [
        {"admin_auth": lambda _scope: None},
        {"clerk_issuer": "https://clerk.example.com", "public_url": "https://ops.example.com"},
        {"oidc_issuers": "https://issuer.example.com", "oidc_audience": "custodes"},
    ],
    ids=["host", "clerk", "oidc"],
)
async def test_where_people_sign_in_elsewhere_there_is_none(
    custodes_of: Callable[..., Custodes], sqlite_url: str, capsys: pytest.CaptureFixture[str], settings: dict[str, Any]
):
    custodes = custodes_of(database_url=sqlite_url, **settings)

    await live(custodes)

    assert PASSWORD.findall(capsys.readouterr().err) == []
    await custodes.open()
    assert not await custodes.identity.has_owner()
    await custodes.close()


async def test_an_owner_that_cannot_be_made_keeps_nobody_from_starting(
    custodes: Custodes, monkeypatch: pytest.MonkeyPatch
):
    async def fails() -> str:
        raise RuntimeError

    monkeypatch.setattr(custodes.identity, "ensure_owner", fails)

    await live(custodes)

    assert custodes.shield.failures["first-owner"] == 1
