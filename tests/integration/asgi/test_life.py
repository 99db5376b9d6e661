"""What is over is over: no thread, no file and no memory of an install stays behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from custodes import Custodes
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
