"""The worker: fairness among lanes, setbacks, and a store that fails."""

import asyncio

import pytest

from custodes.errors import StorageUnavailable
from custodes.runtime.jobs import Lease, NewJob
from custodes.runtime.worker import SETBACK, Again, Done, Worker
from custodes.storage.sql.jobs import SqlJobs


class Doing:
    """Does what it is told, and notes what it did."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gate = asyncio.Event()
        self._progress = asyncio.Event()
        self.hangs: set[str] = set()
        self.raises: set[str] = set()
        self.written: list[list[str]] = []
        self.cannot_write: set[str] = set()

    def begin(self, tx, leases) -> None:
        pass

    def write(self, tx, results) -> None:
        self.written.append(list(results))
        if self.cannot_write & set(results):
            raise ValueError

    def plain(self, result: str, error: Exception) -> str:
        return f"{result}: {type(error).__name__}"

    async def do(self, lease: Lease) -> Done | Again:
        if lease.lane in self.hangs:
            await self.gate.wait()
        if lease.ref in self.raises:
            self.raises.discard(lease.ref)
            raise RuntimeError
        return Done(lease.ref, then=lambda: self._note(lease.ref))

    def _note(self, ref: str) -> None:
        self.done.append(ref)
        self._progress.set()

    async def until(self, count: int) -> None:
        """Wait until so many are done."""
        async with asyncio.timeout(60):
            while len(self.done) < count:
                self._progress.clear()
                await self._progress.wait()


@pytest.fixture
def doing() -> Doing:
    return Doing()


@pytest.fixture
def worker(database, clock, doing: Doing) -> Worker:
    return Worker("k", doing, store=database, jobs=SqlJobs(), clock=clock, owner=lambda: "w", concurrency=8)


async def put(database, clock, lane: str, count: int) -> None:
    jobs = SqlJobs()
    for number in range(count):
        job = NewJob("default", "k", f"{lane}{number}", lane, clock.now())
        await database.write(lambda tx, job=job: jobs.put(tx, job))


async def test_free_places_are_shared_among_lanes(database, clock, worker: Worker, doing: Doing):
    """A lane with a thousand jobs does not keep one with two waiting."""
    doing.hangs = {"busy"}
    await put(database, clock, "busy", 50)
    await put(database, clock, "calm", 2)

    await worker.claim()
    await doing.until(2)

    assert sorted(doing.done) == ["calm0", "calm1"]
    doing.gate.set()
    await worker.run_due()
    assert len(doing.done) == 52


async def test_what_ends_while_one_looks_leaves_nothing_undone(
    database, clock, worker: Worker, doing: Doing, monkeypatch: pytest.MonkeyPatch
):
    """Given a lane that has all it may have; when that ends during the look; what it made room for is done, too."""
    doing.hangs = {"busy"}
    await put(database, clock, "busy", 20)
    await worker.claim()
    write = database.write

    async def until_all_ended(work, **how):
        monkeypatch.setattr(database, "write", write)
        found = await write(work, **how)
        doing.gate.set()
        await doing.until(worker.lane_limit)
        await asyncio.gather(*(task for _, task in worker._running.values()))
        return found

    monkeypatch.setattr(database, "write", until_all_ended)
    await worker.run_due()

    assert len(doing.done) == 20


@pytest.mark.parametrize("turn", range(3))
async def test_one_claim_takes_all_that_there_are_places_for(database, clock, worker: Worker, turn: int):
    """What a lane leaves of its share goes to the others, whichever is asked first."""
    await put(database, clock, "a", 1)
    await put(database, clock, "b", 9)
    await put(database, clock, "c", 1)
    worker._turn = turn

    assert await worker.claim() == 8

    held = [lease.lane for lease, _ in worker._running.values()]
    assert (held.count("a"), held.count("b"), held.count("c")) == (1, 6, 1)
    await worker.run_due()


async def test_a_lane_that_hangs_leaves_places_to_the_others(database, clock, worker: Worker, doing: Doing):
    doing.hangs = {"stuck"}
    await put(database, clock, "stuck", 50)
    await worker.claim()
    await worker.claim()
    assert worker.running == worker.lane_limit == 6

    await put(database, clock, "fine", 10)
    for _ in range(10):
        await worker.claim()
        await doing.until(len(doing.done) + (len(doing.done) < 10))

    assert len(doing.done) == 10
    doing.gate.set()
    await worker.run_due()


async def test_what_fails_unexpectedly_is_tried_again_later(database, clock, worker: Worker, doing: Doing):
    doing.raises = {"a0"}
    await put(database, clock, "a", 1)

    await worker.run_due()
    assert (doing.done, worker.setbacks) == ([], 1)
    clock.advance(SETBACK)
    await worker.run_due()

    assert doing.done == ["a0"]


async def test_what_could_not_be_begun_is_no_attempt(database, clock, worker: Worker, doing: Doing):
    """Given a job that its doer could not even begin, some times, When it is done at last, Then all its attempts are
    left, and it is no suspect."""
    await put(database, clock, "a", 1)
    for _ in range(3):
        doing.raises = {"a0"}
        await worker.run_due()
        clock.advance(SETBACK)
    doing.raises, doing.hangs = set(), {"a"}

    await worker.claim()

    [(lease, _task)] = worker._running.values()
    assert (lease.attempts, lease.lost, worker.setbacks) == (0, 0, 3)
    doing.gate.set()
    await worker.run_due()


async def test_what_ends_together_is_settled_together(database, clock, worker: Worker, doing: Doing):
    await put(database, clock, "a", 6)

    await worker.run_due()

    assert [sorted(group) for group in doing.written] == [[f"a{number}" for number in range(6)]]
    assert worker.settled == 6


async def test_of_those_that_end_together_one_whose_lease_is_lost_settles_nothing(
    database, clock, worker: Worker, doing: Doing
):
    # Given jobs under way, of which one was taken over
    doing.hangs = {"a"}
    await put(database, clock, "a", 3)
    await worker.claim()
    [lost, *_] = [lease for lease, _ in worker._running.values()]
    await database.write(lambda tx: SqlJobs().again(tx, [(lost, clock.now() + SETBACK)]))

    # When all end
    doing.gate.set()
    await doing.until(2)
    await worker.stop()

    # Then what came of it is not written, and what came of the others is
    assert sorted(doing.written[0]) == sorted({"a0", "a1", "a2"} - {lost.ref})
    assert (worker.settled, worker.fenced) == (2, 1)


async def test_what_can_never_be_written_is_written_plainly(database, clock, worker: Worker, doing: Doing):
    """Given a result that the store refuses for good, then the job is settled all the same, once."""
    doing.cannot_write = {"a1"}
    await put(database, clock, "a", 3)

    await worker.claim()
    await doing.until(3)
    await worker.stop()

    assert ["a1: ValueError"] in doing.written
    backlog = await database.read(lambda tx: SqlJobs().backlog(tx, "k", clock.now()))
    assert (worker.settled, backlog.open) == (3, 0)


async def test_a_result_that_cannot_be_written_keeps_no_other_from_it(database, clock, worker: Worker, doing: Doing):
    doing.cannot_write = {"a1", "a1: ValueError"}
    await put(database, clock, "a", 3)

    await worker.claim()
    await doing.until(2)
    await worker.stop()

    assert sorted(doing.done) == ["a0", "a2"]
    backlog = await database.read(lambda tx: SqlJobs().backlog(tx, "k", clock.now()))
    assert (backlog.open, backlog.leased) == (1, 1)  # done again when its lease ends


async def test_the_loop_survives_a_store_that_fails(database, clock, worker: Worker, doing: Doing, monkeypatch):
    real, failures = worker._store.write, 0

    async def flaky(work, *, durable=True):
        nonlocal failures
        failures += 1
        if failures < 3:
            raise StorageUnavailable("down")
        return await real(work, durable=durable)

    monkeypatch.setattr(worker._store, "write", flaky)
    worker._looks.poll_seconds = 0.01
    await worker.start()
    jobs = SqlJobs()
    await real(lambda tx: jobs.put(tx, NewJob("default", "k", "a0", "a", clock.now())))
    async with asyncio.timeout(60):
        while not doing.done:
            await asyncio.sleep(0.01)
    await worker.stop()

    assert doing.done == ["a0"]
    assert failures >= 3


async def test_a_worker_without_places_does_nothing(database, clock, doing: Doing):
    worker = Worker("k", doing, store=database, jobs=SqlJobs(), clock=clock, owner=lambda: "w", concurrency=0)
    await put(database, clock, "a", 1)

    await worker.start()

    assert await worker.claim() == 0
    await worker.stop()


async def test_a_claim_that_fails_for_whatever_reason_does_not_end_the_worker(
    database, clock, worker: Worker, doing: Doing, monkeypatch: pytest.MonkeyPatch
):
    # Given a lane that cannot be judged, once
    claim = worker.claim
    failed = asyncio.Event()

    async def fails_once() -> int:
        if not failed.is_set():
            failed.set()
            raise OverflowError
        return await claim()

    monkeypatch.setattr(worker, "claim", fails_once)
    await worker.start()
    await failed.wait()

    # When a job comes
    await put(database, clock, "a", 1)
    worker.wake()

    # Then it is done
    await doing.until(1)
    assert worker.alive
    await worker.stop()


async def test_leases_are_renewed_after_a_failure_of_any_kind_and_while_the_worker_drains(
    database, clock, doing: Doing, monkeypatch: pytest.MonkeyPatch
):
    """Given a job that takes long, when a renewal fails, and when the worker stops, then its lease is renewed on."""
    worker = Worker("k", doing, store=database, jobs=SqlJobs(), clock=clock, owner=lambda: "w", lease=3_000)
    renewed = asyncio.Event()
    failures = iter([RuntimeError("the server is read-only")])

    async def renew() -> None:
        for failure in failures:
            raise failure
        renewed.set()

    monkeypatch.setattr(worker, "renew", renew)
    doing.hangs = {"long"}
    await put(database, clock, "long", 1)
    await worker.claim()
    await worker.start()
    await asyncio.wait_for(renewed.wait(), 60)
    assert worker.alive

    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    renewed.clear()
    await asyncio.wait({stopping, asyncio.create_task(renewed.wait())}, return_when=asyncio.FIRST_COMPLETED)
    assert renewed.is_set()

    doing.gate.set()
    await stopping
    assert doing.done == ["long0"]


async def test_others_are_told_of_what_there_is_no_place_for(database, clock, doing: Doing):
    """Given two free places, when three jobs are put in before anybody looks, then other processes are told; when one
    is put in, they are not; and when no place is free, they are at once."""
    told = asyncio.Event()
    worker = Worker(
        "k", doing, store=database, jobs=SqlJobs(), clock=clock, owner=lambda: "w", concurrency=2, tell=told.set
    )
    await worker.start()
    await put(database, clock, "a", 1)
    worker.brought()
    await doing.until(1)
    assert not told.is_set()
    while worker.running:  # what is done gives its place back a moment later
        await asyncio.sleep(0)

    doing.hangs = {"b", "c"}
    await put(database, clock, "b", 2)
    await put(database, clock, "c", 1)
    worker.brought()
    await asyncio.wait_for(told.wait(), 60)
    async with asyncio.timeout(60):
        while worker.running < 2:  # a look begun before "a" gave its place back tells with one place left
            await asyncio.sleep(0)

    told.clear()
    worker.brought()
    assert told.is_set()
    doing.gate.set()
    await worker.stop()
