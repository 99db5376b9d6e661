"""``custodes serve`` as an operator meets it: up, around an app, down, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.acceptance import plain

from custodes import Custodes
from custodes.asgi.standalone import load_app
from custodes.errors import ConfigurationError
from custodes.testing.admin import key_for
from custodes.testing.webhooks import signed_webhook

pytestmark = pytest.mark.acceptance

Start = Callable[..., Any]


def test_it_says_that_it_lives_and_that_it_can_work(start: Start):
    client = start(cold=True).client()

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert client.head("/healthz").content == b""
    assert client.get("/elsewhere").status_code == 404
    assert client.get("/").headers["location"] == "/dashboard/admin/enterprise"  # who types the address finds the page
    assert client.get("/api/admin/enterprise/webhook-health").status_code == 401


def test_it_serves_the_app_it_is_given(start: Start):
    client = start("--app", "plain_host:app").client()

    assert client.get("/anything").json()["path"] == "/anything"
    assert client.get("/api/admin/enterprise/api-health").status_code == 401


def test_an_app_that_has_custodes_in_it_keeps_its_own(start: Start):
    client = start("--app", "mounted_host:app").client()

    answer = client.get("/limited")

    # Two installs would add the headers of the limit twice.
    assert answer.status_code == 200
    assert len(answer.headers.get_list("ratelimit-policy")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_lets_requests_finish_and_writes_what_it_has_seen(
    start: Start, tmp_path: Path, number: int, until
):
    begun = tmp_path / "begun"
    server = start("--app", "plain_host:app", BEGUN=str(begun))
    client = server.client()
    answers: list[httpx2.Response] = []

    # Given a slow request under way, and one that has just been answered
    slow = threading.Thread(target=lambda: answers.append(plain.get(f"{server.url}/slow")))
    slow.start()
    until(begun.exists, "the server has it, and takes a while for it")
    assert client.get("/just-before").status_code == 200

    # When it is asked to stop
    code = server.stop(number)
    slow.join()

    # Then it ends well, and nothing is lost
    assert code == 0, server.said
    assert [answer.status_code for answer in answers] == [200]
    assert {"/slow", "/just-before"} <= paths_in(tmp_path / "custodes.db")
    assert "Traceback" not in server.said


def ready_workers(said: str) -> list[tuple[int, int]]:
    """Read how many workers of how many were said to be ready, one line a worker."""
    lines = re.findall(r"INFO +custodes\.workers (\{.*\})$", said, re.MULTILINE)
    told = [json.loads(line) for line in lines]
    return [(line["ready"], line["workers"]) for line in told if line["event"] == "worker_ready"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_asked_to_stop_it_first_says_that_it_is_not_ready(start: Start, tmp_path: Path, workers: str, until):
    # Given a server that leads, and a request on its way
    server = start("--app", "plain_host:app", "--workers", workers, CUSTODES_DRAIN_SECONDS="6")
    client = server.client()
    if int(workers) > 1:
        until(lambda: ready_workers(server.said) == [(1, 2), (2, 2)], "both workers are ready")
    until(lambda: leaders(tmp_path / "custodes.db"), "somebody leads")
    assert client.get("/readyz").json() == {"status": "ready"}

    # When it is asked to stop
    server.process.send_signal(signal.SIGTERM)
    until(lambda: plain.get(f"{server.url}/readyz").status_code == 503, "it is not ready")

    # Then it goes on serving, and asks those who come to come back elsewhere
    answer = client.get("/after")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert plain.get(f"{server.url}/readyz").json() == {"status": "draining"}
    assert plain.get(f"{server.url}/healthz").status_code == 200

    # And ends, with everything written and the lease given back
    assert server.stop() == 0, server.said  # at once: it was asked before
    assert "/after" in paths_in(tmp_path / "custodes.db")
    assert leaders(tmp_path / "custodes.db") == []
    assert "Traceback" not in server.said
    draining = re.findall(r"^\S+Z INFO    custodes\S* .*\"draining\"", server.said, re.MULTILINE)
    assert len(draining) == int(workers), server.said


def test_who_knocks_while_the_last_request_is_served_is_refused(start: Start, tmp_path: Path, until):
    """Given two workers asked to stop, one with a request; then who comes is refused, and that one is served."""
    begun, released = tmp_path / "begun", tmp_path / "released"
    apart = {"CUSTODES_DRAIN_SECONDS": "0", "BEGUN": str(begun), "RELEASED": str(released)}
    server = start("--app", "plain_host:app", "--workers", "2", **apart)
    server.client()
    until(lambda: ready_workers(server.said) == [(1, 2), (2, 2)], "both workers are ready")
    host, port = server.url.removeprefix("http://").split(":")

    def refused() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            return True
        return False

    with ThreadPoolExecutor(1) as other:
        held = other.submit(plain.get, f"{server.url}/held")
        until(begun.exists, "it is being served")
        server.process.send_signal(signal.SIGTERM)
        try:
            until(refused, "who comes is refused")
            assert not held.done()
        finally:
            released.touch()
        assert held.result().status_code == 200
    assert server.wait() == 0, server.said


@pytest.mark.parametrize("app", ["", "mounted_host:app"])
def test_somebody_who_looks_at_the_dashboard_does_not_hold_it_up(start: Start, tmp_path: Path, app: str):
    """Given an open live stream, which never ends by itself; when the server is asked to stop; then it ends at once."""
    key = asyncio.run(key_in(f"sqlite:///{tmp_path}/custodes.db"))
    server = start(*(("--app", app) if app else ()), CUSTODES_DRAIN_SECONDS="0")
    headers = {**key, "Accept": "text/event-stream"}
    with server.client().stream("GET", "/api/admin/enterprise/live", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")

        server.process.send_signal(signal.SIGTERM)

        assert "event: ended" in list(lines), "it was broken off, which is done to whoever does not end by himself"
        assert server.wait() == 0, server.said
    assert "Traceback" not in server.said


@pytest.mark.parametrize("how", ["a_thread", "a_pool", "spite_of_all"])
def test_a_handler_that_never_ends_does_not_keep_it_from_ending(start: Start, tmp_path: Path, until, how: str):
    """Given a handler that hangs in a thread, or in its loop; when the server is asked to stop, then it ends."""
    handled = tmp_path / "handled"
    server = start("--app", "hanging_host:app", CUSTODES_DRAIN_SECONDS="2", HANDLED=str(handled))
    signed = signed_webhook("stripe", {"id": "evt_1", "type": f"in.{how}"}, "whsec_of_these_tests")
    assert server.client().post("/hooks/stripe", content=signed.body, headers=signed.headers).status_code == 200
    until(handled.exists, "the handler has begun")

    server.process.send_signal(signal.SIGTERM)

    assert server.wait() == 0, server.said
    assert ("ended_by_force" in server.said) is (how != "a_thread")


async def key_in(database: str) -> dict[str, str]:
    custodes = Custodes(database)
    await custodes.open()
    try:
        return await key_for(custodes)
    finally:
        await custodes.close()


def test_a_second_signal_ends_it_at_once(start: Start, until):
    server = start(CUSTODES_DRAIN_SECONDS="300")
    server.client()

    server.process.send_signal(signal.SIGTERM)
    until(lambda: plain.get(f"{server.url}/readyz").status_code == 503, "it drains")

    assert server.stop() == 0


def leaders(database: Path) -> list[str]:
    connection = sqlite3.connect(database, timeout=10)
    rows = connection.execute("SELECT owner FROM leader_leases WHERE owner <> ''").fetchall()
    connection.close()
    return [owner for (owner,) in rows]


def paths_in(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT path FROM api_monitoring").fetchall()
    connection.close()
    return {path for (path,) in rows}


# ── What it says when it cannot ──────────────────────────────────────────────


def test_a_port_that_is_taken(start: Start):
    first = start()
    first.client()
    port = first.url.rsplit(":", 1)[1]

    second = start("--port", port)

    assert second.wait() == 1
    assert f"Cannot listen on 127.0.0.1 port {port}" in second.said
    assert "Traceback" not in second.said


def test_a_store_that_cannot_be_opened(start: Start, tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")

    server = start("--database", f"sqlite:///{tmp_path}/file/custodes.db")

    assert server.wait() == 1
    assert str(tmp_path / "file") in server.said
    assert "CUSTODES_DATABASE_URL" in server.said
    assert "Traceback" not in server.said


def test_a_file_that_is_no_database(start: Start, tmp_path: Path):
    (tmp_path / "custodes.db").write_bytes(b"a letter to my aunt" * 100)

    server = start()

    assert server.wait() == 1
    assert "is not an SQLite database" in server.said
    assert "Traceback" not in server.said


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("custodes.nowhere:app", "No module named 'custodes.nowhere'"),
        ("custodes.version:missing", "no attribute 'missing'"),
        ("custodes.version:__version__", "is a str"),
        (":app", "cannot be loaded"),
    ],
)
def test_an_app_that_is_none(app: str, said: str):
    with pytest.raises(ConfigurationError, match=said):
        load_app(app)


def test_an_app_that_cannot_be_loaded_ends_the_command(start: Start):
    server = start("--app", "nowhere:app")

    assert server.wait() == 1
    assert "No module named 'nowhere'" in server.said
    assert "Traceback" not in server.said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_app_that_does_not_start(start: Start, workers: str):
    server = start("--app", "plain_host:broken", "--workers", workers)

    assert server.wait() == 1
    assert "no coffee" in server.said
    assert "The app did not start" in server.said


def test_a_mounted_app_answers_although_the_store_cannot_be_opened(start: Start, tmp_path: Path, free_port: int, until):
    (tmp_path / "file").write_text("not a folder")

    server = start(
        "mounted_host:app",
        "--port",
        str(free_port),
        command="uvicorn",
        CUSTODES_DATABASE_URL=f"sqlite:///{tmp_path}/file/custodes.db",
    )

    answer = until(lambda: plain.get(f"http://127.0.0.1:{free_port}/pid"), "the app answers")
    assert answer.status_code == 200
    refused = plain.post(f"http://127.0.0.1:{free_port}/hooks/stripe", content=b"{}")
    assert 400 <= refused.status_code < 600
    assert server.stop() in {0, -signal.SIGTERM}
