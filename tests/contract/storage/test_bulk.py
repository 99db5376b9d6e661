"""Many rows in one statement: the same on every engine, whatever is in them."""

import json
from typing import Any

import pytest
from sqlalchemy import event, select

from custodes.storage.sql.bulk import insert_rows, update_rows, upsert_rows
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.outbound import webhook_delivery_attempts as attempts
from custodes.storage.sql.tables.outbound import webhook_message_bodies as bodies
from custodes.storage.sql.tables.outbound import webhook_messages as messages

ODD = ["", "plain", "'; DROP TABLE x; --", '{"a", NULL}', "NULL", "\\", "ü 💡 %s %(id)b", "a\nb\t\r", "x" * 5_000]


def attempt(number: int, **values: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("dns_us", "connect_us", "tls_us", "first_byte_us", "total_us", "started_at"), 0)
    texts = {"tenant_id": "t", "delivery_id": "d", "configuration_id": "c", "url": "u", "error": "", "excerpt": ""}
    return {**plain, **texts, "number": number, "succeeded": True, "status": None, **values}


async def rows_of(database: Database, table: Any, *order: Any) -> list[dict[str, Any]]:
    query = select(table).order_by(*order)
    return await database.read(lambda tx: [dict(row) for row in connection_of(tx).execute(query).mappings()])


async def test_rows_come_back_as_they_were_given(database: Database) -> None:
    """Texts of every kind, numbers of every size, none, true and false."""
    given = [
        attempt(number, error=text, status=number or None, succeeded=bool(number % 2), total_us=2**62 * (number % 2))
        for number, text in enumerate(ODD)
    ]
    await database.write(lambda tx: insert_rows(connection_of(tx), attempts, given))
    found = await rows_of(database, attempts, attempts.c.number)
    assert [{name: row[name] for name in given[0]} for row in found] == given


async def test_bytes_and_json_come_back_as_they_were_given(database: Database) -> None:
    kept = [
        {"tenant_id": "t", "message_id": str(number), "version": "", "body": body}
        for number, body in enumerate([b"", bytes(range(256)), b"\\x00", b"x" * 100_000])
    ]
    plain = dict.fromkeys(("order_key", "trace_id", "content_type", "event_type"), "")
    events = [
        {"tenant_id": "t", "id": str(number), "created_at": 1, "idempotency_key": None, "channels": value, **plain}
        for number, value in enumerate([[], ["a", "ü\u0000"], {"deep": [1, None, True]}])
    ]

    def work(tx: Any) -> None:
        insert_rows(connection_of(tx), bodies, kept)
        insert_rows(connection_of(tx), messages, events)

    await database.write(work)
    assert await rows_of(database, bodies, bodies.c.message_id) == kept
    found = await rows_of(database, messages, messages.c.id)
    assert json.dumps([row["channels"] for row in found]) == json.dumps([row["channels"] for row in events])


async def test_each_row_is_set_to_its_own_values_and_no_other(database: Database) -> None:
    given = [{"tenant_id": "t", "message_id": str(n), "version": "", "body": b"old"} for n in range(4)]
    await database.write(lambda tx: insert_rows(connection_of(tx), bodies, given))
    changes = [{"message_id": str(n), "body": b"new %d" % n, "version": f"v{n}"} for n in (2, 0, 9)]
    await database.write(lambda tx: update_rows(connection_of(tx), bodies, "message_id", changes))

    found = await rows_of(database, bodies, bodies.c.message_id)
    assert [(row["body"], row["version"]) for row in found] == [
        (b"new 0", "v0"), (b"old", ""), (b"new 2", "v2"), (b"old", ""),
    ]  # fmt: skip


async def test_a_row_may_be_set_to_what_is_made_of_the_old_value_and_the_new(database: Database) -> None:
    given = [attempt(number, total_us=10 * number) for number in range(3)]
    await database.write(lambda tx: insert_rows(connection_of(tx), attempts, given))
    more = [{"number": number, "total_us": 1, "error": "new"} for number in (0, 2)]
    sums = {"total_us": "{old} + {new}"}
    await database.write(lambda tx: update_rows(connection_of(tx), attempts, "number", more, sums))

    found = await rows_of(database, attempts, attempts.c.number)
    assert [(row["total_us"], row["error"]) for row in found] == [(1, "new"), (10, ""), (21, "new")]


async def test_rows_that_are_there_are_set_and_the_others_are_added(database: Database) -> None:
    first = [attempt(number, error="old", total_us=number) for number in range(200)]
    second = [attempt(number, error="new", total_us=number) for number in range(100, 300)]
    for given in (first, second, []):
        await database.write(lambda tx, given=given: upsert_rows(connection_of(tx), attempts, given))

    found = await rows_of(database, attempts, attempts.c.number)
    assert [(row["error"], row["total_us"]) for row in found] == [
        ("old" if number < 100 else "new", number) for number in range(300)
    ]


async def test_no_rows_are_no_statement_and_many_are_one(database: Database) -> None:
    statements: list[str] = []
    engine: Any = database
    event.listen(engine._writer_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def work(tx: Any) -> None:
        insert_rows(connection_of(tx), attempts, [])
        update_rows(connection_of(tx), attempts, "number", [])
        insert_rows(connection_of(tx), attempts, [attempt(number) for number in range(100)])

    await database.write(work)
    assert len([one for one in statements if "attempts" in one]) == 1


async def test_more_rows_than_one_statement_takes_are_all_there_in_their_order(database: Database) -> None:
    given = [attempt(number) for number in range(300)]

    await database.write(lambda tx: insert_rows(connection_of(tx), attempts, given))

    assert [row["number"] for row in await rows_of(database, attempts, attempts.c.number)] == list(range(300))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_a_text_with_nul_is_taken(database: Database) -> None:
    await database.write(lambda tx: insert_rows(connection_of(tx), attempts, [attempt(1, error="a\x00b")]))
    [row] = await rows_of(database, attempts, attempts.c.number)
    assert row["error"] == "a\ufffdb"
