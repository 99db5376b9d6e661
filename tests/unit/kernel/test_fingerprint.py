"""Which failures are the same failure."""

import asyncio
import json

import pytest

from custodes.kernel.fingerprint import fingerprint, places, type_name


class OutOfStock(Exception):
    pass


def reserve(item: str) -> None:
    raise OutOfStock(item)


def checkout(item: str) -> None:
    reserve(item)


def refund(item: str) -> None:
    reserve(item)


def caught(function, *arguments) -> BaseException:
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error
    raise AssertionError("nothing was raised")


def test_the_message_does_not_part_failures():
    assert fingerprint(caught(checkout, "cup")) == fingerprint(caught(checkout, "kettle"))


def test_the_way_through_the_code_does():
    assert fingerprint(caught(checkout, "cup")) != fingerprint(caught(refund, "cup"))


def test_the_type_does():
    def other() -> None:
        raise KeyError("cup")

    def one() -> None:
        raise IndexError("cup")

    one.__code__ = one.__code__.replace(co_qualname=other.__code__.co_qualname)
    assert fingerprint(caught(one)) != fingerprint(caught(other))


def test_lines_and_files_do_not():
    # Given the same function, once as it was and once after an edit above it, in another directory
    source = "def f():\n    raise ValueError\n"
    spaces = [{"__name__": "shop"}, {"__name__": "shop"}]
    exec(compile(source, "/srv/a/shop.py", "exec"), spaces[0])
    exec(compile("\n\n# a comment\n" + source, "/srv/b/shop.py", "exec"), spaces[1])

    assert fingerprint(caught(spaces[0]["f"])) == fingerprint(caught(spaces[1]["f"]))


def test_frames_of_libraries_are_left_out():
    error = caught(json.loads, "{")

    assert type_name(error) == "json.decoder.JSONDecodeError"
    assert places(error) == [f"{__name__}:caught"]


def test_a_failure_within_a_library_alone_still_has_a_place():
    error = caught(json.loads, "{")
    error.__traceback__ = error.__traceback__.tb_next  # as if the server had called the library

    assert places(error)[0] == "json:loads"


def test_the_depth_of_a_recursion_does_not_matter():
    def sink(depth: int) -> None:
        if depth == 0:
            raise ValueError
        sink(depth - 1)

    assert fingerprint(caught(sink, 3)) == fingerprint(caught(sink, 300))


def test_causes_count():
    def wrapped() -> None:
        try:
            reserve("cup")
        except OutOfStock as error:
            raise RuntimeError from error

    def bare() -> None:
        try:
            reserve("cup")
        except OutOfStock:
            raise RuntimeError from None

    bare.__code__ = bare.__code__.replace(co_qualname=wrapped.__code__.co_qualname)
    assert fingerprint(caught(wrapped)) != fingerprint(caught(bare))


async def test_the_order_of_failing_tasks_does_not_matter():
    async def fails(kind: type[Exception], turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise kind

    async def group(*failures: tuple[type[Exception], int]) -> BaseException:
        try:
            async with asyncio.TaskGroup() as tasks:
                for failure in failures:
                    tasks.create_task(fails(*failure))
        except ExceptionGroup as error:
            return error
        raise AssertionError

    one = await group((ValueError, 0), (KeyError, 0))
    other = await group((KeyError, 0), (ValueError, 0))
    different = await group((KeyError, 0), (IndexError, 0))

    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(different)


def test_a_circle_of_causes_ends():
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    assert fingerprint(first).startswith("1.")


def test_an_endless_recursion_is_grouped_quickly():
    def forever() -> None:
        forever()

    assert fingerprint(caught(forever)) == fingerprint(caught(forever))


@pytest.mark.parametrize("error", [ValueError("never raised"), ExceptionGroup("empty of frames", [KeyError("x")])])
def test_an_exception_without_frames_has_a_group(error):
    assert len(fingerprint(error)) == len("1.") + 32
