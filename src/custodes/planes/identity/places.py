"""Places of the dashboard: path and query below where it is mounted, and nothing that leads anywhere else."""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import unquote

from custodes.errors import InvalidInput


class Tab(StrEnum):
    """A tab of the dashboard."""

    OVERVIEW = "overview"
    WEBHOOKS = "webhooks"
    API = "api"
    AUDIT = "audit"
    RATE_LIMITS = "rate-limits"


#: First segment of a path → the tab that it is of; the routes.ts of each tab in web/src/planes have the same. Pages
#: that are in no tab of their own are of the overview.
SEGMENTS: dict[str, Tab] = {"": Tab.OVERVIEW, "settings": Tab.OVERVIEW, "metrics": Tab.OVERVIEW} | {
    tab.value: tab for tab in Tab if tab is not Tab.OVERVIEW
}

#: Longest place, characters: a view with all its filters.
MAX_PLACE = 2_048

#: Segments of ``pchar`` (RFC 3986 §3.3), then whatever printable ASCII browsers write into a query.
_PLACE = re.compile(r"((?:/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*/?)(\?[!$-;=?-\[\]^_a-z{|}~]*)?")

#: Segments that browsers take for the way up, once they are decoded (URL standard, "double-dot URL path segment"). A
#: decoded slash would hide one from us, and not from a proxy that decodes before it looks.
_WAYS_UP = frozenset({".", ".."})


def tab_of(place: str) -> Tab:
    """Tell which tab a place is of.

    Args:
        place: path and query as they stand in a URL: ``/api?part=calls&status=5``.

    Raises:
        InvalidInput: it is too long, or not a place of the dashboard.
    """
    if len(place) > MAX_PLACE:
        msg = f"The view's address has {len(place)} characters"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_PLACE}: take some filters out")
    found = _PLACE.fullmatch(place)
    segments = [unquote(segment) for segment in found[1].split("/")[1:]] if found else []
    tab = SEGMENTS.get(segments[0] if segments else "")
    if found is None or tab is None or any(one in _WAYS_UP or "/" in one or "\\" in one for one in segments):
        msg = "This is not the address of a view"
        raise InvalidInput(msg, remedy="Give path and query below the dashboard: /api?part=calls&status=5")
    return tab
