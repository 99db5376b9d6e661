"""The past that benchmarks write is one that the planes can read: every question of the dashboard has an answer."""

from itertools import islice

import pytest
from benchmarks.dashboard import ask, questions
from benchmarks.history import install
from benchmarks.history.install import Size, fill

from custodes import Custodes
from custodes.kernel.clock import DAY
from custodes.testing.clock import FakeClock


async def test_every_question_of_the_dashboard_is_answered_from_the_beginning_of_a_past(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(install, "_chunks", lambda rows, size: [list(islice(rows, min(size, 400)))])
    custodes = Custodes(sqlite_url, clock=clock, enterprise_monitoring_enabled=False)
    await custodes.open()
    try:
        filled = await fill(custodes, Size(entries=400))
        timings = await ask(custodes, 1)
        now = clock.now()
        audit = await custodes.audit.get_audit_analytics(now - 91 * DAY, now)
    finally:
        await custodes.close()

    assert all(filled.rows.values())
    assert [timing.question for timing in timings] == list(questions(custodes, now))
    assert audit.total == 400
