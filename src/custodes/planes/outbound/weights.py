"""Whose deliveries get more than one place a round."""

from __future__ import annotations

import re
from collections.abc import Iterable

from custodes.errors import ConfigurationError
from custodes.kernel.tenant import valid_tenant

#: Places a round: 1 to 100.
_PLACES = re.compile(r"[1-9][0-9]?|100")


def parse_weights(entries: Iterable[str]) -> dict[str, int]:
    """Read ``CUSTODES_OUTBOUND_WEIGHTS``: ``acme=3``, one entry for a tenant.

    Returns:
        Places a round, by tenant.

    Raises:
        ConfigurationError: an entry names no tenant or no number of places.
    """
    weights: dict[str, int] = {}
    for entry in entries:
        tenant, _, places = entry.partition("=")
        if not valid_tenant(tenant) or not _PLACES.fullmatch(places):
            msg = f"CUSTODES_OUTBOUND_WEIGHTS has {entry[:100]!r}"
            raise ConfigurationError(msg, remedy="Write a tenant with its places a round, 1 to 100: acme=3,globex=2")
        weights[tenant] = int(places)
    return weights
