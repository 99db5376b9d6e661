"""Rows come to the same figures, whoever folds them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import SECOND
from custodes.planes.traffic import consumers, folding, recorder
from custodes.planes.traffic.batch import seal
from custodes.planes.traffic.recorder import Recorder
from custodes.testing.traffic import exchange

AT = 1_790_000_000 * SECOND

exchanges = st.lists(
    st.fixed_dictionaries(
        {
            "started_at": st.sampled_from([AT, AT + 1, AT + 9 * SECOND, AT + 10 * SECOND, AT - 1]),
            "tenant": st.sampled_from(["default", "acme"]),
            "route": st.sampled_from([None, "/items/{id}"]),
            "method": st.sampled_from(["GET", "POST", "BREW"]),
            "status": st.sampled_from([200, 404, 429, 500, 0]),
            "total_us": st.sampled_from([0, 1, 50, 4_095, 4_096, 80_000, 10**9, 10**13]),
            "ttfb_us": st.sampled_from([0, 3, 5_000]),
            "background_us": st.sampled_from([0, 999, 1_000, 70_000]),
            "request_bytes": st.sampled_from([0, 5]),
            "response_bytes": st.sampled_from([0, 70, 2**40]),
            "client_ip": st.sampled_from(["203.0.113.1", "203.0.113.2", ""]),
            "user": st.sampled_from(["", "ann"]),
            "limited_by": st.sampled_from(["", "", "login"]),
            "disconnected": st.booleans(),
        }
    ),
    max_size=40,
)


def figures(monkeypatch: pytest.MonkeyPatch, functions: Any, tally: Any, made: list[dict[str, Any]]) -> Any:
    """Record exchanges and tell all that came of them."""
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "folding", functions)
        patch.setattr(consumers, "Tally", tally)
        one = Recorder(max_series=3)
        for fields in made:
            one.record(exchange(**fields))
        batch = seal("batch", one.take(), random.Random(1).getrandbits)
    return (
        {
            series: (
                {name: getattr(each, name) for name in each.__slots__ if name not in ("total", "ttfb", "statuses")},
                each.statuses,
                each.total.encode(),
                each.ttfb.encode(),
            )
            for series, each in batch.rollups.items()
        },
        batch.calls,
        (one.recorded, one.overflowed, one.shed),
    )


class PlainTally:
    """Requests of one consumer; what ``consumers.py`` has where nothing is compiled."""

    def __init__(self) -> None:
        self.count = self.client_errors = self.server_errors = self.limited = self.response_bytes = 0

    def add(self, other: PlainTally) -> None:
        for name in ("count", "client_errors", "server_errors", "limited", "response_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=exchanges)
def test_they_come_to_the_same(folding_twin: Any, monkeypatch: pytest.MonkeyPatch, made: list[dict[str, Any]]):
    plain = figures(monkeypatch, folding, PlainTally, made)
    quick = figures(monkeypatch, folding_twin, folding_twin.Tally, made)

    assert quick == plain


@pytest.mark.parametrize("intake", ["intake", "record"])
def test_what_waits_is_folded_when_there_is_enough(folding_twin: Any, intake: str):
    """Given as many exchanges as are folded together, one of which failed; then none waits, and all are counted."""
    one = Recorder()
    take_in = getattr(one, intake)
    for number in range(recorder.FOLD_EVERY):
        take_in(exchange(started_at=AT, error=KeyError("x") if number == 7 else None))

    assert (len(one._fresh), one._recorded, len(one._calls)) == (0, recorder.FOLD_EVERY, recorder.FOLD_EVERY)
    assert [row[folding.ERROR_GROUP] != "" for row in one._calls.take()].count(True) == 1
