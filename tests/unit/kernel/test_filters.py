"""Filters of a question, as the audit trail tells them."""

from custodes.kernel.clock import SECOND
from custodes.kernel.filters import given
from custodes.planes.inbound.model import EventFilter, Status


def test_filters_are_told_as_people_ask_for_them():
    """Given a question for two states since a moment, then its filters are their words and the moment, not numbers."""
    asked = EventFilter(tenant="acme", status=(Status.FAILED, Status.DEAD), since=1_700_000_000 * SECOND)
    assert given(asked, "tenant") == {"status": "failed, dead", "since": "2023-11-14T22:13:20.000000Z"}
