"""What is over is over: no thread, no file and no memory of an install stays behind."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from custodes import Custodes
from custodes.asgi.lifespan import Life
from custodes.errors import ConfigurationError
from custodes.testing.asgi import converse, http_scope


async def host(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def threads_before() -> set[threading.Thread]:
    return set(threading.enumerate())


def ours(before: set[threading.Thread]) -> list[str]:
    """Name the threads of ours that are new."""
    return [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("custodes")]


async def test_stop_closes_what_was_only_opened(custodes: Custodes, threads_before: set[threading.Thread]):
    await custodes.open()
    assert ours(threads_before) == ["custodes-writer"]

    await custodes.stop()

    assert ours(threads_before) == []


@pytest.mark.parametrize("turns", [1, 2, 5, 20])
def test_a_start_that_is_cut_off_leaves_no_thread(tmp_path: Path, threads_before: set[threading.Thread], turns: int):
    """Given a loop that ends while the first request has us start."""

    async def begin() -> None:
        task = asyncio.create_task(Custodes(f"sqlite:///{tmp_path}/x.db").start())
        for _ in range(turns):
            await asyncio.sleep(0)
        del task

    asyncio.run(begin())

    assert ours(threads_before) == []


@pytest.mark.usefixtures("admin_routes")
def test_an_install_that_is_over_is_forgotten(tmp_path: Path):
    """Given its admin app was used: the framework remembers route functions, and must not find us in them."""

    async def live() -> weakref.ref[Custodes]:
        custodes = Custodes(f"sqlite:///{tmp_path}/x.db")
        await custodes.start()
        answer = await converse(custodes.wrap(host), http_scope("/api/admin/enterprise/me"))
        assert answer.status == 401
        await custodes.stop()
        return weakref.ref(custodes)

    kept = asyncio.run(live())
    gc.collect()

    assert kept() is None


async def test_what_a_host_starts_and_stops_itself_is_not_started_again_behind_it(
    custodes: Custodes, threads_before: set[threading.Thread], monkeypatch: pytest.MonkeyPatch
):
    """Given a host that starts us, serves one request and stops us, while what is imported takes a while."""
    imported = threading.Event()
    monkeypatch.setattr(custodes, "load", imported.wait)
    await custodes.start()
    await converse(custodes.wrap(host), http_scope("/"))

    await custodes.stop()
    imported.set()

    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "custodes-start"))
    assert not custodes.started
    assert ours(threads_before) == []


async def test_a_part_that_cannot_be_made_leaves_no_other_running(tmp_path: Path):
    custodes = Custodes(f"sqlite:///{tmp_path}/x.db", forward_to=["a source without a URL"])
    before = asyncio.all_tasks()

    with pytest.raises(ConfigurationError):
        await custodes.start()

    assert asyncio.all_tasks() == before
    await custodes.stop()


async def test_a_part_that_cannot_stop_keeps_no_other_from_it(custodes: Custodes, monkeypatch: pytest.MonkeyPatch):
    async def fails() -> None:
        msg = "stuck"
        raise RuntimeError(msg)

    before = asyncio.all_tasks()
    await custodes.start()
    stop = custodes.live.stop
    monkeypatch.setattr(custodes.live, "stop", fails)

    with pytest.raises(ExceptionGroup, match="Not everything could be stopped") as found:
        await custodes.stop()

    assert [str(error) for error in found.value.exceptions] == ["stuck"]
    await stop()
    assert asyncio.all_tasks() == before


async def test_webhooks_in_and_out_end_side_by_side(custodes: Custodes, monkeypatch: pytest.MonkeyPatch):
    """Given deliveries that end only once no more webhooks are handled: a host waits for the longer, not for both."""
    await custodes.start()
    inbound, outbound, ended = custodes.inbound.stop, custodes.outbound.stop, asyncio.Event()

    async def last() -> None:
        await ended.wait()
        await outbound()

    async def first() -> None:
        await inbound()
        ended.set()

    monkeypatch.setattr(custodes.outbound, "stop", last)
    monkeypatch.setattr(custodes.inbound, "stop", first)

    async with asyncio.timeout(60):
        await custodes.stop()


async def test_without_a_lifespan_what_is_imported_holds_up_no_loop(
    custodes: Custodes, monkeypatch: pytest.MonkeyPatch
):
    """Given a server without lifespan, when the first request has us start, then a thread loads first."""
    order: list[tuple[str, bool]] = []
    load, start = custodes.load, custodes.start

    def noted_load() -> None:
        load()
        order.append(("load", threading.current_thread() is threading.main_thread()))

    async def noted_start() -> None:
        order.append(("start", threading.current_thread() is threading.main_thread()))
        await start()

    monkeypatch.setattr(custodes, "load", noted_load)
    monkeypatch.setattr(custodes, "start", noted_start)
    app = custodes.wrap(host)

    await converse(app, http_scope("/"))
    async with asyncio.timeout(60):
        while not app._life.running:
            await asyncio.sleep(0.001)
    await custodes.stop()

    assert order == [("load", False), ("start", True)]


def test_loading_makes_no_part_and_leaves_nothing_to_import():
    """Given a process of its own, when it has loaded, then composing imports nothing more and nothing was composed."""
    told = subprocess.run([sys.executable, "-c", LOADING], check=True, capture_output=True, text=True).stdout

    assert told == "[] []\n"


LOADING = """
import sys
from custodes import Custodes
from custodes.app import _SERVICES
install = Custodes("sqlite://")
before = set(vars(install))
install.load()
made, known = set(vars(install)) - before, set(sys.modules)
for line in _SERVICES:
    for name in line:
        getattr(install, name)
print(sorted(made), sorted(set(sys.modules) - known))
"""


async def test_that_the_host_goes_on_alone_is_said_loudly_once_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """Given a folder that cannot be made; when it is tried thrice, then it is said once, and when it is over."""
    caplog.set_level("INFO")
    (tmp_path / "file").write_text("no folder")
    custodes = Custodes(f"sqlite:///{tmp_path}/file/x.db", secret_key="k" * 32)
    life = Life(custodes)

    for _ in range(3):
        await life.start()
    off = [record for record in caplog.records if "custodes_is_off" in record.getMessage()]
    (tmp_path / "file").unlink()
    await life.start()
    await life.stop()

    assert [record.levelname for record in off] == ["ERROR"]
    told = off[0].getMessage()
    assert all(word in told for word in ("The folder", "goes on without it", "CUSTODES_DATABASE_URL"))
    assert "custodes_is_on" in caplog.text
