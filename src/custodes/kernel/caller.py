"""Who calls an API, as its application says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls; every part may stay empty."""

    #: User id as the application knows it.
    user: str = ""
    #: Id of the API key, never the key itself.
    api_key: str = ""
    #: Tenant id; the default tenant when empty.
    tenant: str = ""
