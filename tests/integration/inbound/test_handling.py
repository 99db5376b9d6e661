"""From an accepted event to a handler that is done with it: retries, dead letters, crashes, fairness."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from custodes.errors import ConfigurationError, InvalidInput, Permanent
from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import HOUR, SECOND
from custodes.planes.inbound import processor, threads
from custodes.planes.inbound.model import EventFilter, Outcome, Status, WebhookEvent
from custodes.planes.inbound.processor import MAX_LOST
from custodes.runtime.current import current_trace
from custodes.runtime.jobs import SUSPECT_AFTER, Claim
from custodes.storage.sql.jobs import SqlJobs

QUICK = Backoff(base=SECOND, factor=2.0, cap=60 * SECOND, jitter=0.0)


async def test_a_handler_gets_the_event_once(house):
    got: list[WebhookEvent] = []

    @house.inbound.webhook("stripe", "invoice.paid")
    async def handler(event: WebhookEvent) -> None:
        got.append(event)

    receipt = await house.deliver("evt_1", amount=5)
    await house.inbound.worker.run_due()
    await house.inbound.worker.run_due()

    [event] = got
    assert (event.id, event.source, event.event_id, event.type) == (receipt.event_id, "stripe", "evt_1", "invoice.paid")
    assert (event.attempt, event.verified, event.received_at) == (1, True, house.clock.now())
    assert event.json()["amount"] == 5
    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.attempts, record.error) == (Status.SUCCEEDED, 1, None)


async def test_many_simultaneous_deliveries_of_one_event_are_handled_once(house):
    runs: list[str] = []

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        runs.append(event.id)

    receipts = await asyncio.gather(*(house.deliver("evt_1") for _ in range(100)))
    await house.inbound.worker.run_due()
    receipts += [await house.deliver("evt_1")]
    await house.inbound.worker.run_due()

    assert len({receipt.event_id for receipt in receipts}) == 1
    assert sum(receipt.first for receipt in receipts) == 1
    assert len(runs) == 1


async def test_a_plain_function_runs_in_a_thread_and_knows_the_trace(house):
    seen: dict[str, object] = {}

    @house.inbound.webhook("stripe")
    def handler(event: WebhookEvent) -> None:
        trace = current_trace()
        seen.update(thread=threading.current_thread(), trace=trace.trace_id if trace else "", event=event.trace_id)

    await house.deliver()
    await house.inbound.worker.run_due()

    assert seen["thread"] is not threading.main_thread()
    assert seen["trace"] == seen["event"] != ""


async def test_the_trace_of_the_request_goes_on_inside_an_async_handler(house):
    seen: list[str] = []

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        await asyncio.sleep(0)
        trace = current_trace()
        assert trace is not None
        seen.append(trace.trace_id)

    await house.deliver()
    await house.inbound.worker.run_due()

    assert seen == ["0af7651916cd43dd8448eb211c80319c"]
    assert current_trace() is None


async def test_a_failure_is_tried_again_with_growing_waits_until_it_succeeds(house):
    failures = 3

    @house.inbound.webhook("stripe", backoff=QUICK)
    async def handler(event: WebhookEvent) -> None:
        if event.attempt <= failures:
            raise RuntimeError(f"not yet: password=hunter2secret {event.attempt}")

    receipt = await house.deliver()
    for attempt in (1, 2, 3):
        assert await house.inbound.worker.run_due() == 1
        record = await house.inbound.get_event(receipt.event_id)
        assert (record.status, record.attempts) == (Status.FAILED, attempt)
        assert record.next_retry_at == house.clock.now() + 2 ** (attempt - 1) * SECOND
        assert "RuntimeError" in record.error
        assert "hunter2secret" not in record.error
        house.clock.advance(2 ** (attempt - 1) * SECOND - 1)
        assert await house.inbound.worker.run_due() == 0
        house.clock.advance(1)
    await house.inbound.worker.run_due()

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.attempts, record.error) == (Status.SUCCEEDED, 4, None)
    attempts = await house.inbound.list_attempts(receipt.event_id)
    assert [attempt.outcome for attempt in attempts] == [Outcome.SUCCEEDED, *[Outcome.FAILED] * 3]


async def test_out_of_attempts_is_a_dead_letter_and_an_alert(house):
    @house.inbound.webhook("stripe", backoff=QUICK, max_attempts=3)
    async def handler(event: WebhookEvent) -> None:
        raise ValueError("no")

    receipt = await house.deliver()
    for _ in range(5):
        await house.inbound.worker.run_due()
        house.clock.advance(HOUR)

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.attempts) == (Status.DEAD, 3)
    assert house.actions().count("webhook.dead_lettered") == 1


async def test_permanent_is_given_up_at_once(house):
    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        raise Permanent("no such customer")

    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.attempts) == (Status.DEAD, 1)
    assert "no such customer" in record.error


async def test_of_several_handlers_each_succeeds_once(house):
    """Given one of three handlers fails at first and one for good, then a retry calls neither of those that ended."""
    runs: list[str] = []

    @house.inbound.webhook("stripe", "invoice.*", name="good")
    async def good(event: WebhookEvent) -> None:
        runs.append("good")

    @house.inbound.webhook("*", "*", name="flaky", backoff=QUICK)
    async def flaky(event: WebhookEvent) -> None:
        runs.append("flaky")
        if event.attempt == 1:
            raise RuntimeError

    @house.inbound.webhook("stripe", "invoice.paid", name="hopeless")
    async def hopeless(event: WebhookEvent) -> None:
        runs.append("hopeless")
        raise Permanent("never")

    receipt = await house.deliver()
    await house.inbound.worker.run_due()
    assert (await house.inbound.get_event(receipt.event_id)).status is Status.FAILED
    house.clock.advance(HOUR)
    await house.inbound.worker.run_due()

    assert runs == ["good", "flaky", "hopeless", "flaky"]
    record = await house.inbound.get_event(receipt.event_id)
    assert record.status is Status.DEAD
    assert record.handlers_done == {
        "good": Outcome.SUCCEEDED,
        "flaky": Outcome.SUCCEEDED,
        "hopeless": Outcome.PERMANENT,
    }


async def test_each_handler_has_attempts_and_waits_of_its_own(house):
    """
    Given a handler that is called again after a second, eight times, and one after an hour, three times,
    When both fail at every attempt,
    Then each is called when its own wait is over, as often as it says.
    """
    runs: dict[str, list[int]] = {"fast": [], "slow": []}
    begun = house.clock.now()

    @house.inbound.webhook("stripe", name="fast", max_attempts=8, backoff=Backoff(base=SECOND, cap=SECOND, jitter=0.0))
    async def fast(event: WebhookEvent) -> None:
        runs["fast"].append((house.clock.now() - begun) // SECOND)
        raise RuntimeError("fast")

    @house.inbound.webhook("stripe", name="slow", max_attempts=3, backoff=Backoff(base=HOUR, cap=HOUR, jitter=0.0))
    async def slow(event: WebhookEvent) -> None:
        runs["slow"].append((house.clock.now() - begun) // SECOND)
        raise RuntimeError("slow")

    receipt = await house.deliver()
    for _ in range(10):
        record = await house.inbound.get_event(receipt.event_id)
        house.clock.advance(max(0, (record.next_retry_at or 0) - house.clock.now()))
        assert await house.inbound.worker.run_due() == 1

    record = await house.inbound.get_event(receipt.event_id)
    assert record.status is Status.DEAD
    assert runs == {"fast": [0, 1, 2, 3, 4, 5, 6, 7], "slow": [0, 3600, 7200]}
    assert record.handlers_done == {"fast": Outcome.FAILED, "slow": Outcome.FAILED}


async def test_an_event_that_nobody_wants_has_succeeded(house):
    @house.inbound.webhook("stripe", "charge.*")
    async def handler(event: WebhookEvent) -> None:
        raise AssertionError

    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.handlers_done, record.processing_us) == (Status.SUCCEEDED, {}, None)


@pytest.mark.parametrize("kind", ["async", "sync", "stubborn"])
async def test_a_handler_that_takes_too_long_is_cut_off(house, kind: str):
    release = threading.Event()

    async def slow(event: WebhookEvent) -> None:
        await asyncio.sleep(60)

    def blocking(event: WebhookEvent) -> None:
        release.wait(60)

    async def stubborn(event: WebhookEvent) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            raise RuntimeError("on my own terms") from None

    function = {"async": slow, "sync": blocking, "stubborn": stubborn}[kind]
    house.inbound.webhook("stripe", timeout=0.02)(function)
    receipt = await house.deliver()
    await house.inbound.worker.run_due()
    release.set()

    [attempt] = await house.inbound.list_attempts(receipt.event_id)
    assert attempt.outcome is Outcome.TIMED_OUT
    assert (await house.inbound.get_event(receipt.event_id)).status is Status.FAILED


async def test_an_event_for_which_there_is_no_thread_is_given_back_and_not_counted(house, monkeypatch):
    """Given that all threads of a source hang, then what it sends waits, and its handlers are not said to be slow."""
    runs: list[str] = []

    @house.inbound.webhook("stripe", max_attempts=1)
    def handler(event: WebhookEvent) -> None:
        runs.append(event.event_id)

    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(threads, "MOST", 0)
    receipt = await house.deliver()
    await house.inbound.worker.run_due()
    waiting = await house.inbound.get_event(receipt.event_id)
    assert (waiting.status, waiting.attempts) == (Status.RECEIVED, 0)
    assert "No thread is free" in waiting.error

    monkeypatch.setattr(threads, "MOST", 64)
    house.clock.advance(processor.NO_THREAD)
    await house.inbound.worker.run_due()

    done = await house.inbound.get_event(receipt.event_id)
    assert (runs, done.status, done.attempts) == (["evt_1"], Status.SUCCEEDED, 1)


async def test_threads_that_hang_are_a_figure_of_the_health(house):
    release = threading.Event()

    @house.inbound.webhook("stripe", timeout=0.02)
    def handler(event: WebhookEvent) -> None:
        release.wait(60)

    for number in range(4):
        await house.deliver(f"evt_{number}")
    await house.inbound.worker.run_due()
    health = await house.inbound.get_health_status()
    release.set()

    assert health.figures["lost_threads"] == 4
    assert "Handlers that hang in their threads" in str(health.reasons)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("error", [SystemExit("bye"), asyncio.CancelledError(), MemoryError(), RecursionError()])
async def test_nothing_that_a_handler_raises_harms_the_server(house, error: BaseException, is_async: bool):
    async def coroutine(event: WebhookEvent) -> None:
        raise error

    def plain(event: WebhookEvent) -> None:
        raise error

    house.inbound.webhook("stripe")(coroutine if is_async else plain)
    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    event = await house.inbound.get_event(receipt.event_id)
    assert event.status is Status.FAILED
    assert type(error).__name__ in event.error
    assert "custodes." not in event.error
    assert house.inbound.worker.running == 0


def plainly(function: Callable[[WebhookEvent], Any]) -> Callable[[WebhookEvent], Any]:
    """Wrap a function as decorators do that know nothing of coroutines: the wrapper is a plain function."""

    def wrapper(event: WebhookEvent) -> Any:
        return function(event)

    return wrapper


def hastily(function: Callable[[WebhookEvent], Any]) -> Callable[[WebhookEvent], Any]:
    """Wrap a function as somebody does who forgot an ``await``."""

    async def wrapper(event: WebhookEvent) -> Any:
        return function(event)

    return wrapper


@pytest.mark.parametrize("wrapped", [plainly, hastily])
async def test_an_async_function_runs_also_behind_a_wrapper_that_does_not_await_it(house, wrapped):
    """Given a coroutine that nobody awaits, nothing of it runs, and the event would count as handled."""
    seen: list[object] = []

    async def works(event: WebhookEvent) -> None:
        await asyncio.sleep(0)
        trace = current_trace()
        seen.append(trace.trace_id if trace else "")

    async def fails(event: WebhookEvent) -> None:
        raise ValueError("no")

    async def hangs(event: WebhookEvent) -> None:
        await asyncio.Event().wait()

    house.inbound.webhook("stripe", "it.works", name="works")(wrapped(works))
    house.inbound.webhook("stripe", "it.fails", name="fails")(wrapped(fails))
    house.inbound.webhook("stripe", "it.hangs", name="hangs", timeout=0.05)(wrapped(hangs))
    ids = [(await house.deliver(f"evt_{how}", f"it.{how}")).event_id for how in ("works", "fails", "hangs")]
    await house.inbound.worker.run_due()

    records = [await house.inbound.get_event(each) for each in ids]
    assert seen == [records[0].trace_id]
    assert [record.status for record in records] == [Status.SUCCEEDED, Status.FAILED, Status.FAILED]
    assert [record.error for record in records[1:]] == [
        "fails: ValueError: no",
        "hangs: TimeoutError: It took longer than 0.05 s",
    ]


async def test_a_handler_that_yields_is_refused_and_behind_a_wrapper_it_fails(house):
    """Calling a generator runs nothing of it."""

    def plain(event: WebhookEvent) -> Any:
        yield event

    async def coroutine(event: WebhookEvent) -> Any:
        yield event

    for function in (plain, coroutine):
        with pytest.raises(ConfigurationError, match="it is a generator"):
            house.inbound.webhook("stripe")(function)
    house.inbound.webhook("stripe", name="wrapped")(plainly(plain))
    house.inbound.webhook("stripe", name="wrapped-async")(plainly(coroutine))
    house.inbound.webhook("stripe", name="hasty")(hastily(plain))
    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    record = await house.inbound.get_event(receipt.event_id)
    assert record.status is Status.FAILED
    assert record.error.count("The handler is a generator") == 3


async def test_an_error_that_cannot_be_shown_is_recorded_all_the_same(house):
    class Mean(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        raise Mean

    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    assert "Mean" in (await house.inbound.get_event(receipt.event_id)).error


async def test_an_error_that_no_store_takes_as_it_is_counts_as_any_other(house):
    """A file name that is no UTF-8 comes as halves of surrogate pairs (PEP 383), as does the error that quotes it."""
    runs: list[str] = []

    @house.inbound.webhook("stripe", name="good")
    async def good(event: WebhookEvent) -> None:
        runs.append("good")

    @house.inbound.webhook("stripe", name="bad", backoff=QUICK, max_attempts=2)
    async def bad(event: WebhookEvent) -> None:
        runs.append("bad")
        raise RuntimeError("no such file \udcff.txt")

    receipt = await house.deliver()
    for _ in range(3):
        await house.inbound.worker.run_due()
        house.clock.advance(HOUR)

    assert runs == ["good", "bad", "bad"]
    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.error) == (Status.DEAD, "bad: RuntimeError: no such file ?.txt")


async def test_an_attempt_counts_also_when_what_came_of_it_can_never_be_written(house, monkeypatch):
    """Given words that get past what makes them storable, then nobody is called more often than it asked for."""
    runs: list[str] = []

    @house.inbound.webhook("stripe", name="good")
    async def good(event: WebhookEvent) -> None:
        runs.append("good")

    @house.inbound.webhook("stripe", name="bad", backoff=QUICK, max_attempts=2)
    async def bad(event: WebhookEvent) -> None:
        runs.append("bad")
        raise RuntimeError("\udcff")

    monkeypatch.setattr(processor, "storable", str)
    receipt = await house.deliver()
    for _ in range(3):
        await house.inbound.worker.run_due()
        house.clock.advance(HOUR)

    assert runs == ["good", "bad", "bad"]
    record = await house.inbound.get_event(receipt.event_id)
    assert record.status is Status.DEAD
    assert record.error.startswith("What came of it could not be written")


async def test_what_the_host_tells_of_its_events_is_made_storable_or_refused(house):
    record = await house.inbound.log_webhook_event("partner", "order.paid", b"{}")

    record = await house.inbound.update_webhook_status(record.id, Status.FAILED, error="no such file \udcff\0")

    assert record.error == "no such file ?\ufffd"
    with pytest.raises(InvalidInput, match="event_id"):
        await house.inbound.log_webhook_event("partner", "order.paid", b"{}", event_id="\udcff")


# ── Crashes ──────────────────────────────────────────────────────────────────


async def test_the_events_of_a_dead_worker_are_taken_over_when_its_lease_ends(house, random_bits):
    runs: list[int] = []

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        runs.append(event.attempt)

    receipt = await house.deliver()
    # Given another process leased the event and was killed
    await die_while_handling(house, 1)
    record = await house.inbound.get_event(receipt.event_id)
    assert record.status is Status.PROCESSING

    assert await house.inbound.worker.run_due() == 0
    house.clock.advance(30 * SECOND)
    assert await house.inbound.worker.run_due() == 1

    assert runs == [2]
    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


async def test_an_event_that_kills_its_workers_is_given_up_and_spares_the_others(house):
    receipt = await house.deliver("evt_poison")
    for _ in range(MAX_LOST):
        assert await die_while_handling(house, 1) == 1
        house.clock.advance(30 * SECOND)
    await house.deliver("evt_fine")

    await house.inbound.worker.run_due()

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.attempts) == (Status.DEAD, MAX_LOST + 1)
    assert f"{MAX_LOST} workers" in record.error
    page = await house.inbound.list_events(EventFilter(event_id="evt_fine"))
    assert page.items[0].status is Status.SUCCEEDED


async def test_suspects_are_handled_one_at_a_time(house):
    together: list[int] = []
    under_way = 0

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        nonlocal under_way
        under_way += 1
        together.append(under_way)
        await asyncio.sleep(0)
        under_way -= 1

    for number in range(4):
        await house.deliver(f"evt_{number}")
    for _ in range(SUSPECT_AFTER):
        assert await die_while_handling(house, 4) == 4
        house.clock.advance(30 * SECOND)
    for _ in range(8):
        house.clock.advance(30 * SECOND)
        await house.inbound.worker.run_due()

    assert together == [1, 1, 1, 1]


async def test_a_worker_that_lost_its_lease_settles_nothing(house):
    """Given a frozen process wakes up after its lease, then what it says of the event has no effect."""

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        house.clock.advance(31 * SECOND)
        await die_while_handling(house, 1)
        raise RuntimeError("from the frozen one")

    receipt = await house.deliver()
    await house.inbound.worker.claim()
    await asyncio.gather(*(task for _, task in list(house.inbound.worker._running.values())))

    record = await house.inbound.get_event(receipt.event_id)
    assert (record.status, record.error) == (Status.PROCESSING, None)
    assert house.inbound.worker.fenced == 1
    assert await house.inbound.list_attempts(receipt.event_id) == []


async def test_a_long_handler_keeps_its_lease(house):
    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        for _ in range(5):
            house.clock.advance(20 * SECOND)
            await house.inbound.worker.renew()
            assert await die_while_handling(house, 1) == 0

    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


async def test_clock_jumps_neither_lose_nor_double_an_event(house):
    runs: list[str] = []

    @house.inbound.webhook("stripe", backoff=QUICK)
    async def handler(event: WebhookEvent) -> None:
        runs.append(event.event_id)
        if event.event_id == "evt_jump" and event.attempt == 1:
            house.clock.jump(HOUR)  # leases of this very process seem to have ended
            await house.inbound.worker.claim()
            raise RuntimeError

    await house.deliver("evt_jump")
    await house.inbound.worker.run_due()
    assert runs == ["evt_jump"]

    # Given the retry was written by a clock a month ahead, which was then set right
    house.clock.jump(30 * 24 * HOUR)
    await house.deliver("evt_ahead")
    await house.inbound.worker.claim()
    await asyncio.gather(*(task for _, task in list(house.inbound.worker._running.values())))
    house.clock.jump(-31 * 24 * HOUR)
    await house.inbound.worker.run_due()
    house.clock.advance(HOUR)
    await house.inbound.worker.run_due()

    assert runs.count("evt_jump") == 2
    assert runs.count("evt_ahead") == 1


# ── Life ─────────────────────────────────────────────────────────────────────


async def test_started_it_handles_what_arrives_without_being_asked(house):
    handled = asyncio.Event()

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        handled.set()

    await house.inbound.start()
    await house.inbound.start()
    await house.deliver()

    async with asyncio.timeout(60):
        await handled.wait()


async def test_stop_lets_handlers_end(house):
    began, ended = asyncio.Event(), []

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        began.set()
        await asyncio.sleep(0.02)
        ended.append(event.id)

    await house.inbound.start()
    receipt = await house.deliver()
    await began.wait()
    await house.inbound.stop()

    assert ended == [receipt.event_id]
    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


async def test_stop_gives_back_what_does_not_end_so_that_another_takes_it_at_once(house):
    began = asyncio.Event()

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        began.set()
        await asyncio.sleep(60)

    await house.inbound.start()
    await house.deliver()
    await began.wait()
    await house.inbound.worker.stop(drain_seconds=0.01)

    assert await die_while_handling(house, 1) == 1


async def test_two_handlers_of_one_name_are_refused(house):
    house.inbound.webhook("stripe", name="same")(print)

    with pytest.raises(ConfigurationError, match="two webhook handlers"):
        house.inbound.webhook("stripe", name="same")(print)


@pytest.mark.parametrize("names", [(print,), (None,), ("stripe", ["invoice.paid", "charge.refunded"])])
async def test_a_handler_that_names_no_source_or_several_types_is_refused_at_once(house, names):
    """Without parentheses the decorator gets the function: nothing was registered, and nothing was said."""
    with pytest.raises(ConfigurationError, match="names its source and one type"):
        house.inbound.webhook(*names)


async def test_a_handler_of_a_source_that_is_not_there_is_told_at_the_start(house, caplog: pytest.LogCaptureFixture):
    house.inbound.webhook("strpe", name="typo")(print)
    house.inbound.webhook("*", name="every")(print)
    house.inbound.webhook("stripe", name="right")(print)

    await house.inbound.start()
    await house.inbound.stop()

    told = [record.getMessage() for record in caplog.records if "handler_without_source" in record.getMessage()]
    assert len(told) == 1
    assert "typo" in told[0]


async def die_while_handling(house, limit: int) -> int:
    """Lease due events as another process would, and never be heard of again."""
    now = house.clock.now()
    jobs = SqlJobs()

    def work(tx):
        taken = jobs.claim(tx, "webhook", {"stripe": limit}, Claim("dead", now, now, now + 30 * SECOND))
        house.inbound._events.begin(tx, [lease.ref for lease in taken])
        return len(taken)

    return await house.database.write(work)
