"""Which tests each worker of ``make test`` begins with, so that all of them end at about the same time.

pytest-xdist gives each worker as many tests as the others, in the order in which they were collected, and whoever is
done takes over the last half of the longest queue. So each queue begins with tests that take long, of kinds that use
the same servers, and ends with those that take milliseconds: what is left to share at the end is fine-grained, and one
browser, one shop and one warm process are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

#: Folders of tests that take long, by what a worker needs for them: a browser; servers; databases.
LONG = (("browser",), ("acceptance", "drills", "servers"), ("integration", "contract", "property"))


class Item(Protocol):
    """What is asked of a test: where it is."""

    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=Item)


def shared_out(items: Sequence[T], workers: int) -> list[T]:
    """Return all tests in the order in which their equal shares begin with the long ones; those of a kind as they were.

    Args:
        items: the tests, as collected.
        workers: how many share them.
    """
    kinds = {folder: place % workers for place, folders in enumerate(LONG) for folder in folders}
    heads: list[list[T]] = [[] for _ in range(workers)]
    short: list[T] = []
    for item in items:
        folder = item.nodeid.split("/")[1] if "/" in item.nodeid else ""
        (heads[kinds[folder]] if folder in kinds else short).append(item)
    ordered: list[T] = []
    for place, head in enumerate(heads):
        size = (len(items) - len(ordered)) // (workers - place)
        short = head[size:] + short
        fill = max(0, size - len(head))
        ordered += head[:size] + short[:fill]
        short = short[fill:]
    return ordered
