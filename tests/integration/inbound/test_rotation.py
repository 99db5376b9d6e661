"""When each secret of a source last signed: noted at the door, kept with the figures, told to who rotates."""

import pytest
from tests.integration.inbound.conftest import SEALER, SECRET, House

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.sealing import NoSealer
from custodes.planes.inbound.rotation_model import Standing
from custodes.planes.inbound.sources.registry import make_source
from custodes.storage.sql.database import Database
from custodes.storage.sql.inbound_rotation import SqlSecretStore
from custodes.testing.clock import FakeClock

OLD = "whsec_the_old_one"
STRIPE = ("default", "stripe")


def rotate(house: House) -> None:
    """Give the source a newer secret beside the one it had."""
    house.inbound._sources.clear()
    house.inbound.add_source(make_source("stripe", [SECRET, OLD]))


async def test_the_secret_that_signed_is_told(house: House, clock: FakeClock):
    """Given a source in rotation, whose sender signs with the old secret and then with the new one."""
    rotate(house)
    await house.inbound.rotation.say()
    started = clock.now()
    clock.advance(HOUR)
    await house.deliver("evt_1", secret=OLD)
    old_at = clock.now()
    before = (await house.inbound.rotation.list_secrets())[STRIPE]
    clock.advance(HOUR)
    await house.deliver("evt_2")
    await house.inbound.flush()
    after = (await house.inbound.rotation.list_secrets())[STRIPE]

    assert [(one.use.place, one.use.since, one.use.last_at, one.standing) for one in before] == [
        (0, started, None, Standing.AWAITED),
        (1, started, old_at, Standing.SIGNS),
    ]
    assert [one.use.last_at for one in after] == [clock.now(), old_at]
    assert len({one.use.fingerprint for one in after}) == 2


async def test_repeats_and_handshakes_count_and_refusals_do_not(house: House, clock: FakeClock):
    await house.deliver("evt_1")
    clock.advance(MINUTE)
    await house.deliver("evt_1")
    repeated = clock.now()
    clock.advance(MINUTE)
    with pytest.raises(Exception, match="explains"):
        await house.deliver("evt_2", secret="whsec_of_somebody_else")

    (one,) = (await house.inbound.rotation.list_secrets())[STRIPE]
    assert one.use.last_at == repeated


async def test_it_outlives_the_process_and_is_of_all_of_them(database: Database, clock: FakeClock, random_bits):
    """Given two processes, one of which has heard from the sender: both know, and so does one that starts later."""
    first, second = House(database, clock, random_bits), House(database, clock, random_bits, "w2")
    await first.deliver("evt_1")
    signed_at = clock.now()
    await first.inbound.flush()
    clock.advance(MINUTE)
    await second.inbound.flush()
    later = House(database, clock, random_bits, "w3")

    for one in (second, later):
        (secret,) = (await one.inbound.rotation.list_secrets())[STRIPE]
        assert secret.use.last_at == signed_at


async def test_nothing_is_written_where_nothing_signs(house: House):
    await house.inbound.rotation.say()
    assert list(await house.inbound.rotation.changed()) == []
    await house.deliver()
    assert len(await house.inbound.rotation.changed()) == 1
    assert list(await house.inbound.rotation.changed()) == []


async def test_a_monitor_that_runs_says_which_secrets_it_has(house: House, clock: FakeClock):
    await house.inbound.start()

    (one,) = (await house.inbound.rotation.list_said())[STRIPE]
    assert (one.use.since, one.use.last_at) == (clock.now(), None)


async def test_an_event_that_could_not_be_kept_says_nothing_of_secrets(house: House, monkeypatch):
    async def down(*_args):
        raise StorageUnavailable("down")

    monkeypatch.setattr(house.inbound._receiver._events, "accept", lambda arrival, told: down())
    with pytest.raises(StorageUnavailable):
        await house.deliver()

    assert list(await house.inbound.rotation.changed()) == []


async def test_what_could_not_be_written_is_written_later(house: House, clock: FakeClock, monkeypatch):
    await house.deliver("evt_1")
    signed_at = clock.now()
    store = house.inbound._store
    with monkeypatch.context() as broken:

        async def down(*_args, **_options):
            raise StorageUnavailable("down")

        broken.setattr(store, "write", down)
        with pytest.raises(StorageUnavailable):
            await house.inbound.flush()
    clock.advance(10 * SECOND)
    await house.inbound.flush()

    kept = await house.database.read(lambda tx: SqlSecretStore().all(tx, None))
    assert [use.last_at for use in kept] == [signed_at]


async def test_a_secret_is_not_to_be_found_in_what_is_kept(house: House):
    """Given the same secret in two sources: their fingerprints are not the same, nor those of another install."""
    house.inbound.add_source(make_source("stripe-eu", [SECRET], kind="stripe"))
    of = await house.inbound.rotation.list_secrets()
    without_key = House(house.database, house.clock, lambda bits: 1, "w2", sealer=NoSealer)
    slow = await without_key.inbound.rotation.list_secrets()

    prints = [of[STRIPE][0], of["default", "stripe-eu"][0], slow[STRIPE][0]]
    assert len({one.use.fingerprint for one in prints}) == 3
    assert all(len(bytes.fromhex(one.use.fingerprint)) == 4 for one in prints)
    assert SEALER.key_id not in {one.use.fingerprint for one in prints}


async def test_a_source_that_does_not_say_which_leaves_nothing(house: House, clock: FakeClock):
    """Given a source of the host's own that names no secret: nothing is said of its secrets."""
    (source,) = [each.source for each in house.inbound.list_sources()]
    for place in (None, "first", 7, -1, [0]):
        house.inbound.rotation.signed(source, place, clock.now())
    await house.inbound.flush()

    (one,) = (await house.inbound.rotation.list_secrets())[STRIPE]
    assert one.use.last_at is None


async def test_where_nothing_is_measured_nothing_is_said(database: Database, clock: FakeClock, random_bits):
    """Given figures from a time when webhooks were measured: now that they are not, no secret is judged by them."""
    before = House(database, clock, random_bits)
    await before.deliver("evt_1")
    await before.inbound.flush()
    clock.advance(30 * DAY)
    house = House(database, clock, random_bits, "w2", measured=False)
    await house.deliver("evt_2")
    await house.inbound.flush()

    (one,) = (await house.inbound.rotation.list_secrets())[STRIPE]
    assert (one.use.since, one.use.last_at) == (None, None)


async def test_secrets_that_are_gone_are_no_longer_among_those_that_are_there(house: House, clock: FakeClock):
    rotate(house)
    await house.inbound.rotation.say()
    both = await house.inbound.rotation.list_said()
    house.inbound._sources.clear()
    house.inbound.add_source(make_source("stripe", [SECRET]))
    for _ in range(4):
        clock.advance(5 * MINUTE)
        await house.inbound.rotation.say()
    one = await house.inbound.rotation.list_said()

    assert [len(both[STRIPE]), len(one[STRIPE])] == [2, 1]
    assert await house.inbound.rotation.count_purgeable(clock.now()) == 1
    assert await house.inbound.rotation.purge(clock.now(), 10) == 1
