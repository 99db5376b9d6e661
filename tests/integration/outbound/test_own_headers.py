"""Headers of an endpoint's own: their values go to its receiver, and to nobody else; and changes of two at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.integration.outbound.conftest import ENGINES, Receiver, opened

from custodes import Custodes
from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND
from custodes.planes.outbound.changes import FieldChange
from custodes.planes.outbound.model import Endpoint, Options
from custodes.runtime.transactions import nothing
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.outbound import webhook_configurations, webhook_secrets


async def sent(custodes: Custodes, receiver: Receiver) -> dict[str, str]:
    """Emit; returns the headers that arrived, those of our own left out."""
    await custodes.outbound.emit("order.shipped", {"order": 7})
    await custodes.outbound.worker.run_due()
    return {name: value for name, value in receiver.got[-1].headers.items() if name.startswith("x-")}


async def stored(custodes: Custodes) -> str:
    tables = (webhook_configurations, webhook_secrets)
    return repr(
        await custodes.database.read(lambda tx: [connection_of(tx).execute(select(one)).all() for one in tables])
    )


async def test_values_are_sealed_kept_unless_replaced_and_only_their_change_is_told(
    custodes: Custodes, receiver: Receiver
) -> None:
    """Given headers, when one is kept, one replaced, one added and one left out, then the receiver gets just that, no
    value is shown to anybody, and the change says which they were."""
    first: dict[str, str | None] = {"X-Kept": "hunter1", "X-Replaced": "hunter2", "X-Gone": "hunter3"}
    made = await custodes.outbound.create_endpoint(receiver.url, options=Options(headers=first))
    assert await sent(custodes, receiver) == {"x-kept": "hunter1", "x-replaced": "hunter2", "x-gone": "hunter3"}
    changes: list[FieldChange] = []

    def told(_endpoint: Endpoint, found: Any) -> Any:
        changes.extend(found)
        return nothing

    second = {"x-kept": None, "x-replaced": "hunter4", "x-added": "hunter5"}
    changed = await custodes.outbound.update_endpoint(made.endpoint.id, options={"headers": second}, told=told)

    assert await sent(custodes, receiver) == {"x-kept": "hunter1", "x-replaced": "hunter4", "x-added": "hunter5"}
    assert changed == await custodes.outbound.get_endpoint(made.endpoint.id)
    assert changed.options.headers == dict.fromkeys(second)
    assert changes == [
        ("options.headers.x-added", None, "(new)"),
        ("options.headers.x-gone", "(sealed)", None),
        ("options.headers.x-replaced", "(sealed)", "(new)"),
    ]
    assert "hunter" not in repr((made, changed, changes)) + await stored(custodes)

    # And what has none cannot be kept; then nothing is changed
    for unknown in ({"x-kept": None, "x-other": None}, {"x-gone": None}):
        with pytest.raises(InvalidInput, match="no value that could be kept"):
            await custodes.outbound.update_endpoint(made.endpoint.id, options={"headers": unknown})
    with pytest.raises(InvalidInput, match="no value that could be kept"):
        await custodes.outbound.create_endpoint(receiver.url, options=Options(headers={"x-a": None}))
    # Whatever else is changed, they stay; and when they are taken away they are gone
    await custodes.outbound.update_endpoint(made.endpoint.id, options={"rate": 5})
    assert set(await sent(custodes, receiver)) == set(second)
    await custodes.outbound.update_endpoint(made.endpoint.id, options={"headers": {}})
    assert await sent(custodes, receiver) == {}


async def test_values_that_an_older_version_wrote_in_the_open_are_sealed_by_the_next_start(
    database_url: str, receiver: Receiver
) -> None:
    """Given rows of before, one endpoint of them deleted, when the database is opened, then no value stands there,
    and the receiver goes on getting what it got."""
    headers = {"x-api-key": "hunter1"}
    async with opened(database_url) as custodes:
        made = await custodes.outbound.create_endpoint(receiver.url)
        deleted = await custodes.outbound.create_endpoint(receiver.url)
        await custodes.outbound.delete_endpoint(deleted.endpoint.id)

        def as_before(tx: Any) -> None:
            connection = connection_of(tx)
            [options] = connection.execute(select(webhook_configurations.c.options).limit(1)).scalars()
            connection.execute(update(webhook_configurations).values(options={**options, "headers": headers}))

        await custodes.database.write(as_before)
        assert (await stored(custodes)).count("hunter1") == 2

    async with opened(database_url) as custodes:
        assert "hunter" not in await stored(custodes)
        assert await sent(custodes, receiver) == headers
        assert (await custodes.outbound.get_endpoint(made.endpoint.id)).options.headers == {"x-api-key": None}


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_two_change_at_once_is_both_changed(custodes: Custodes) -> None:
    """Given an endpoint, when several change different things of it at the same time, then no change is lost."""
    made = await custodes.outbound.create_endpoint("https://example.com/")
    for turn in range(1, 6):
        change, endpoint = custodes.outbound.update_endpoint, made.endpoint.id
        await asyncio.gather(
            change(endpoint, retry={"timeout": turn * SECOND}),
            change(endpoint, retry={"schedule": (turn * SECOND,)}),
            change(endpoint, options={"rate": turn}),
            change(endpoint, options={"concurrency": turn}),
            change(endpoint, description=str(turn)),
        )

        found = await custodes.outbound.get_endpoint(endpoint)
        assert (found.retry.timeout, found.retry.schedule) == (turn * SECOND, (turn * SECOND,))
        assert (found.options.rate, found.options.concurrency, found.description) == (turn, turn, str(turn))
