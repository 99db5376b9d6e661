"""Several workers on one SQLite file are one install."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance import plain

from custodes import Custodes
from custodes.testing import signed_webhook
from custodes.testing.admin import key_for

pytestmark = pytest.mark.acceptance

#: Requests that ``/limited`` of ``apps/mounted_host.py`` admits in a minute, and the secret of its webhooks.
LIMIT = 25
SECRET = "whsec_of_these_tests"

#: Clients at the same time: enough that both workers get some.
CLIENTS = 8

#: Who asks.
CLIENT: httpx2.Client


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def server(servers_in: Callable[[Path], Any], folder: Path) -> Iterator[Any]:
    """Two workers, for all tests of this page: each has addresses and events of its own."""
    with servers_in(folder) as start:
        served = start(
            "--app",
            "mounted_host:app",
            "--workers",
            "2",
            HANDLED=str(folder / "handled.txt"),
            CUSTODES_TRUSTED_PROXIES="127.0.0.1/32",
            # On a machine under load a decision may take long; what is tested is that it is one for both workers.
            CUSTODES_RATE_LIMIT_DEADLINE_MS="10000",
            CUSTODES_HOOK_LIMIT_MS="10000",
        )
        served.client()
        both_answer(served.url)
        yield served
        assert served.stop() == 0, served.said
        assert "Traceback" not in served.said


@pytest.fixture(scope="module", autouse=True)
def client() -> Iterator[None]:
    """One client for all who ask: each that is made reads the certificates of the machine, and hundreds of times."""
    global CLIENT
    with plain.Client() as CLIENT:
        yield


def get(url: str, **headers: str) -> httpx2.Response:
    """Ask on a connection of its own, so that either worker may get it."""
    return CLIENT.get(url, headers={**headers, "connection": "close"})


def all_at_once(action: Callable[[int], Any], times: int) -> list[Any]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(action, range(times)))


def both_answer(url: str) -> set[int]:
    """Ask until both workers have answered; returns their process ids."""
    seen: set[int] = set()
    deadline = time.monotonic() + 90
    while len(seen) < 2:
        assert time.monotonic() < deadline, f"only {seen} answered"
        seen |= seen_by(url)
    return seen


def seen_by(url: str) -> set[int]:
    """Ask a few times at once; returns the process ids of those that answered."""

    def ask(_: int) -> int:
        try:
            return get(f"{url}/pid").json()
        except httpx2.TransportError:  # the connection was with the one that died
            return 0

    return set(all_at_once(ask, 16)) - {0}


def test_a_limit_holds_over_both(server: Any):
    # Given a minute's limit, when twice as many and more come to both workers at once; which of them the kernel gives a
    # connection is its affair, so that another address tries until both have admitted some
    admitted_by: set[int] = set()
    for address in range(5, 15):
        whose = {"x-forwarded-for": f"203.0.113.{address}"}
        answers = all_at_once(lambda _, whose=whose: get(f"{server.url}/limited", **whose), 3 * LIMIT)

        # Then as many as the limit says are admitted, and no more
        assert Counter(answer.status_code for answer in answers) == {200: LIMIT, 429: 2 * LIMIT}
        admitted_by = {answer.json() for answer in answers if answer.is_success}
        if len(admitted_by) == 2:
            return
    pytest.fail(f"one worker got everything: {admitted_by}")


def test_a_block_reaches_both(server: Any, folder: Path, until: Callable[..., Any]):
    key = asyncio.run(admin_key(folder / "custodes.db"))
    blocked = {"x-forwarded-for": "203.0.113.66"}
    assert get(f"{server.url}/pid", **blocked).status_code == 200

    # When it is blocked through whichever worker
    answer = CLIENT.post(
        f"{server.url}/api/admin/enterprise/rate-limits/blocks",
        json={"identifier": "203.0.113.66", "kind": "ip", "reason": "a test"},
        headers=key,
    )
    assert answer.status_code == 201, answer.text

    # Then both refuse it after they have looked, which each does once a second
    def refused_by_both() -> bool:
        answers = all_at_once(lambda _: get(f"{server.url}/pid", **blocked), 40)
        return {answer.status_code for answer in answers} == {403}

    until(refused_by_both, "both refuse it")
    assert get(f"{server.url}/pid", **{"x-forwarded-for": "203.0.113.67"}).status_code == 200


def test_webhooks_are_handled_once_whoever_takes_them_in(server: Any, folder: Path, until: Callable[..., Any]):
    # Given events that are delivered twice each, to either worker
    def deliver(number: int) -> int:
        body = {"id": f"evt_{number // 2}", "object": "event", "type": "invoice.paid"}
        webhook = signed_webhook("stripe", body, SECRET)
        answer = CLIENT.post(
            f"{server.url}/hooks/stripe",
            content=webhook.body,
            headers={**webhook.headers, "connection": "close"},
        )
        return answer.status_code

    assert set(all_at_once(deliver, 80)) == {200}

    # Then each is handled once
    handled = folder / "handled.txt"
    until(lambda: handled.exists() and len(handled.read_text().splitlines()) >= 40, "all are handled")
    time.sleep(0.5)  # a second handling would come now
    lines = handled.read_text().splitlines()
    assert Counter(line.split()[0] for line in lines) == {f"evt_{number}": 1 for number in range(40)}


def test_one_of_them_leads_and_goes_on_leading(server: Any, folder: Path, until: Callable[..., Any]):
    database = folder / "custodes.db"
    first = until(lambda: leases(database), "somebody leads")

    # The lease beats, and does not change hands
    until(lambda: leases(database)[0][2] > first[0][2] + 1, "the leader beats")

    later = leases(database)
    assert len(later) == 1
    assert later[0][:2] == first[0][:2]


def test_a_worker_that_dies_is_replaced(server: Any):
    """Given two workers, When one is killed, Then another takes its place, And it is said who died and of what."""
    before = both_answer(server.url)
    victim = min(before)

    os.kill(victim, signal.SIGKILL)

    deadline = time.monotonic() + 90
    while not (both := seen_by(server.url) - before):
        assert time.monotonic() < deadline, "nobody took its place"
        time.sleep(0.1)
    assert len(both) == 1
    [died] = re.findall(r"WARNING custodes\.workers (\{.*\"worker_died\".*\})$", server.said, re.MULTILINE)
    assert json.loads(died) == {"event": "worker_died", "pid": victim, "ended": "by SIGKILL", "workers": 2}


def leases(database: Path) -> list[tuple[str, int, int]]:
    connection = sqlite3.connect(database, timeout=10)
    rows = connection.execute("SELECT owner, token, beats FROM leader_leases WHERE owner <> ''").fetchall()
    connection.close()
    return rows


async def admin_key(database: Path) -> dict[str, str]:
    custodes = Custodes(f"sqlite:///{database}")
    await custodes.open()
    try:
        return await key_for(custodes)
    finally:
        await custodes.close()
