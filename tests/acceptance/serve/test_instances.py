"""Two instances on one database are one install: what is done at one holds at the other, and either may die."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance import plain
from tests.drills.inbound.load import rows_of

from custodes.planes.ratelimit.limiter import REFRESH_SECONDS

pytestmark = pytest.mark.acceptance

API = "/api/admin/enterprise"
PASSWORD = "a correct horse battery"

#: Latest that a block or a rule reaches every instance, seconds: each looks twice in that time. How long it takes here,
#: and until a dead leader is replaced, is told and not tried, as it depends on the machine; after which time a leader
#: counts as dead is tried with a clock that stands still.
NEWS_SECONDS = 2.0


@dataclass
class Install:
    """Two servers, and the owner's session."""

    first: Any
    second: Any
    #: URL of the database.
    database: str
    cookie: str
    csrf: str

    def ask(self, server: Any, method: str, path: str, **more: Any) -> httpx2.Response:
        """Ask one instance as the owner whose session was opened at the first."""
        headers = {"Cookie": self.cookie, "X-CSRF-Token": self.csrf, **more.pop("headers", {})}
        return plain.request(method, f"{server.url}{API}{path}", headers=headers, **more)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def install(
    request: pytest.FixtureRequest, servers_in: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Install]:
    folder = tmp_path_factory.mktemp("instances")
    database = f"sqlite:///{folder}/custodes.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        database = server.url(server.new_database()).replace("postgresql:", "postgresql+psycopg:")
    env = {
        "CUSTODES_TRUSTED_PROXIES": "127.0.0.1/32",
        "CUSTODES_DATABASE_URL": database,
        # A machine under load may take long to decide; what is tried is what is decided.
        "CUSTODES_RATE_LIMIT_DEADLINE_MS": "10000",
        "CUSTODES_HOOK_LIMIT_MS": "10000",
    }
    with servers_in(folder) as start:
        first = start("--app", "plain_host:app", **env)
        first.client()
        workers = "2" if request.param == "postgresql" else "1"
        second = start("--app", "plain_host:app", "--workers", workers, **env)
        second.client()
        opened = sign_in(first.url, first.logins[0])
        changed = plain.post(
            f"{first.url}{API}/password",
            json={"current": first.logins[0], "new": PASSWORD},
            headers={"Cookie": cookie_of(opened), "X-CSRF-Token": opened.json()["csrf_token"]},
        )
        assert changed.status_code == 200, changed.text
        yield Install(first, second, database, cookie_of(changed), changed.json()["csrf_token"])


def sign_in(url: str, password: str, user: str = "owner", ip: str = "203.0.113.1") -> httpx2.Response:
    body = {"username": user, "password": password}
    return plain.post(f"{url}{API}/login", json=body, headers={"x-forwarded-for": ip})


def cookie_of(answer: httpx2.Response) -> str:
    return answer.headers["set-cookie"].split(";")[0]


def get(server: Any, path: str, ip: str) -> int:
    return plain.get(f"{server.url}{path}", headers={"x-forwarded-for": ip}).status_code


def all_answer(install: Install, path: str, ip: str, status: int, until: Callable[..., Any]) -> None:
    """Wait until all processes answer so: each instance, on so many connections that each of its workers gets some."""

    def answer() -> bool:
        return all(get(server, path, ip) == status for server in (install.first, install.second) for _ in range(8))

    assert REFRESH_SECONDS <= NEWS_SECONDS / 2
    began = time.monotonic()
    until(answer, f"all answer {path} with {status}")
    sys.stdout.write(f"news reached all after {time.monotonic() - began:.1f} s\n")


def test_only_the_first_prints_a_login(install: Install):
    assert (len(install.first.logins), install.second.logins) == (1, [])


