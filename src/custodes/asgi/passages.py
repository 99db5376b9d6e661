"""What requests and doors are held in: slots of Python, or structs of the compiled twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from custodes.asgi.http_passage import HttpPassage
from custodes.asgi.observation import DOOR_FIELDS, Door
from custodes.asgi.passage import FIELDS
from custodes.kernel.compiled import twin


class SlottedPassage(HttpPassage):
    """An HTTP request, all in Python."""

    __slots__ = FIELDS


class SlottedDoor(Door):
    """What all requests through one middleware need, all in Python."""

    __slots__ = DOOR_FIELDS


_twin = twin("custodes.asgi._passage")

if TYPE_CHECKING or _twin is None:
    #: What each HTTP request is held in, and what each middleware has its door in.
    EachPassage, EachDoor = SlottedPassage, SlottedDoor
else:

    class CompiledPassage(_twin.Passing, HttpPassage):
        """An HTTP request, what is usual of it compiled."""

        __slots__ = ()
        observation = _twin.Observation

    class CompiledDoor(_twin.DoorFields, Door):
        """What all requests through one middleware need, where the twin has it at hand."""

        __slots__ = ()

    EachPassage, EachDoor = CompiledPassage, CompiledDoor
