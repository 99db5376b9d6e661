"""What a saved view may lead to: the dashboard's own places, and nowhere else."""

from __future__ import annotations

import pytest

from custodes.errors import InvalidInput
from custodes.planes.identity.places import MAX_PLACE, Tab, tab_of


@pytest.mark.parametrize(
    ("place", "tab"),
    [
        ("", Tab.OVERVIEW),
        ("/", Tab.OVERVIEW),
        ("?plane=traffic&from=now-6h", Tab.OVERVIEW),
        ("/webhooks?part=events&source=stripe&sort=webhook-events:-size", Tab.WEBHOOKS),
        ("/webhooks/endpoints/?q=a+b%22%3Cb%3E", Tab.WEBHOOKS),
        ("/api?from=2026-11-26T06:00:00.000Z&to=now&route=/orders/{id}&q=[x]|y", Tab.API),
        ("/audit/actors/user%3Aann%40example.com?tab=entries", Tab.AUDIT),
        ("/rate-limits/rules/login", Tab.RATE_LIMITS),
        ("/settings/alert-rules?open=disk-full", Tab.OVERVIEW),
        ("/metrics/orders.created?from=now-7d", Tab.OVERVIEW),
        ("/api?" + "x" * (MAX_PLACE - 5), Tab.API),
    ],
)
def test_a_place_is_of_the_tab_that_shows_it(place: str, tab: Tab) -> None:
    assert tab_of(place) is tab


@pytest.mark.parametrize(
    "place",
    [
        "javascript:alert(1)", "https://evil.example/api", "//evil.example/api", "/\\evil.example", "\\\\evil", "api",
        "/unknown", "/password", "/login?next=/api", "/API", "/traces/1",
        "/api/../../../elsewhere", "/api/%2e%2E/%2e./elsewhere", "/./api", "/api//x", "/%61pi/../x",
        "/api/..%2fx", "/api/a%5cb",
        "/api#part", "/api?x#y", "/api?q=<script>", '/api?q="', "/api?q=a b", "/api\n", "/api?q=\u00f6", "/api?q=\0",
        " /api",
        "/api?" + "x" * (MAX_PLACE - 4),
    ],
)  # fmt: skip
def test_anything_else_is_refused(place: str) -> None:
    with pytest.raises(InvalidInput):
        tab_of(place)


def test_a_long_row_of_segments_is_judged_at_once() -> None:
    """The pattern has no two ways to read one text, whatever comes at its end."""
    for piece in ("/a", "/%2e", "/", "?"):
        with pytest.raises(InvalidInput):
            tab_of("/api" + piece * ((MAX_PLACE - 5) // len(piece)) + "\n")
