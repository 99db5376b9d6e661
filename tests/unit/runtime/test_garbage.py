"""The garbage collector of a process of ours is settled once it has started, and what its owner has set is kept."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from custodes import Custodes
from custodes.asgi.standalone import Probes
from custodes.runtime.garbage import YOUNG_OBJECTS, settle


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.freeze()  # what the tests imported is left alone again: see the first conftest.py
    gc.set_threshold(*thresholds)


def test_what_has_started_is_not_looked_at_again_and_the_young_less_often():
    # Given a collector as Python sets it
    gc.set_threshold(700, 10, 10)

    # When the process settles
    settle()

    # Then what there is is left alone, and only the young are looked at less often
    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold() == (YOUNG_OBJECTS, 10, 10)


@pytest.mark.parametrize("young", [0, YOUNG_OBJECTS * 4])
def test_a_collector_that_is_off_or_looks_less_often_still_stays_as_it_is(young: int):
    gc.set_threshold(young, 5, 5)
    settle()
    assert gc.get_threshold() == (young, 5, 5)


async def test_a_server_of_ours_settles_when_everything_has_started_and_not_before(tmp_path: Path):
    # Given a server whose app starts
    gc.set_threshold(700, 10, 10)
    seen: list[tuple[str, bool]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(("starting", gc.get_freeze_count() > 0))
        await send({"type": "lifespan.startup.complete"})

    async def send(message: Any) -> None:
        seen.append((message["type"], gc.get_freeze_count() > 0))

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    # When it has started, then it is settled, before the server takes requests
    await Probes(Custodes(f"sqlite:///{tmp_path}/custodes.db"), app)({"type": "lifespan"}, receive, send)
    assert seen == [("starting", False), ("lifespan.startup.complete", True)]
