"""Refused deliveries: their samples, and why they did not verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from custodes.errors import NotFound
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.planes.inbound.diagnosis import Finding, diagnose
from custodes.planes.inbound.log import WebhookLog
from custodes.planes.inbound.model import OVER_LIMIT, Refusal
from custodes.planes.inbound.ports import FigureStore
from custodes.planes.inbound.receiver import Registration
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import made_of_kind

#: What there is to say of a delivery that the limiter refused.
_TURNED_AWAY = Finding(
    "over-limit",
    "Its address was over a limit or blocked: neither its signature nor its body was looked at",
    True,
    "If the address is the sender's: lift the block, or raise CUSTODES_WEBHOOK_IP_LIMIT; then have it deliver again",
)


class RefusedDeliveries(WebhookLog):
    """The log of webhooks, and of what was refused.

    Args:
        figures: where counts and refusals are kept.
        parts: those of :class:`custodes.planes.inbound.log.WebhookLog`.
    """

    def __init__(self, *, figures: FigureStore, **parts: Any) -> None:
        super().__init__(**parts)
        self._figures = figures
        self._sources: dict[str, Registration] = {}

    def source(self, name: str) -> Registration | None:
        """Return the source of a name; None when deliveries of it are not accepted."""
        return self._sources.get(name)

    def list_sources(self, *, tenant: str | None = None) -> Sequence[Registration]:
        """Return the sources that deliveries are accepted from."""
        return [each for each in self._sources.values() if tenant in (None, each.tenant)]

    async def list_refusals(
        self,
        *,
        tenant: str | None = None,
        source: str | None = None,
        reason: str | None = None,
        client_ip: str | None = None,
        since: int = 0,
        until: int | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Refusal]:
        """Return samples of refused deliveries, newest first."""
        end = self._clock.now() + 1 if until is None else until
        await self._recorder.flush_if_possible()
        return await self._store.read(
            lambda tx: self._figures.refusals(
                tx, tenant, source, since, end, limit=limit, cursor=cursor, reason=reason, client_ip=client_ip
            )
        )

    async def get_refusal(self, refusal_id: str, *, tenant: str | None = None) -> Refusal:
        """Return one sample of a refused delivery.

        Raises:
            NotFound: no such sample, or not this tenant's.
        """
        await self._recorder.flush_if_possible()
        found = await self._store.read(lambda tx: self._figures.refusal(tx, tenant, refusal_id))
        if found is None:
            msg = "No such refused delivery"
            raise NotFound(msg, remedy="Take the id from the list of refused deliveries")
        return found

    async def diagnose_refusal(self, refusal_id: str, *, tenant: str | None = None) -> Sequence[Finding]:
        """Find out why a delivery was refused, from its sample; for the operator only.

        Raises:
            NotFound: no such sample, or not this tenant's, or its source is gone.
        """
        sample = await self.get_refusal(refusal_id, tenant=tenant)
        if sample.reason == OVER_LIMIT:
            return [_TURNED_AWAY]
        headers = Headers(
            [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in sample.headers]
        )
        return self.diagnose(
            sample.source,
            WebhookRequest(headers, sample.body_head),
            tenant=sample.tenant,
            at=sample.received_at,
            whole=len(sample.body_head) == sample.body_bytes,
        )

    def diagnose(
        self, source: str, request: WebhookRequest, *, tenant: str | None = None, at: int = 0, whole: bool = True
    ) -> Sequence[Finding]:
        """Find out why a delivery does not verify; see :mod:`custodes.planes.inbound.diagnosis`.

        Args:
            source: name of the source that it was sent to.
            request: the delivery.
            tenant: only if the source is this tenant's.
            at: when it came, microseconds since the epoch; default: now.
            whole: whether the body is all there.

        Raises:
            NotFound: no such source.
        """
        registration = self._sources.get(source)
        if registration is None or tenant not in (None, registration.tenant):
            msg = "No such source"
            raise NotFound(msg, remedy="Sources of the host's code are known to its own process only")
        others = list(self._sources.values())
        return diagnose(registration, request, at or self._clock.now(), others=others, make=made_of_kind, whole=whole)

    async def purge_refusals(self, before: int, limit: int) -> int:
        """Delete samples and counts of deliveries refused before a moment, at most ``limit`` rows; returns how many."""
        return await self._store.write(lambda tx: self._figures.purge_refusals(tx, before, limit))

    async def count_purgeable_refusals(self, before: int) -> int:
        """Count what :meth:`purge_refusals` would delete in the end."""
        return await self._store.read(lambda tx: self._figures.count_purgeable_refusals(tx, before))
