"""What the keeper of when secrets last signed promises (planes/inbound/ports.py), on every engine."""

import asyncio

from custodes.planes.inbound.rotation_model import SecretUse
from custodes.storage.sql.database import Database
from custodes.storage.sql.inbound_rotation import SqlSecretStore

NEW = SecretUse("default", "stripe", "0a1b2c3d", 0, 100, 100, None)
OLD = SecretUse("default", "stripe", "deadbeef", 1, 100, 100, 90)


async def test_the_first_sight_stays_and_the_latest_signature(database: Database):
    """Given one process that wrote a later signature than another: it stays, and so does since when it is known."""
    store = SqlSecretStore()
    for use in (NEW, OLD, OLD._replace(since=200, said_at=200, last_at=180), OLD._replace(since=210, said_at=210)):
        await database.write(lambda tx, use=use: store.put(tx, use))
    await database.write(lambda tx: store.put(tx, NEW._replace(said_at=300, place=2)))
    await database.write(lambda tx: store.put(tx, OLD._replace(said_at=300, last_at=None)))

    assert sorted(await database.read(lambda tx: store.all(tx, None))) == [
        NEW._replace(said_at=300, place=2),
        OLD._replace(said_at=300, last_at=180),
    ]


async def test_a_secret_that_had_signed_nothing_has_signed_then(database: Database):
    store = SqlSecretStore()
    await database.write(lambda tx: store.put(tx, NEW))
    await database.write(lambda tx: store.put(tx, NEW._replace(last_at=5)))

    assert [use.last_at for use in await database.read(lambda tx: store.all(tx, None))] == [5]


async def test_several_that_write_at_once_leave_the_latest(database: Database):
    store = SqlSecretStore()
    moments = [50, 400, 120, 399]
    await asyncio.gather(*(database.write(lambda tx, at=at: store.put(tx, NEW._replace(last_at=at))) for at in moments))

    assert [use.last_at for use in await database.read(lambda tx: store.all(tx, None))] == [400]


async def test_each_tenant_and_source_has_its_own(database: Database):
    store = SqlSecretStore()
    others = [NEW._replace(tenant="acme"), NEW._replace(source="stripe-eu", last_at=7)]
    for use in (NEW, *others):
        await database.write(lambda tx, use=use: store.put(tx, use))

    assert sorted(await database.read(lambda tx: store.all(tx, None))) == sorted([NEW, *others])
    assert await database.read(lambda tx: store.all(tx, "acme")) == [others[0]]


async def test_what_nobody_has_said_for_long_goes_in_pieces(database: Database):
    store = SqlSecretStore()
    for n in range(5):
        await database.write(lambda tx, n=n: store.put(tx, NEW._replace(fingerprint=f"{n:08x}", said_at=n)))

    assert await database.read(lambda tx: store.count_purgeable(tx, 4)) == 4
    assert await database.write(lambda tx: store.purge(tx, 4, 3)) == 3
    assert await database.write(lambda tx: store.purge(tx, 4, 3)) == 1
    assert [use.said_at for use in await database.read(lambda tx: store.all(tx, None))] == [4]
