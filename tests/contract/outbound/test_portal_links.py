"""What the store of portal links promises on every engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from custodes.errors import CustodesError, InvalidInput
from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.outbound.portal import PortalLink, Scope
from custodes.storage.sql.database import Database
from custodes.storage.sql.portal_links import SqlPortalLinkStore

AT = 1_790_000_000 * SECOND
store = SqlPortalLinkStore()


@pytest.fixture
def make(random_bits: Any):
    def link(seconds: int = 0, **fields: Any) -> PortalLink:
        at = AT + seconds * SECOND
        given: dict[str, Any] = {
            "id": uuid7(at, random_bits), "tenant": "acme", "scope": Scope.MANAGE, "channel": "shop 1",
            "note": "ö\n<b>",
            "max_endpoints": 3, "token_hash": random_bits(256).to_bytes(32, "big"),
            "session_hash": random_bits(256).to_bytes(32, "big"), "made_by": "user:ann", "created_at": at,
            "expires_at": at + DAY,
        }  # fmt: skip
        return PortalLink(**(given | fields))

    return link


async def test_a_link_is_found_by_its_token_its_session_and_its_id(database: Database, make: Any):
    link, other = make(), make(1)
    for one in (link, other):
        await database.write(lambda tx, one=one: store.add(tx, one))

    assert await database.read(lambda tx: store.by_token(tx, link.token_hash)) == link
    assert await database.read(lambda tx: store.by_session(tx, link.session_hash)) == link
    assert await database.read(lambda tx: store.find(tx, "acme", link.id)) == link
    assert await database.read(lambda tx: store.find(tx, None, link.id)) == link
    # The session is no token, the token no session, and another tenant has no such link
    assert await database.read(lambda tx: store.by_token(tx, link.session_hash)) is None
    assert await database.read(lambda tx: store.by_session(tx, link.token_hash)) is None
    assert await database.read(lambda tx: store.find(tx, "other", link.id)) is None


async def test_no_two_links_share_a_token(database: Database, make: Any):
    link = make()
    await database.write(lambda tx: store.add(tx, link))

    with pytest.raises((IntegrityError, CustodesError)):
        await database.write(lambda tx: store.add(tx, make(1, token_hash=link.token_hash)))


async def test_uses_and_the_end_are_noted(database: Database, make: Any):
    link, untouched = make(), make(1)
    for one in (link, untouched):
        await database.write(lambda tx, one=one: store.add(tx, one))

    await database.write(lambda tx: store.note_use(tx, link, AT + 5, opened=True))
    await database.write(lambda tx: store.note_use(tx, link, AT + 6, opened=False))
    await database.write(lambda tx: store.revoke(tx, link, AT + 7))
    await database.write(lambda tx: store.revoke(tx, link, AT + 8))

    found = await database.read(lambda tx: store.find(tx, "acme", link.id))
    assert found == replace(link, opened=1, last_used_at=AT + 6, revoked_at=AT + 7)
    assert await database.read(lambda tx: store.find(tx, "acme", untouched.id)) == untouched


async def test_pages_are_newest_first_and_of_one_tenant(database: Database, make: Any):
    links = [make(place) for place in range(5)]
    for one in [*links, make(9, tenant="other")]:
        await database.write(lambda tx, one=one: store.add(tx, one))

    first = await database.read(lambda tx: store.page(tx, "acme", 3, ""))
    rest = await database.read(lambda tx: store.page(tx, "acme", 3, first.next_cursor or ""))

    assert [*first.items, *rest.items] == links[::-1]
    assert rest.next_cursor is None
    assert len((await database.read(lambda tx: store.page(tx, None, 10, ""))).items) == 6
    with pytest.raises(InvalidInput):
        await database.read(lambda tx: store.page(tx, "acme", 3, "nonsense"))


async def test_what_expired_long_ago_is_removed_oldest_first(database: Database, make: Any):
    links = [make(place) for place in range(4)]
    for one in links:
        await database.write(lambda tx, one=one: store.add(tx, one))
    before = links[2].expires_at

    assert await database.read(lambda tx: store.count_purgeable(tx, before)) == 2
    assert await database.write(lambda tx: store.purge(tx, before, 1)) == 1
    assert await database.read(lambda tx: store.find(tx, None, links[0].id)) is None
    assert await database.write(lambda tx: store.purge(tx, before, 10)) == 1
    assert [one.id for one in (await database.read(lambda tx: store.page(tx, None, 10, ""))).items] == [
        links[3].id, links[2].id,
    ]  # fmt: skip
