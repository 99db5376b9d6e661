"""A question is answered as it was asked, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.routing import APIRoute

from custodes.errors import InvalidInput
from custodes.kernel.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant

#: Most characters of an unknown name that an error repeats.
_SHOWN = 64


async def only_known_parameters(request: Request) -> None:
    """Refuse what the route does not ask for: ``?statsu=failed`` would else answer with all that there is.

    Raises:
        InvalidInput: a query parameter is none of the route's.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = frozenset(_names(route.dependant))
    for name in request.query_params:
        if name not in known:
            short = name[:_SHOWN]
            msg = f"There is no parameter {short!r} here{nearest(short, known)}"
            takes = f"It takes {', '.join(sorted(known))}" if known else "It takes none"
            raise InvalidInput(msg, remedy=takes)


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for further in dependant.dependencies:
        yield from _names(further)
