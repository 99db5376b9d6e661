"""The catalogue: which events there are, what they mean, and what their payloads look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custodes.errors import Conflict, InvalidInput
from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.json_bounds import plain_json
from custodes.planes.outbound.model import EventType
from custodes.planes.outbound.ports import EventTypeStore
from custodes.planes.outbound.schema_bounds import Checker
from custodes.planes.outbound.schemas import breaking_changes, check_payload, checked_schema
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: How long what another process changed may go unnoticed, microseconds.
FRESH = 5 * SECOND

#: Most types, and longest name and description, characters.
MAX_TYPES = 2_000
MAX_NAME = 100
MAX_TEXT = 2_000

#: Types below it are our own: of endpoints and messages.
OWN_PREFIX = "custodes."

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Catalogue:
    """Keeps event types, and checks what is emitted by them. Types that it does not have may be emitted unchecked."""

    def __init__(self, store: Store, types: EventTypeStore, clock: Clock) -> None:
        self._store = store
        self._types = types
        self._clock = clock
        self._known: dict[str, EventType] = {}
        self._checkers: dict[str, tuple[EventType, Checker]] = {}
        self._read_at: int | None = None

    async def put(
        self,
        name: str,
        *,
        description: str = "",
        schema: Mapping[str, Any] | None = None,
        example: Any = None,
        archived: bool = False,
        force: bool = False,
        also: Work = nothing,
    ) -> EventType:
        """Put a type in, or change it.

        Args:
            name: ``order.shipped``.
            description: what it means.
            schema: what its payload looks like; None: anything goes.
            example: a payload as it may be; must be what the schema says.
            archived: it is not to be emitted any more.
            force: change the schema even where that can break receivers.
            also: commits with it.

        Raises:
            InvalidInput: the name, the schema or the example is not acceptable.
            Conflict: the change could break receivers, and is not forced.
        """
        checked_type(name)
        plain = None if schema is None else checked_schema(schema)
        example = plain_json(example)
        if len(description) > MAX_TEXT:
            msg = f"The description has {len(description)} characters"
            raise InvalidInput(msg, remedy=f"Use at most {MAX_TEXT}")
        if plain is not None and example is not None:
            check_payload(name, Checker(plain), example)

        def work(tx: Transaction) -> EventType:
            known = {one.name: one for one in self._types.all(tx)}
            old, now = known.get(name), self._clock.now()
            if old is None and len(known) >= MAX_TYPES:
                msg = f"The catalogue has {MAX_TYPES} types already"
                raise Conflict(msg, remedy="Use fewer types, and fields for the rest")
            if old is not None and old.schema is not None and not force:
                _refuse_breaks(name, old.schema, plain)
            made = EventType(
                name=name, description=description, schema=plain, example=example, archived=archived,
                created_at=now if old is None else old.created_at, updated_at=now,
            )  # fmt: skip
            self._types.put(tx, made)
            also(tx)
            return made

        made = await self._store.write(work)
        self._read_at = None
        return made

    async def all(self) -> Sequence[EventType]:
        """Return all types, by name."""
        return await self._store.read(self._types.all)

    async def check(self, name: str, payload: Callable[[], Any]) -> None:
        """Check what is to be emitted; the payload is asked for where there is a schema only.

        Raises:
            InvalidInput: the type is archived, or the payload is not what its schema says.
        """
        await self._refresh()
        known = self._known.get(name)
        if known is None:
            return
        if known.archived:
            msg = f"The event type {name} is archived"
            raise InvalidInput(msg, remedy="Emit its successor, or take it back into use")
        if known.schema is not None:
            cached = self._checkers.get(name)
            if cached is None or cached[0] != known:
                cached = self._checkers[name] = (known, Checker(known.schema))
            check_payload(name, cached[1], payload())

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at > FRESH:
            self._known = {one.name: one for one in await self.all()}
            self._read_at = now


def checked_type(name: str) -> str:
    """Check the name of an event type; returns it.

    Raises:
        InvalidInput: it is none.
    """
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        msg = f"{name[:MAX_NAME]!r} is not an event type"
        raise InvalidInput(msg, remedy="Write order.shipped: words of A–Z a–z 0–9 _ - joined by dots")
    return name


def _refuse_breaks(name: str, old: Mapping[str, Any], new: Mapping[str, Any] | None) -> None:
    breaks = ["anything may come"] if new is None else breaking_changes(old, new)
    if breaks:
        msg = f"The new schema of {name} can break receivers: {'; '.join(breaks[:5])}"
        raise Conflict(msg, remedy="Add fields instead, make a new event type, or force it")
