"""The group-commit writer: concurrent writers share a commit, and each gets its own answer."""

import asyncio
import threading

import pytest

from custodes.errors import StorageUnavailable
from custodes.runtime import writer as writer_module
from custodes.runtime.writer import GroupCommitWriter, Pending


class Disk:
    """A disk that commits when it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.may_commit = threading.Event()
        self.may_commit.set()
        self.committing = threading.Event()
        self.closed = False

    def commit(self, group: list[Pending[str]]) -> None:
        self.committing.set()
        assert self.may_commit.wait(10)
        self.groups.append([pending.payload for pending in group])
        for pending in group:
            if pending.payload == "poison":
                pending.fail(ValueError("poison"))
            else:
                pending.result = pending.payload.upper()

    def writer(self, **limits: int) -> GroupCommitWriter[str]:
        return GroupCommitWriter(self.commit, on_stop=self.stop, **limits)

    def stop(self) -> None:
        self.closed = True


async def when_committing(disk: Disk) -> None:
    await asyncio.to_thread(disk.committing.wait, 10)


async def arrivals(writer: GroupCommitWriter[str], expected: int) -> None:
    while writer.waiting < expected:
        await asyncio.sleep(0)


async def test_what_arrives_during_a_commit_forms_the_next_group():
    # Given a commit is under way
    disk = Disk()
    disk.may_commit.clear()
    writer = disk.writer()
    first = asyncio.create_task(writer.submit("a"))
    await when_committing(disk)

    # When three more arrive meanwhile
    others = [asyncio.create_task(writer.submit(name)) for name in "bcd"]
    await arrivals(writer, 3)
    disk.may_commit.set()

    # Then they share one commit, in order, and each gets its own answer
    assert await asyncio.gather(first, *others) == ["A", "B", "C", "D"]
    assert disk.groups == [["a"], ["b", "c", "d"]]
    writer.close()


async def test_a_payload_that_fails_does_not_harm_its_group():
    disk = Disk()
    disk.may_commit.clear()
    writer = disk.writer()
    first = asyncio.create_task(writer.submit("a"))
    await when_committing(disk)
    tasks = [asyncio.create_task(writer.submit(name)) for name in ("b", "poison", "c")]
    await arrivals(writer, 3)
    disk.may_commit.set()

    answers = await asyncio.gather(first, *tasks, return_exceptions=True)

    assert [str(answer) for answer in answers] == ["A", "B", "poison", "C"]
    writer.close()


async def test_a_writer_that_is_behind_refuses_instead_of_growing():
    disk = Disk()
    disk.may_commit.clear()
    writer = disk.writer(max_waiting=2)
    tasks = [asyncio.create_task(writer.submit("a"))]
    await when_committing(disk)
    tasks += [asyncio.create_task(writer.submit(name)) for name in "bc"]
    await arrivals(writer, 2)

    with pytest.raises(StorageUnavailable, match="2 writes are waiting"):
        await writer.submit("d")

    assert writer.refused == 1
    disk.may_commit.set()
    await asyncio.gather(*tasks)
    writer.close()


async def test_closing_commits_what_waits_and_refuses_what_comes_after():
    disk = Disk()
    writer = disk.writer()
    assert await writer.submit("a") == "A"

    await asyncio.to_thread(writer.close)

    assert disk.closed
    with pytest.raises(StorageUnavailable, match="closed"):
        await writer.submit("b")


async def test_a_cancelled_waiter_does_not_stop_the_others():
    disk = Disk()
    disk.may_commit.clear()
    writer = disk.writer()
    gone = asyncio.create_task(writer.submit("a"))
    await when_committing(disk)
    stays = asyncio.create_task(writer.submit("b"))
    await arrivals(writer, 1)

    gone.cancel()
    disk.may_commit.set()

    assert await stays == "B"
    assert disk.groups == [["a"], ["b"]]
    writer.close()


async def test_what_became_of_a_payload_is_told_once_however_its_waiter_ended(monkeypatch: pytest.MonkeyPatch):
    # Given one that waits, one that has left, one that gave up, and one that cannot be kept, all during a commit
    monkeypatch.setattr(writer_module, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(writer_module, "LOOK_SECONDS", 0.01)
    disk = Disk()
    disk.may_commit.clear()
    writer = disk.writer()
    told: list[tuple[object, str]] = []

    def tell(result: object, error: BaseException | None) -> None:
        told.append((result, str(error)))

    first = asyncio.ensure_future(writer.submit("a"))
    await when_committing(disk)
    waits, left, failed = [writer.hand_in(name, told=tell) for name in ("b", "c", "poison")]
    gave_up = writer.hand_in("d", patient=False, told=tell)
    left.cancel()
    with pytest.raises(StorageUnavailable, match="did not answer"):
        await gave_up
    assert told == []

    # When it ends
    disk.may_commit.set()
    await asyncio.gather(first, waits, failed, return_exceptions=True)

    # Then each was told once, with what became of it
    assert told == [("B", "None"), ("C", "None"), (None, "poison"), ("D", "None")]
    await asyncio.to_thread(writer.close)
    assert len(told) == 4


async def test_who_fails_when_told_harms_nobody():
    writer = Disk().writer()

    def fails(result: object, error: BaseException | None) -> None:
        raise RuntimeError("of the host")

    answers = await asyncio.gather(writer.hand_in("a", told=fails), writer.hand_in("b"))

    assert answers == ["A", "B"]
    writer.close()
