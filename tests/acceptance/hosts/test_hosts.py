"""The same promises in every kind of host: each example runs under a real server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance import plain

from custodes import Custodes
from custodes.testing import signed_webhook
from custodes.testing.admin import key_for

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[3]
SECRET = "whsec_only_for_this_example"

#: Example and how the server treats lifespan: Django does not know it, and some servers do not speak it.
HOSTS = [
    ("fastapi_mount", "auto"),
    ("starlette_mount", "auto"),
    ("litestar_mount", "auto"),
    ("any_asgi_app", "auto"),
    ("django_asgi", "on"),
    ("django_asgi", "off"),
]


@dataclass
class Host:
    """A running example."""

    client: httpx2.Client
    database: Path
    server: Any
    lifespan: str


@pytest.fixture(scope="module", params=HOSTS, ids="-lifespan-".join)
def host(
    request: pytest.FixtureRequest,
    servers_in: Callable[[Path], Any],
    tmp_path_factory: pytest.TempPathFactory,
    find_free_port: Callable[[], int],
) -> Iterator[Host]:
    example, lifespan = request.param
    folder = tmp_path_factory.mktemp(example)
    port = find_free_port()
    words = (f"examples.{example}:app", "--no-proxy-headers", "--lifespan", lifespan, "--port", str(port))
    with servers_in(folder) as start:
        server = start(*words, command="uvicorn", cwd=ROOT)
        with plain.Client(base_url=server.url) as client:
            yield Host(client, folder / "custodes.db", server, lifespan)


def calls(database: Path) -> set[tuple[str, str, int]]:
    connection = sqlite3.connect(database, timeout=10)
    rows = connection.execute("SELECT method, coalesce(route, ''), status FROM api_monitoring").fetchall()
    connection.close()
    return set(rows)


def test_the_app_answers_as_ever(host: Host):
    answer = host.client.get("/hello/world")

    assert (answer.status_code, answer.json()) == (200, {"hello": "world"})


def test_the_admin_api_answers_who_may(host: Host, until: Callable[..., Any]):
    until(lambda: started(host), "it has started")
    key = asyncio.run(admin_key(host.database))

    answer = host.client.get("/api/admin/enterprise/api-health", headers=key)

    assert answer.status_code == 200, answer.text


def test_a_stranger_is_not_let_in(host: Host):
    assert host.client.get("/api/admin/enterprise/api-health").status_code in {401, 503}


def test_the_limit_holds(host: Host):
    codes = [host.client.post("/login").status_code for _ in range(7)]

    assert codes == [200] * 5 + [429] * 2


def test_a_webhook_is_taken_in_once_and_handled(host: Host, until: Callable[..., Any]):
    until(lambda: started(host), "it has started")
    webhook = signed_webhook("stripe", {"id": "evt_1", "object": "event", "type": "invoice.paid"}, SECRET)

    answers = [host.client.post("/hooks/stripe", content=webhook.body, headers=webhook.headers) for _ in range(2)]
    forged = host.client.post("/hooks/stripe", content=webhook.body + b" ", headers=webhook.headers)

    assert [answer.json()["status"] for answer in answers] == ["accepted", "duplicate"]
    assert forged.status_code == 401
    until(lambda: status_of_event(host.database) == "succeeded", "it is handled")


def test_a_path_that_nobody_serves_is_left_to_the_host(host: Host):
    answer = host.client.get("/hooks/nobody")

    # The raw app answers everything; the others say in their own words that there is no such page.
    assert answer.status_code in {200, 404}
    assert not answer.headers["content-type"].startswith("application/problem+json")


def test_what_passed_is_kept_by_route(host: Host, until: Callable[..., Any]):
    """The last of the page: where the server speaks lifespan, what is buffered is written when it stops."""
    until(lambda: started(host), "it has started")
    assert host.client.get("/hello/world").status_code == 200
    assert [host.client.post("/login").status_code for _ in range(6)][-1] == 429
    if host.lifespan != "off":
        host.server.stop()

    def kept() -> bool:
        written = {(method, route.replace(":str", ""), status) for method, route, status in calls(host.database)}
        refused = any(method == "POST" and status == 429 for method, _, status in written)
        return refused and ("GET", "/hello/{name}", 200) in written

    until(kept, "calls are written")
    assert "Traceback" not in host.server.said


def started(host: Host) -> bool:
    """Ask, so that a host without lifespan starts, and look whether the tables are there."""
    host.client.get("/hello/wake")
    if not host.database.exists():
        return False
    connection = sqlite3.connect(host.database, timeout=10)
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'api_monitoring'").fetchone()
    connection.close()
    return found is not None


def status_of_event(database: Path) -> str:
    connection = sqlite3.connect(database, timeout=10)
    (status,) = connection.execute("SELECT status FROM webhook_events WHERE event_id = 'evt_1'").fetchone()
    connection.close()
    return status


async def admin_key(database: Path) -> dict[str, str]:
    custodes = Custodes(f"sqlite:///{database}")
    await custodes.open()
    try:
        return await key_for(custodes)
    finally:
        await custodes.close()
