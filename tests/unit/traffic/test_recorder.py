"""The hot path: what is counted, what is kept, and what happens when there is too much of anything."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import pytest

from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.planes.traffic import recorder as module
from custodes.planes.traffic.batch import Batch, seal
from custodes.planes.traffic.model import Exchange
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import ALL_NAMED, OTHER, OVERFLOW_SERIES, UNMATCHED, Figures, Keyspace, Series
from custodes.testing.traffic import exchange

AT = 1_790_000_000 * SECOND


def sealed(recorder: Recorder) -> Batch:
    return seal("batch", recorder.take(), random.Random(1).getrandbits)


def of(batch: Batch, keyspace: Keyspace, name: str = "", *, tenant: str = "default", method: str = "") -> Figures:
    return batch.rollups[Series(tenant, keyspace, AT, name, method)]


def test_a_request_is_counted_in_its_endpoint_and_in_the_total():
    recorder = Recorder()
    recorder.record(exchange(started_at=AT, status=404, total_us=2_000, request_bytes=5, response_bytes=70))
    batch = sealed(recorder)

    for figures in (of(batch, Keyspace.ENDPOINT, "/items/{id}", method="GET"), of(batch, Keyspace.TOTAL)):
        assert (figures.count, figures.client_errors, figures.server_errors) == (1, 1, 0)
        assert (figures.request_bytes, figures.response_bytes) == (5, 70)
        assert (figures.timed, figures.total_sum, figures.total_min, figures.total_max) == (1, 2_000, 2_000, 2_000)
        assert figures.statuses == {404: 1}
        assert figures.total.count == figures.ttfb.count == 1


def test_requests_that_no_route_matched_are_one_series():
    recorder = Recorder()
    for number in range(5_000):
        recorder.record(exchange(started_at=AT, route=None, path=f"/wp-admin/{number}.php", status=404))
    batch = sealed(recorder)

    assert of(batch, Keyspace.ENDPOINT, UNMATCHED, method="GET").count == 5_000
    assert len([series for series in batch.rollups if series.keyspace is Keyspace.ENDPOINT]) == 1


def test_a_refused_request_is_counted_and_not_timed():
    """A 429 takes microseconds: under attack it would make every percentile look splendid."""
    recorder = Recorder()
    recorder.record(exchange(started_at=AT, total_us=80_000))
    recorder.record(exchange(started_at=AT, status=429, total_us=20, limited_by="login"))
    total = of(sealed(recorder), Keyspace.TOTAL)

    assert (total.count, total.limited, total.timed, total.total_min) == (2, 1, 1, 80_000)
    assert total.total.count == 1


def test_a_websocket_counts_and_does_not_stretch_the_times_of_requests():
    recorder = Recorder()
    recorder.record(exchange(started_at=AT, total_us=1_000))
    recorder.record(exchange(started_at=AT, kind="websocket", method="WEBSOCKET", status=101, total_us=HOUR))
    batch = sealed(recorder)

    assert of(batch, Keyspace.TOTAL).count == 2
    assert of(batch, Keyspace.TOTAL).total_max == 1_000
    assert of(batch, Keyspace.ENDPOINT, "/items/{id}", method="WEBSOCKET").total_max == HOUR


def test_an_exception_is_a_server_error_whatever_the_status_said_before():
    """Given an answer that broke off in the middle, when it had said 200, then it is an error all the same."""
    recorder = Recorder()
    recorder.record(exchange(started_at=AT, status=200, error=RuntimeError("broken off")))
    batch = sealed(recorder)

    assert of(batch, Keyspace.TOTAL).server_errors == 1
    assert of(batch, Keyspace.ERROR, batch.sightings[0].seen.digest).count == 1
    assert batch.calls[0][21:23] == (batch.sightings[0].seen.digest, "RuntimeError: broken off")


def test_neither_the_exchange_nor_the_exception_is_kept():
    recorder = Recorder()

    class Big(Exception):
        pass

    def fail() -> None:
        try:
            raise Big
        except Big as error:
            kept.append(weakref.ref(error))
            recorder.record(exchange(error=error, status=500))

    kept: list[weakref.ref[BaseException]] = []
    fail()
    gc.collect()

    assert kept[0]() is None
    assert "Big" in sealed(recorder).sightings[0].traceback


def test_invented_methods_are_one_series():
    recorder = Recorder()
    for number in range(50):
        recorder.record(exchange(started_at=AT, method=f"HACK{number}"))

    assert of(sealed(recorder), Keyspace.ENDPOINT, "/items/{id}", method="(other)").count == 50


def test_too_many_series_flow_into_one_that_shows():
    """Given room for ten series, when a host names its routes by path, then the rest is visible and nothing is lost."""
    recorder = Recorder(max_series=10)
    for number in range(25):
        recorder.record(exchange(started_at=AT, route=f"/items/{number}"))
    batch = sealed(recorder)

    assert of(batch, Keyspace.ENDPOINT, OVERFLOW_SERIES, method="(other)").count == 15
    assert of(batch, Keyspace.TOTAL).count == 25
    assert recorder.overflowed == 15


def test_series_are_forgotten_after_their_hour():
    recorder = Recorder(max_series=1)
    recorder.record(exchange(started_at=AT, route="/old"))
    recorder.record(exchange(started_at=AT + HOUR, route="/new"))
    names = {series.name for series in sealed(recorder).rollups if series.keyspace is Keyspace.ENDPOINT}

    assert names == {"/old", "/new"}


def test_rows_are_shed_and_counted_when_nobody_takes_them_and_errors_find_room_longer():
    recorder = Recorder(max_calls=100)
    for _ in range(200):
        recorder.record(exchange())
    for _ in range(30):
        recorder.record(exchange(status=500))
    batch = sealed(recorder)

    assert len(batch.calls) == 100
    assert sum(call[6] == 500 for call in batch.calls) == 20
    assert recorder.calls.shed == 130
    assert batch.recorded == 230


def test_memory_is_bounded_when_the_store_is_away_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_WINDOWS", 3)
    recorder = Recorder()
    for window in range(5):
        recorder.record(exchange(started_at=AT + window * 10 * SECOND))

    assert recorder.shed == 2
    assert sealed(recorder).recorded == 3


def test_statuses_do_not_multiply_without_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_FOLDS", 5)
    recorder = Recorder()
    for status in range(200, 210):
        recorder.record(exchange(started_at=AT, status=status))

    assert recorder.shed == 5


def test_late_and_early_requests_go_where_they_belong():
    recorder = Recorder()
    for at in (AT, AT - DAY, AT, AT - DAY):
        recorder.record(exchange(started_at=at))
    rollups = sealed(recorder).rollups

    assert rollups[Series("default", Keyspace.TOTAL, AT, "", "")].count == 2
    assert rollups[Series("default", Keyspace.TOTAL, AT - DAY, "", "")].count == 2


def test_named_tenants_are_added_up_for_everybody_together():
    recorder = Recorder()
    for tenant in ("acme", "acme", "umbrella", "default"):
        recorder.record(exchange(started_at=AT, tenant=tenant))
    batch = sealed(recorder)

    assert of(batch, Keyspace.TOTAL, tenant="acme").count == 2
    assert of(batch, Keyspace.TOTAL, tenant="umbrella").count == 1
    assert of(batch, Keyspace.TOTAL, tenant="default").count == 1
    assert of(batch, Keyspace.TOTAL, tenant=ALL_NAMED).count == 3


def test_rotating_addresses_stay_bounded_and_the_heavy_ones_stand_out():
    """Given 20,000 addresses of one request each and one of 500, then the heavy one leads and no request is lost."""
    recorder = Recorder()
    for number in range(20_000):
        recorder.record(exchange(started_at=AT, client_ip=f"2001:db8::{number:x}"))
        if number % 40 == 0:
            recorder.record(exchange(started_at=AT, client_ip="198.51.100.1", user="mallory"))
    batch = sealed(recorder)
    addresses = {series.name: figures for series, figures in batch.rollups.items() if series.keyspace is Keyspace.IP}

    assert addresses["198.51.100.1"].count == 500
    assert len(addresses) == 101
    assert sum(figures.count for figures in addresses.values()) == 20_500
    assert addresses[OTHER].count == 20_500 - 500 - 99
    assert of(batch, Keyspace.USER, "mallory").count == 500


def test_threads_may_record_at_once():
    recorder = Recorder()
    calls = [exchange(started_at=AT) for _ in range(2_000)]

    def work() -> None:
        for call in calls:
            recorder.record(call)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = of(sealed(recorder), Keyspace.TOTAL)

    assert total.count == total.total.count == 8_000
    assert total.total_sum == 8_000_000


def test_an_exchange_that_cannot_be_settled_is_counted_and_harms_no_other():
    class Unsettled(Exchange):
        def settle(self) -> None:
            raise ValueError

    recorder, unsettled = Recorder(), Unsettled()
    unsettled.error = None
    recorder.record(exchange(started_at=AT))
    recorder.record(unsettled)
    recorder.record(exchange(started_at=AT))

    assert (recorder.recorded, recorder.shed) == (2, 1)
    assert of(sealed(recorder), Keyspace.TOTAL).count == 2


def test_many_kinds_of_errors_are_bounded_and_still_counted():
    recorder = Recorder()
    for number in range(150):
        kind = type(f"Error{number}", (Exception,), {})
        recorder.record(exchange(started_at=AT, error=kind(), status=500))
    batch = sealed(recorder)

    assert len(batch.sightings) == 100
    assert of(batch, Keyspace.ERROR, "(overflow)").count == 50


def test_a_traceback_is_captured_once_a_kind():
    recorder = Recorder()
    for _ in range(3):
        recorder.record(exchange(error=KeyError("a"), status=500))
    first = sealed(recorder)
    recorder.record(exchange(error=KeyError("b"), status=500))
    second = sealed(recorder)

    assert len(first.sightings) == len(second.sightings) == 1
    assert "KeyError" in first.sightings[0].traceback
    assert second.sightings[0].traceback == ""


def test_secrets_in_messages_are_masked():
    recorder = Recorder()
    recorder.record(exchange(error=ValueError("password=hunter2-and-more"), status=500))
    batch = sealed(recorder)

    assert "hunter2" not in batch.calls[0][22]
    assert "hunter2" not in batch.sightings[0].traceback


def test_an_exception_that_cannot_be_shown_is_recorded_all_the_same():
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    recorder = Recorder()
    recorder.record(exchange(error=Unspeakable(), status=500))

    assert sealed(recorder).calls[0][22].endswith("Unspeakable")


def test_rows_folded_together_say_what_rows_folded_one_by_one_say(monkeypatch: pytest.MonkeyPatch):
    """Given a thousand requests of every kind, when each is folded at once or all in hundreds, then nothing differs."""
    chance = random.Random(7)
    calls = [
        exchange(
            started_at=AT + chance.randrange(30) * SECOND,
            route=chance.choice(["/a", "/b", None]),
            status=chance.choice([200, 200, 404, 429, 500]),
            total_us=chance.choice([-1, 0, 700, 4_095, 4_096, 2 * SECOND]),
            ttfb_us=chance.randrange(10_000),
            client_ip=f"203.0.113.{chance.randrange(9)}",
            limited_by=chance.choice(["", "", "login"]),
            disconnected=chance.random() < 0.1,
            error=KeyError("x") if chance.random() < 0.1 else None,
        )
        for _ in range(1_000)
    ]
    batches: list[Batch] = []
    for together in (1, module.FOLD_EVERY):
        monkeypatch.setattr(module, "FOLD_EVERY", together)
        recorder = Recorder(max_calls=500)
        for call in calls:
            recorder.record(call)
        batches.append(sealed(recorder))
        assert recorder.recorded == 1_000
        assert recorder.calls.shed == 1_000 - len(batches[-1].calls)
    one_by_one, at_once = batches

    assert {series: figures.total for series, figures in one_by_one.rollups.items()} == {
        series: figures.total for series, figures in at_once.rollups.items()
    }
    names = [name for name in Figures.__slots__ if name not in ("total", "ttfb")]
    assert {series: [getattr(figures, name) for name in names] for series, figures in one_by_one.rollups.items()} == {
        series: [getattr(figures, name) for name in names] for series, figures in at_once.rollups.items()
    }
    assert [call[:23] for call in one_by_one.calls] == [call[:23] for call in at_once.calls]


def test_figures_are_whole_at_any_time():
    """Given rows that are not folded yet, when somebody looks, then they are in."""
    recorder = Recorder()
    for number in range(1, module.FOLD_EVERY + 10):
        recorder.record(exchange())
        if number in (1, module.FOLD_EVERY, module.FOLD_EVERY + 3):
            assert (recorder.recorded, len(recorder.calls)) == (number, number)


def test_a_flush_is_asked_for_once_when_rows_pile_up():
    asked: list[int] = []
    recorder = Recorder()
    recorder.calls.on_pressure = lambda: asked.append(1)
    for _ in range(module.PRESSING_CALLS + 5 * module.FOLD_EVERY):
        recorder.record(exchange())

    assert len(asked) == 1
