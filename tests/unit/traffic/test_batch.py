"""What a flush writes: ids, storable texts."""

from __future__ import annotations

import random
from uuid import UUID

from custodes.kernel.clock import SECOND
from custodes.kernel.ids import uuid7_time
from custodes.planes.traffic.batch import Batch, seal
from custodes.planes.traffic.consumers import Consumers
from custodes.planes.traffic.model import CALL_FIELDS
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import ALL_NAMED, KEPT_CONSUMERS, OTHER, Keyspace, Series, keep_heaviest
from custodes.testing.traffic import exchange

AT = 1_790_000_000 * SECOND


def rows(*fields: dict[str, object]) -> list[dict[str, object]]:
    recorder = Recorder()
    for one in fields:
        recorder.record(exchange(**one))
    batch = seal("batch", recorder.take(), random.Random(1).getrandbits)
    return [dict(zip((*CALL_FIELDS, "error_group", "error_text", "id"), call, strict=True)) for call in batch.calls]


def test_every_row_gets_a_uuid7_of_its_moment():
    made = rows(*({"started_at": AT + number * 700} for number in range(500)))
    ids = [UUID(str(row["id"])) for row in made]

    assert {(one.version, one.variant) for one in ids} == {(7, "specified in RFC 4122")}
    assert len(set(ids)) == 500
    assert [str(one) for one in ids] == sorted(str(one) for one in ids)
    assert all(uuid7_time(str(row["id"])) == row["started_at"] // 1_000 * 1_000 for row in made)


def test_texts_that_no_store_takes_are_made_storable():
    """NUL (PostgreSQL), halves of surrogate pairs (SQLite's driver), and paths of any length."""
    nul, half, long, plain = rows(
        {"path": "/a\0b"}, {"user_agent": "\udc80x"}, {"path": "/" + "x" * 9_000}, {"path": "/ü"}
    )

    assert nul["path"] == "/a\ufffdb"
    assert half["user_agent"] == "?x"
    assert len(str(long["path"])) == 2_048
    assert plain["path"] == "/ü"


def test_errors_that_quote_what_is_no_text_are_made_storable():
    """A file name that is no UTF-8 comes as halves of surrogate pairs (PEP 383), as does the error that quotes it."""
    recorder = Recorder()
    recorder.record(exchange(error=OSError("no file \udcff\0"), status=500))
    batch = seal("batch", recorder.take(), random.Random(1).getrandbits)

    [sighting], [call] = batch.sightings, batch.calls
    assert call[-2] == "OSError: no file ?\ufffd"
    texts = "".join(str(field) for field in call) + sighting.traceback + sighting.seen.title
    assert texts.encode().decode() == texts
    assert "\0" not in texts


def test_an_error_is_called_by_the_function_that_raised_it_not_by_where_python_has_it():
    def refund() -> None:
        raise KeyError("x")

    recorder = Recorder()
    try:
        refund()
    except KeyError as error:
        recorder.record(exchange(error=error, status=500))
    [sighting] = seal("batch", recorder.take(), random.Random(1).getrandbits).sightings

    assert sighting.seen.title == f"KeyError in refund ({__name__})"


def test_an_empty_batch_says_so():
    assert Batch("batch").is_empty
    assert seal("batch", Recorder().take(), random.Random(1).getrandbits).is_empty


def test_figures_are_made_of_consumers_that_are_kept_and_the_others_are_together():
    """Given 900 users of the default tenant, one of whom calls twice, When they are written, Then figures
    were made of as many as are kept by name and of all others together, and each request is in one of them."""
    consumers = Consumers()
    for number in range(900):
        calls = 2 if number == 7 else 1
        consumers.meet([("default", "", f"user-{number}", "")] * calls, [10] * calls)

    figures = consumers.figures(AT)

    assert len(figures) == KEPT_CONSUMERS + 1
    assert sum(one.count for one in figures.values()) == 901
    assert sum(one.response_bytes for one in figures.values()) == 9_010
    assert figures[Series("default", Keyspace.USER, AT, "user-7", "")].count == 2
    assert figures[Series("default", Keyspace.USER, AT, OTHER, "")].count == 901 - KEPT_CONSUMERS - 1
    assert keep_heaviest(figures).keys() == figures.keys()


def test_a_user_who_is_light_in_each_tenant_and_heavy_in_all_together_is_known_by_name():
    recorder = Recorder()
    for tenant in ("a", "b", "c"):
        for number in range(150):
            for _ in range(2):
                recorder.record(exchange(started_at=AT, tenant=tenant, user=f"{tenant}{number}", client_ip=""))
        recorder.record(exchange(started_at=AT, tenant=tenant, user="everywhere", client_ip=""))

    rollups = seal("batch", recorder.take(), random.Random(1).getrandbits).rollups

    users = {series.name: one.count for series, one in rollups.items() if series[:2] == (ALL_NAMED, Keyspace.USER)}
    assert users["everywhere"] == 3
    assert sum(users.values()) == 903
