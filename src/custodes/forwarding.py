"""Forwarding of incoming webhooks: composed from the verbs of the two planes, which do not know each other.

A source that is forwarded has a handler like those of the host: it puts the event in for the outgoing engine, and has
succeeded when that is on the disk. A handler that is tried again puts in nothing new; a replay does, on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from custodes.errors import ConfigurationError, NotFound, Permanent
from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import HOUR
from custodes.planes.inbound.model import Outcome, WebhookEvent
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.forwarding import Forward
from custodes.runtime.current import current_trace
from custodes.runtime.log import get_logger

if TYPE_CHECKING:
    from custodes.composition import Composition
    from custodes.planes.outbound.model import Endpoint

#: What the names of its handlers begin with; the source's name follows.
HANDLER_PREFIX = "custodes.forward."

#: Attempts at putting an event in, and the waits between them: only the store can fail, and is waited for four days.
_ATTEMPTS = 100
_BACKOFF = Backoff(cap=HOUR)

#: Attempts at an event that are looked through for the last time it was forwarded.
_LOOK_BACK = 1_000

_log = get_logger("custodes.forwarding")


class Forwarding:
    """Which sources are forwarded, and to where.

    Args:
        parts: the planes.
        targets: ``source=url`` each, from the settings.

    Raises:
        ConfigurationError: one of the targets is none.
    """

    def __init__(self, parts: Composition, targets: Iterable[str] = ()) -> None:
        self._parts = parts
        self._targets: dict[str, str] = {}
        for target in targets:
            source, equals, url = target.partition("=")
            if not (source and equals and url):
                msg = f"Where to forward to is not given as source=url, but as {target[:60]!r}"
                raise ConfigurationError(msg, remedy="Write stripe=https://app.example/hooks/stripe")
            self.add(source, url)

    def add(self, source: str, url: str) -> None:
        """Forward the webhooks of a source from now on; another URL for it takes the place of the one before.

        Raises:
            InvalidInput: the URL is none.
        """
        checked_url(url, allow_http=True, name=f"The URL that webhooks of {source} go on to")
        known = source in self._targets
        self._targets[source] = url
        if not known:
            register = self._parts.inbound.webhook(
                source, name=f"{HANDLER_PREFIX}{source}", max_attempts=_ATTEMPTS, backoff=_BACKOFF
            )
            register(self._forward)

    @property
    def targets(self) -> Mapping[str, str]:
        """Where each source is forwarded to, by name."""
        return self._targets

    async def start(self) -> None:
        """Make the endpoints that are missing; idempotent.

        Raises:
            ConfigurationError: a source that is to be forwarded is not there, or no secret can be sealed.
        """
        for source, url in self._targets.items():
            await self._keep(source, url)
        unknown = sorted({endpoint.source for endpoint in await self.unknown_here()})
        if unknown:
            _log.warning("forwarded_elsewhere_only", sources=unknown)

    async def unknown_here(self) -> Sequence[Endpoint]:
        """List endpoints of sources that go on to nowhere by what this process knows.

        Another process forwarded to them, or still does. Once it has gone for good, this one is done with events of
        their sources without forwarding them.
        """
        found = await self._parts.outbound.list_forwarded()
        return [endpoint for endpoint in found if endpoint.source not in self._targets]

    async def stop(self) -> None:
        """Nothing runs in the background."""

    async def _keep(self, source: str, url: str) -> None:
        registration = self._parts.inbound.source(source)
        if registration is None:
            msg = f"Webhooks of {source!r} are to be forwarded, and there is no such source"
            raise ConfigurationError(msg, remedy="Give its signing secret, or take it out of CUSTODES_FORWARD_TO")
        await self._parts.outbound.forward_to(source, url, tenant=registration.tenant)

    async def _forward(self, event: WebhookEvent) -> None:
        if not event.verified:
            raise Permanent("Its signature was not checked here: it is not forwarded")
        trace = current_trace()  # that of the event: this is its handler
        forward = Forward(
            tenant=event.tenant,
            source=event.source,
            event_id=event.id,
            event_type=event.type,
            body=event.body,
            headers=event.all_headers,
            trace_id=event.trace_id,
            trace_context=trace.context if trace is not None else "",
            again=await self._again(event),
        )
        try:
            await self._parts.outbound.forward(forward)
        except NotFound:  # deleted meanwhile, by a process that does not forward
            await self._parts.outbound.forward_to(event.source, self._targets[event.source], tenant=event.tenant)
            await self._parts.outbound.forward(forward)

    async def _again(self, event: WebhookEvent) -> str:
        """Tell a replay from a handler that is tried again: before a replay, this handler was done with the event."""
        if event.attempt == 1:
            return ""
        attempts = await self._parts.inbound.list_attempts(event.id, limit=_LOOK_BACK)
        done = (
            each.number
            for each in attempts
            if each.handler == f"{HANDLER_PREFIX}{event.source}" and each.outcome is Outcome.SUCCEEDED
        )
        last = next(done, None)
        return "" if last is None else f"after-{last}"
