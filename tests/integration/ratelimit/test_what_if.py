"""What a rule would have done: recorded calls replayed, against counts by hand, and beside everything that counts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import HOUR, MINUTE, SECOND, to_iso
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.ratelimit import what_if
from custodes.planes.traffic.model import Exchange
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

API = "/api/admin/enterprise"


class Seen(NamedTuple):
    """A call that was recorded."""

    at: int
    ip: str = "203.0.113.9"
    path: str = "/login"
    user: str = ""
    status: int = 200
    method: str = "POST"
    limited_by: str = ""
    took: int = 5_000
    tenant: str = "default"
    kind: str = "http"


class Recorded(Exchange):
    """As the middleware hands it to the recorder."""

    def __init__(self, seen: Seen) -> None:
        self.kind, self.method, self.path, self.route = seen.kind, seen.method, seen.path, seen.path
        self.status, self.started_at, self.total_us, self.ttfb_us = seen.status, seen.at, seen.took, seen.took
        self.client_ip, self.user, self.tenant, self.limited_by = seen.ip, seen.user, seen.tenant, seen.limited_by
        self.background_us = self.request_bytes = self.response_bytes = 0
        self.api_key = self.user_agent = ""
        self.error, self.ids, self.disconnected = None, None, False


async def record(custodes: Custodes, calls: Sequence[Seen]) -> None:
    for seen in calls:
        custodes.traffic.record(Recorded(seen))
    await custodes.traffic.flush()


async def ask(client: httpx2.AsyncClient, headers: dict[str, str], since: int, until: int, **rule: Any) -> Any:
    answer = await client.post(
        f"{API}/rate-limits/what-if",
        params={"since": to_iso(since), "until": to_iso(until)},
        json={"limits": "3/minute", "route": "/login", **rule},
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def counted(calls: Sequence[Seen], limit: int, window: int) -> Counter[str]:
    """Count by hand: a call is refused iff its address has ``limit`` admitted ones in the window before it."""
    admitted: defaultdict[str, list[int]] = defaultdict(list)
    refused: Counter[str] = Counter()
    for seen in calls:
        if sum(1 for at in admitted[seen.ip] if at > seen.at - window) < limit:
            admitted[seen.ip].append(seen.at)
        else:
            refused[seen.ip] += 1
    return refused


async def test_a_replay_is_what_a_count_by_hand_says(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given random traffic of six addresses; then who is hit, where and when is as counted, page by page."""
    monkeypatch.setattr(what_if, "_PAGE", 100)
    draw = random.Random(4)
    begin = clock.now() - HOUR
    calls = [
        Seen(
            at,
            f"203.0.113.{draw.randrange(6)}",
            draw.choice(["/login", "/login", "/other"]),
            status=draw.choice([200, 401]),
        )
        for at in sorted(begin + draw.randrange(HOUR) // SECOND * SECOND + number for number in range(700))
    ]
    await record(custodes, calls)
    expected = counted([seen for seen in calls if seen.path == "/login"], 3, 5 * MINUTE)

    found = await ask(client, await key_for(custodes), begin, clock.now(), limits="3/5 minutes")

    assert found["recorded"] == 700
    assert found["calls"] == sum(seen.path == "/login" for seen in calls)
    assert found["refused"] == expected.total() > 50
    assert {hit["label"]: hit["refused"] for hit in found["identifiers"]} == {
        f"ip:{ip}": refused for ip, refused in expected.items()
    }
    assert found["refusal_rate"] == found["refused"] / found["calls"]
    assert [(hit["label"], hit["refused"]) for hit in found["endpoints"]] == [("/login", expected.total())]
    assert sum(point["refused"] for point in found["trend"]) == expected.total()
    assert sum(point["calls"] for point in found["trend"]) == found["calls"]
    assert 0 < found["successes_refused"] < found["refused"]
    assert (found["subjects"], found["subjects_refused"], found["cut"]) == (6, len(expected), False)


async def test_a_replay_touches_nothing_that_counts_and_is_audited(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, call
) -> None:
    custodes.limit("3/minute", route="/login", name="login")
    begin = clock.now() - MINUTE
    await record(custodes, [Seen(begin + number) for number in range(10)])
    clock.advance(SECOND)

    found = await ask(client, await key_for(custodes), begin, clock.now(), name="login")

    assert found["refused"] == 7
    assert [custodes.ratelimit.check(call(path="/login")).allowed for _ in range(4)] == [True, True, True, False]
    assert [rule.name for rule in custodes.ratelimit.list_rules()] == ["login"]
    entries = [entry async for entry in custodes.audit.export_entries(AuditQuery())]
    assert "rate_limit.what_if" in {entry.action for entry in entries}


async def test_what_others_refused_is_left_out_and_what_the_rule_itself_refused_is_asked_again(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> None:
    begin = clock.now() - MINUTE
    await record(
        custodes,
        [
            *(Seen(begin + number, limited_by="global", status=429) for number in range(4)),
            *(Seen(begin + 100 + number, limited_by="login", status=429) for number in range(5)),
            Seen(begin + 200, ip="198.51.100.1"),
            Seen(begin + 201, kind="call", method="CALL"),
        ],
    )
    await custodes.ratelimit.add_to_list("allow", "198.51.100.1", reason="x", actor="a")

    found = await ask(client, await key_for(custodes), begin, clock.now(), name="login")

    assert (found["recorded"], found["refused_already"], found["let_through"]) == (10, 4, 1)
    assert (found["calls"], found["refused"]) == (5, 2)


async def test_slots_are_given_back_when_a_call_ends(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> None:
    """Given calls of ten seconds, one begun each four; then of three at once the third is refused."""
    begin = clock.now() - HOUR
    await record(custodes, [Seen(begin + number * 4 * SECOND, took=10 * SECOND) for number in range(6)])

    found = await ask(client, await key_for(custodes), begin, clock.now(), limits="2 concurrent for 1 minute")

    # 0 and 4 hold; 8 is refused; 12 holds (0 ended at 10), 16 holds (4 ended at 14), 20 is refused.
    assert (found["calls"], found["refused"]) == (6, 2)


async def test_more_than_can_be_replayed_is_the_newest_part_and_the_answer_says_so(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "MAX_REPLAYED", 20)
    begin = clock.now() - HOUR
    await record(custodes, [Seen(begin + number * SECOND) for number in range(50)])

    found = await ask(client, await key_for(custodes), begin, clock.now())

    assert (found["recorded"], found["cut"]) == (20, True)
    assert begin + 29 * SECOND < what_if_begin(found) <= begin + 30 * SECOND


def what_if_begin(found: Any) -> int:
    from datetime import datetime

    from custodes.kernel.clock import from_datetime

    return from_datetime(datetime.fromisoformat(found["since"]))


async def test_a_replay_ends_when_its_time_is_over(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(what_if, "_PAGE", 10)
    monkeypatch.setattr(what_if, "MAX_TIME", 0)
    begin = clock.now() - HOUR
    await record(custodes, [Seen(begin + number * SECOND) for number in range(50)])

    found = await ask(client, await key_for(custodes), begin, clock.now())

    assert (found["recorded"], found["cut"]) == (0, True)


async def test_another_tenants_calls_are_not_replayed(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> None:
    begin = clock.now() - MINUTE
    await record(
        custodes,
        [Seen(begin + number, tenant="acme" if number % 2 else "default") for number in range(20)],
    )
    admin = await key_for(custodes, tenant="acme")

    found = await ask(client, admin, begin, clock.now())

    assert (found["recorded"], found["refused"]) == (10, 7)


async def test_what_is_typed_is_checked_as_it_is_typed(custodes: Custodes, client: httpx2.AsyncClient) -> None:
    admin = await key_for(custodes)

    async def check(**query: Any) -> Any:
        return (await client.get(f"{API}/rate-limits/rule-check", params=query, headers=admin)).json()

    good = await check(limits="100/minute burst 20; 10000/day", route="/api/*")
    half = await check(limits="5/fortnight")
    path = await check(limits="5/minute", route="login")

    assert good["valid"]
    assert [limit["algorithm"] for limit in good["limits"]] == ["gcra", "subwindows"]
    assert good["limits"][1]["lateness_seconds"] == 1_440
    assert (half["valid"], "at character 3" in half["detail"], "5/15 minutes" in half["remedy"]) == (False, True, True)
    assert (path["valid"], "no path template" in path["detail"]) == (False, True)
    assert not custodes.ratelimit.list_rules()


async def test_the_engine_tells_what_it_is_and_tenants_see_no_figures(
    custodes: Custodes, client: httpx2.AsyncClient
) -> None:
    seen = (await client.get(f"{API}/rate-limits/engine", headers=await key_for(custodes))).json()
    hidden = await client.get(f"{API}/rate-limits/engine", headers=await key_for(custodes, tenant="acme"))

    assert (seen["name"], seen["available"], seen["failure_mode"], seen["enabled"]) == (
        "memory",
        True,
        "degraded",
        True,
    )
    assert seen["figures"]["undecided"] == 0
    assert hidden.json()["figures"] == {}


async def test_a_block_can_be_read_by_its_id_also_when_it_has_ended_and_says_why_it_was_lifted(
    custodes: Custodes, client: httpx2.AsyncClient
) -> None:
    admin = await key_for(custodes)
    block = await custodes.ratelimit.block_identifier("203.0.113.9", reason="x", actor="a", tenant="acme")
    place = f"{API}/rate-limits/blocks/{block.id}"

    await client.delete(place, params={"reason": "a customer after all"}, headers=admin)
    found = await client.get(place, headers=admin)
    other = await client.get(place, headers=await key_for(custodes, tenant="globex"))

    assert (found.status_code, bool(found.json()["lifted_by"]), other.status_code) == (200, True, 404)
    entries = [entry async for entry in custodes.audit.export_entries(AuditQuery())]
    assert "a customer after all" in {entry.reason for entry in entries}
