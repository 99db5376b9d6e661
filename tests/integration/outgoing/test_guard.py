"""The guard against being sent where nobody may go, with a real name server and a canary that must see nothing."""

from __future__ import annotations

import itertools
import os
import sys

import pytest
from aiohttp import web
from tests.integration.outgoing.conftest import PUBLIC, Site
from tests.servers.canary import Canary
from tests.servers.names import NameServer
from tests.unit.outgoing.test_target import SPELLINGS

from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed

#: Tries against the canary in all of its cases together; 10,000 in ``make drills``.
TRIES = int(os.environ.get("CUSTODES_DRILL_TRIES", "400"))

#: What a hostile name may lead to; the name is asked for once and again.
HOSTILE: dict[str, list[list[str]]] = {
    "loopback": [["127.0.0.1"]],
    "loopback-v6": [["::1"]],
    "mapped": [["::ffff:127.0.0.1"]],
    "mixed-a": [[PUBLIC, "127.0.0.1"]],
    "mixed-a-last": [["127.0.0.1", PUBLIC]],
    "mixed-aaaa": [[PUBLIC, "::1"]],
    "alias": [["inner.example"]],
    "metadata": [["169.254.169.254"]],
    "nat64": [["64:ff9b::7f00:1"]],
    "6to4": [["2002:7f00:1::1"]],
}


async def test_the_name_is_looked_up_once_and_the_socket_goes_to_the_checked_address(
    names: NameServer, site: Site, client: OutgoingClient
) -> None:
    """Given a good name, then ``Host`` keeps it, one lookup is made, and the next request uses the same connection."""
    names.names["hooks.example"] = [PUBLIC]
    url = f"http://hooks.example:{site.port}/a%2Fb?c=%7E"

    first = await client.request("POST", url, body=b"{}", headers={"content-type": "application/json"})
    second = await client.request("POST", url, body=b"{}")

    assert (first.status, first.body, first.truncated) == (200, b"hello", False)
    assert [(r.headers["Host"], r.raw_path) for r in site.got] == [(f"hooks.example:{site.port}", "/a%2Fb?c=%7E")] * 2
    assert names.asked == [("hooks.example", "A"), ("hooks.example", "AAAA")]
    assert first.timing.dns > 0
    assert first.timing.connect > 0
    assert 0 < first.timing.first_byte <= first.timing.total
    assert (second.timing.dns, second.timing.connect, second.timing.tls) == (0, 0, 0)


async def test_a_name_that_changes_its_answer_between_check_and_connection_gains_nothing(
    names: NameServer, site: Site, canary: Canary, client: OutgoingClient
) -> None:
    """DNS rebinding: each answer is another one. Either the checked public address is called, or nothing."""
    turn = itertools.count()
    names.names["rebind.example"] = lambda: [PUBLIC] if next(turn) % 3 else ["127.0.0.1"]
    site.handler = _closing
    outcomes: list[str] = []
    for _ in range(30):
        try:
            await client.request("GET", f"http://rebind.example:{site.port}/")
            outcomes.append("called")
        except OutgoingFailed as error:
            outcomes.append(error.kind)
    assert canary.visits == 0
    assert set(outcomes) == {"called", FailureKind.REFUSED}
    assert len(site.got) == outcomes.count("called")


@pytest.mark.drill
async def test_no_packet_reaches_the_canary(
    names: NameServer, site: Site, canary: Canary, client: OutgoingClient
) -> None:
    """Given every hostile name, spelling and redirect in turn, then the canary sees nobody, and the errors tell
    nothing of where the name led."""
    names.names["inner.example"] = ["127.0.0.1"]
    names.names["good.example"] = [PUBLIC]
    for name, answers in HOSTILE.items():
        names.names[f"{name}.example"] = answers[0]
    turn = itertools.count()
    names.names["flip.example"] = lambda: [["127.0.0.1"], [PUBLIC], ["::1"], [PUBLIC]][next(turn) % 4]
    site.handler = _redirecting
    port = canary.port
    urls = [f"http://{name}.example:{port}/" for name in (*HOSTILE, "flip")]
    urls += [f"http://good.example:{port}/{status}" for status in (301, 302, 303, 307, 308)]
    urls += [f"http://{host}:{port}/" for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]")]
    urls += SPELLINGS

    counted, told = {"answered": 0, "failed": 0}, set[str]()
    for url in itertools.islice(itertools.cycle(urls), TRIES):
        try:
            answer = await client.request("POST", url, body=b"x")
        except OutgoingFailed as error:
            counted["failed"] += 1
            told.add(str(error))
        else:
            counted["answered"] += 1
            assert answer.status in {301, 302, 303, 307, 308}
    sys.stdout.write(f"{TRIES} tries, {counted}, {canary.visits} at the canary\n")
    assert canary.visits == 0
    assert not any(part in text for text in told for part in ("127", "::1", "169", "example"))
    assert counted["failed"] > counted["answered"] > 0


async def test_proxies_of_the_environment_are_not_used(
    names: NameServer, site: Site, canary: Canary, client: OutgoingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    names.names["hooks.example"] = [PUBLIC]
    answer = await client.request("GET", f"http://hooks.example:{site.port}/")
    assert answer.status == 200
    assert canary.visits == 0


async def test_the_last_door_checks_the_address_of_every_socket(client: OutgoingClient) -> None:
    """Whatever came before it: no socket is made for an address that may not be reached."""
    with pytest.raises(PermissionError):
        client._socket((2, 1, 6, "", ("127.0.0.1", 80)))


@pytest.mark.parametrize("header", [{"x-a": "b\r\nx-c: d"}, {"x-a\r\nx-c": "d"}, {"x-a": "b\nc"}, {"x-a": "\x00"}])
async def test_no_header_is_injected(
    names: NameServer, site: Site, client: OutgoingClient, header: dict[str, str]
) -> None:
    names.names["hooks.example"] = [PUBLIC]
    with pytest.raises(OutgoingFailed):
        await client.request("GET", f"http://hooks.example:{site.port}/", headers=header)
    assert site.got == []


async def _closing(_request: web.Request) -> web.StreamResponse:
    response = web.Response(text="x")
    response.force_close()
    return response


async def _redirecting(request: web.Request) -> web.StreamResponse:
    status = request.path.strip("/")
    if not status.isdigit():
        return await _closing(request)
    response = web.Response(status=int(status), headers={"location": f"http://127.0.0.1:{request.url.port}/"})
    response.force_close()
    return response