def test_a_session_and_its_csrf_token_hold_at_both_until_it_is_ended_at_one(install: Install):
    opened = sign_in(install.first.url, PASSWORD)
    mine = {"Cookie": cookie_of(opened), "X-CSRF-Token": opened.json()["csrf_token"]}
    key = install.ask(install.second, "POST", "/api-keys", json={"name": "made elsewhere"}, headers=mine)
    assert key.status_code == 201, key.text

    assert install.ask(install.second, "POST", "/logout", headers=mine).status_code == 204

    assert install.ask(install.first, "GET", "/me", headers=mine).status_code == 401


def test_an_api_key_holds_at_both_until_it_is_revoked_at_one(install: Install):
    made = install.ask(install.first, "POST", "/api-keys", json={"name": "ci"}).json()
    key = {"X-API-Key": made["key"]}
    assert [plain.get(f"{s.url}{API}/me", headers=key).status_code for s in (install.first, install.second)] == [
        200,
        200,
    ]

    assert install.ask(install.second, "DELETE", f"/api-keys/{made['id']}").status_code == 204

    assert plain.get(f"{install.first.url}{API}/me", headers=key).status_code == 401


def test_failed_logins_are_counted_over_both(install: Install):
    # Given somebody who tries one password after the other, at either instance
    answers = [
        sign_in(server.url, f"guess number {number}", user="nobody", ip="198.51.100.77").status_code
        for number in range(8)
        for server in (install.first, install.second)
    ]

    # Then both shut them out, although half of the tries were at the other: alone, each would give five guesses away
    assert answers[0] == 401
    assert 429 in answers[::2]
    assert 429 in answers[1::2]
    assert answers.count(401) < 10


def test_a_block_reaches_both(install: Install, until: Callable[..., Any]):
    body = {"identifier": "203.0.113.66", "kind": "ip", "reason": "a test"}
    assert get(install.second, "/x", "203.0.113.66") == 200

    assert install.ask(install.first, "POST", "/rate-limits/blocks", json=body).status_code == 201

    all_answer(install, "/x", "203.0.113.66", 403, until)
    assert get(install.second, "/x", "203.0.113.67") == 200


def test_a_rule_reaches_both_and_so_does_its_end(install: Install, until: Callable[..., Any]):
    body = {"name": "once", "limits": "1/hour", "route": "/once"}
    made = install.ask(install.second, "POST", "/rate-limits/rules", json=body)
    assert made.status_code == 201, made.text

    # Whoever knows of the block that came after it knows of the rule.
    block = {"identifier": "203.0.113.71", "kind": "ip", "reason": "a test"}
    assert install.ask(install.second, "POST", "/rate-limits/blocks", json=block).status_code == 201
    all_answer(install, "/x", "203.0.113.71", 403, until)
    both = (install.first, install.second)
    answers = [get(server, "/once", "203.0.113.70") for server in both for _ in range(2)]
    # On PostgreSQL they count together, workers and all; beside a file each counts in its own memory.
    assert answers == ([200, 429, 429, 429] if install.database.startswith("postgresql") else [200, 429, 200, 429])

    rule = made.json()["id"]
    assert install.ask(install.first, "DELETE", f"/rate-limits/rules/{rule}").status_code == 200
    all_answer(install, "/once", "203.0.113.70", 200, until)


def test_a_killed_leader_is_replaced(install: Install, until: Callable[..., Any]):
    """The last test of the page: it costs a server."""
    # Given a leader
    owner = until(lambda: leader(install.database), "somebody leads")

    # When the process that came first, and so leads, is killed
    install.first.process.kill()
    install.first.process.wait()
    killed = time.monotonic()

    # Then the other leads, and works on
    until(lambda: leader(install.database) not in {"", owner}, "the other leads")
    sys.stdout.write(f"a killed leader was replaced after {time.monotonic() - killed:.1f} s\n")
    assert get(install.second, "/x", "203.0.113.80") == 200
    assert install.second.client().get("/readyz").status_code == 200


def leader(database: str) -> str:
    rows = rows_of(database, "SELECT owner FROM leader_leases WHERE owner <> ''")
    return rows[0][0] if rows else ""
