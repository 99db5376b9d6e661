"""Summaries that many boards ask for at once are worked out once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope
from custodes.app import Custodes
from custodes.version import __version__

#: Works a summary out.
Compute = Callable[[], Awaitable[BaseModel]]


class Summary:
    """The answer of this request, from the moment before or worked out."""

    def __init__(self, custodes: Custodes, key: bytes) -> None:
        self._custodes = custodes
        self._key = key

    async def of(self, compute: Compute) -> Response:
        """Answer; what is asked, by which role and of which tenant, is the same for all who get the same answer."""

        async def written() -> bytes:
            return (await compute()).model_dump_json().encode()

        return Response(await self._custodes.summaries.answer(self._key, written), media_type="application/json")


def summary(request: Request, custodes: CustodesDep, principal: Admin, tenant: TenantScope) -> Summary:
    """Name what is asked: nobody is answered who may not ask, and nobody sees another tenant's."""
    asked = (__version__, request.scope["path"], principal.role.value, principal.tenant, tenant)
    query = sorted(request.query_params.multi_items())
    return Summary(custodes, blake2b(repr((asked, query)).encode("utf-8", "replace"), digest_size=20).digest())


#: The answer of this request.
SummaryDep = Annotated[Summary, Depends(summary)]
