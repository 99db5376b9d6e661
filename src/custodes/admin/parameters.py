"""A question is answered as it was asked, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args, get_origin

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

    And what it would not look at: of ``?state=firing&state=resolved`` only the last counts where one value is taken.

    Raises:
        InvalidInput: a query parameter is none of the route's, or is given more often than the route takes it.
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = dict(_parameters(route.dependant))
    given: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            short = name[:_SHOWN]
            msg = f"There is no parameter {short!r} here{nearest(short, known)}"
            takes = f"It takes {', '.join(sorted(known))}" if known else "It takes none"
            raise InvalidInput(msg, remedy=takes)
        if name in given and not known[name]:
            msg = f"The parameter {name!r} is given twice"
            raise InvalidInput(msg, remedy="It takes one value: ask once for each")
        given.add(name)


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield the names of all that a route takes, and whether it takes several values of it."""
    for field in dependant.query_params:
        yield field.alias, _is_list(field.field_info.annotation)
    for further in dependant.dependencies:
        yield from _parameters(further)


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))
