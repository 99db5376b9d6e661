"""The order of the suite itself: nothing is left out, and each worker begins with what takes long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.order import LONG, shared_out


@dataclass(frozen=True)
class Test:
    nodeid: str
    __test__ = False


def suite_of(**counts: int) -> list[Test]:
    return [Test(f"tests/{kind}/test_{n}.py::test") for kind, count in sorted(counts.items()) for n in range(count)]


SUITES = (
    suite_of(acceptance=5, browser=4, contract=3, drills=1, integration=6, property=2, unit=30),
    suite_of(browser=40, unit=3),
    suite_of(integration=20, unit=1, docs=1),
    suite_of(unit=7),
    [],
)


@pytest.mark.parametrize("suite", SUITES, ids=len)
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_every_test_is_there_once(suite: list[Test], workers: int):
    ordered = shared_out(suite, workers)

    assert len(ordered) == len(suite)
    assert set(ordered) == set(suite)


def test_each_share_begins_with_the_long_ones_of_its_kind_in_their_order():
    suite = SUITES[0]
    ordered = shared_out(suite, 3)

    shares = [ordered[:17], ordered[17:34], ordered[34:]]
    for share, folders in zip(shares, LONG, strict=True):
        head = [one for one in suite if one.nodeid.split("/")[1] in folders]
        assert share[: len(head)] == head
        assert all("/unit/" in one.nodeid for one in share[len(head) :])
