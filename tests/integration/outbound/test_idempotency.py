"""One idempotency key is one event, whichever processes emit it and whatever becomes of their transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tests.integration.outbound.conftest import LOOPBACK

from custodes import Custodes
from custodes.errors import Conflict
from custodes.planes.outbound.model import Options

URL = "https://example.com/hook"


@pytest.fixture
async def installs(postgres_url: str) -> AsyncIterator[list[Custodes]]:
    """Two installs on one PostgreSQL, as two processes are."""
    made = [Custodes(postgres_url, secret_key="k" * 32, **LOOPBACK) for _ in range(2)]
    for each in made:
        await each.open()
    await made[0].outbound.create_endpoint(URL, options=Options(ordered=True))
    yield made
    for each in made:
        await each.outgoing.close()
        await each.close()


@pytest.fixture
async def business(postgres_url: str) -> AsyncIterator[AsyncConnection]:
    """A connection of the host app's own."""
    engine = create_async_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def counts(custodes: Custodes) -> tuple[int, int]:
    """Count messages and deliveries."""
    messages = await custodes.outbound.list_messages()
    return len(messages.items), len((await custodes.outbound.list_deliveries()).items)


async def test_many_at_once_are_one_event_a_key(installs: list[Custodes]) -> None:
    """Given two processes that emit the same new keys, in opposite orders, when all do so at once, then nobody meets an
    error and each key is one event with one delivery."""
    keys = [f"order-{number}" for number in range(20)]

    async def emit(install: Custodes, key: str) -> tuple[str, str]:
        message = await install.outbound.emit("order.made", {}, idempotency_key=key, order_key="line")
        return key, message.id

    made = await asyncio.gather(
        *(emit(installs[0], key) for key in keys for _ in range(2)),
        *(emit(installs[1], key) for key in reversed(keys) for _ in range(2)),
    )
    assert len(set(made)) == len(keys)
    assert await counts(installs[0]) == (20, 20)


@pytest.mark.parametrize("commits", [True, False])
async def test_who_comes_second_waits_for_the_end_of_the_first(
    installs: list[Custodes], business: AsyncConnection, commits: bool
) -> None:
    """Given an event emitted in a transaction that is still open, when another process emits its key, then that gets
    the first event once it is committed, and its own when it is rolled back."""
    first = await installs[0].outbound.emit("order.made", {}, idempotency_key="k", connection=business)
    second = asyncio.create_task(installs[1].outbound.emit("order.made", {}, idempotency_key="k"))
    done, _ = await asyncio.wait({second}, timeout=0.2)
    assert not done
    await (business.commit() if commits else business.rollback())
    assert ((await second).id == first.id) is commits
    assert await counts(installs[0]) == (1, 1)


async def test_another_event_of_a_key_is_a_conflict_for_who_comes_second(
    installs: list[Custodes], business: AsyncConnection
) -> None:
    await installs[0].outbound.emit("order.made", {}, idempotency_key="k", connection=business)
    second = asyncio.create_task(installs[1].outbound.emit("order.paid", {}, idempotency_key="k"))
    await business.commit()
    with pytest.raises(Conflict):
        await second
