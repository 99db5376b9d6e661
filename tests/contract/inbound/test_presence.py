"""What the keeper of who handles webhooks promises (planes/inbound/ports.py), on every engine."""

from custodes.planes.inbound.model import Offer, Presence
from custodes.storage.sql.database import Database
from custodes.storage.sql.inbound_roster import SqlPresenceStore

OFFERS = [Offer("shop.on_paid", "stripe", "invoice.*"), Offer("все", "*", "*")]


async def test_what_a_process_says_replaces_what_it_said(database: Database):
    store = SqlPresenceStore()
    await database.write(lambda tx: store.say(tx, Presence("one", 1, OFFERS)))
    await database.write(lambda tx: store.say(tx, Presence("two", 1, [])))
    await database.write(lambda tx: store.say(tx, Presence("one", 2, OFFERS[:1])))

    assert sorted(await database.read(store.all)) == [Presence("one", 2, OFFERS[:1]), Presence("two", 1, [])]


async def test_only_what_is_still_said_is_forgotten(database: Database):
    store, before, now = SqlPresenceStore(), Presence("one", 1, OFFERS), Presence("one", 2, OFFERS)
    await database.write(lambda tx: store.say(tx, now))

    await database.write(lambda tx: store.forget(tx, before))
    assert await database.read(store.all) == [now]
    await database.write(lambda tx: store.forget(tx, now))

    assert await database.read(store.all) == []
