"""Outgoing webhooks: the registry of endpoints and their signing secrets.

A secret is shown once, when it is made, and kept sealed. Rotating it leaves the one before valid for a day, so that a
receiver can take over the new one without missing a delivery.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from custodes.errors import ConfigurationError, Conflict, InvalidInput, NotFound
from custodes.kernel.clock import DAY, HOUR, SECOND, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.sealing import Sealer
from custodes.kernel.tenant import DEFAULT_TENANT, valid_tenant
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.filters import checked
from custodes.planes.outbound.model import Endpoint, EndpointState, RetryPolicy, SealedSecret
from custodes.planes.outbound.ports import EndpointStore
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Bytes of a secret; Standard Webhooks asks for 24 to 64.
SECRET_BYTES = 32

#: Prefix of a secret in its written form (Standard Webhooks).
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix

#: How long the secret before the last stays valid, microseconds.
OVERLAP = DAY

#: Most secrets of an endpoint that are valid at once: each is a signature of every delivery.
MAX_SECRETS = 5

#: Most endpoints of one tenant: each matching one is a delivery of every event.
MAX_ENDPOINTS = 200

#: Longest description and reason, characters.
MAX_TEXT = 500


#: Makes the changed endpoint out of the current one.
_Change = Callable[[Endpoint], Endpoint]


@dataclass(frozen=True, slots=True)
class Created:
    """An endpoint with its new secret, which is never shown again."""

    #: The endpoint.
    endpoint: Endpoint
    #: The secret in its written form, ``whsec_…``; not in the repr.
    secret: str = field(repr=False)


class OutgoingWebhooks:
    """Manages endpoints.

    Args:
        store: the engine.
        endpoints: where endpoints are kept.
        sealer: seals secrets.
        clock: source of time.
        random_bits: cryptographic source of randomness: makes secrets.
        allow_http: whether ``http`` endpoints are allowed; for tests.
        default_tenant: whose endpoint it is when the caller does not say.
    """

    def __init__(
        self,
        store: Store,
        endpoints: EndpointStore,
        sealer: Sealer,
        clock: Clock,
        random_bits: RandomBits,
        *,
        allow_http: bool = False,
        default_tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._sealer = sealer
        self._clock = clock
        self._random_bits = random_bits
        self._allow_http = allow_http
        self._default_tenant = default_tenant

    async def start(self) -> None:
        """Check that every stored secret can be opened; idempotent.

        Raises:
            ConfigurationError: secrets were sealed with a key that is not given, or with another one of its id.
        """
        for sample in await self._store.read(self._endpoints.key_samples):
            if not self._sealer.knows(sample.key_id):
                msg = f"Webhook secrets are sealed with key {sample.key_id}, which is not among the keys given"
                remedy = "Put the key back: CUSTODES_SECRET_KEY lists the newest first, then the older ones"
                raise ConfigurationError(msg, remedy=f"{remedy}; or restore the key file")
            self._sealer.open(sample.sealed, _purpose(sample))

    async def stop(self) -> None:
        """Do nothing: here so that all services are alike."""

    # ── Reading ──────────────────────────────────────────────────────────────

    async def get_endpoint(self, endpoint_id: str, *, tenant: str | None = None) -> Endpoint:
        """Return one endpoint.

        Raises:
            NotFound: no such endpoint, or not in this tenant.
        """
        return await self._store.read(lambda tx: self._find(tx, endpoint_id, tenant))

    async def list_endpoints(
        self,
        *,
        tenant: str | None = None,
        state: EndpointState | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str = "",
    ) -> Page[Endpoint]:
        """Return a page of endpoints, newest first; None as tenant: of all tenants.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        return await self._store.read(lambda tx: self._endpoints.page(tx, tenant, state, limit, cursor))

    async def signing_secrets(self, endpoint_id: str, *, tenant: str | None = None) -> list[bytes]:
        """Return the secrets that a delivery is signed with now, newest first. For the dispatcher: never list them.

        Raises:
            NotFound: no such endpoint.
            ConfigurationError: a secret does not open.
        """

        def valid(tx: Transaction) -> list[SealedSecret]:
            endpoint = self._find(tx, endpoint_id, tenant)
            now = self._clock.now()
            return [one for one in self._endpoints.secrets(tx, endpoint) if not one.expires_at or one.expires_at > now]

        return [self._sealer.open(one.sealed, _purpose(one)) for one in await self._store.read(valid)]

    # ── Changing ─────────────────────────────────────────────────────────────

    async def create_endpoint(
        self,
        url: str,
        *,
        event_types: Iterable[str] = ("*",),
        description: str = "",
        retry: RetryPolicy = RetryPolicy(),
        tenant: str | None = None,
        endpoint_id: str = "",
        also: Work = nothing,
    ) -> Created:
        """Add an endpoint and make its secret; ``endpoint_id`` (a UUIDv7) lets ``also`` name it beforehand.

        Raises:
            InvalidInput: the URL, an event type, the retry policy, the tenant or the description is not acceptable.
            Conflict: the tenant has as many endpoints as it may.
        """
        tenant = tenant or self._default_tenant
        if not valid_tenant(tenant):
            msg = "The tenant is not acceptable"
            raise InvalidInput(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
        now = self._clock.now()
        endpoint = Endpoint(
            id=endpoint_id or uuid7(now, self._random_bits),
            tenant=tenant,
            url=checked_url(url, allow_http=self._allow_http),
            description=_text(description),
            event_types=checked(event_types),
            retry=_checked_retry(retry),
            created_at=now,
            updated_at=now,
        )
        written, secret = self._new_secret(endpoint, now)

        def add(tx: Transaction) -> None:
            if self._endpoints.count(tx, tenant) >= MAX_ENDPOINTS:
                msg = f"The tenant has {MAX_ENDPOINTS} endpoints already"
                raise Conflict(msg, remedy="Delete one that is not needed any more")
            self._endpoints.put(tx, endpoint)
            self._endpoints.put_secret(tx, secret)
            also(tx)

        await self._store.write(add)
        return Created(endpoint, written)

    async def update_endpoint(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        event_types: Iterable[str] | None = None,
        description: str | None = None,
        retry: RetryPolicy | None = None,
        tenant: str | None = None,
        also: Work = nothing,
    ) -> Endpoint:
        """Change an endpoint; what is None stays.

        Raises:
            NotFound: no such endpoint, or not in this tenant.
            InvalidInput: a value is not acceptable.
        """
        new_url = None if url is None else checked_url(url, allow_http=self._allow_http)
        new_types = None if event_types is None else checked(event_types)
        new_text = None if description is None else _text(description)
        new_retry = None if retry is None else _checked_retry(retry)

        def change(endpoint: Endpoint) -> Endpoint:
            return replace(
                endpoint,
                url=endpoint.url if new_url is None else new_url,
                event_types=endpoint.event_types if new_types is None else new_types,
                description=endpoint.description if new_text is None else new_text,
                retry=endpoint.retry if new_retry is None else new_retry,
            )

        return await self._change(endpoint_id, tenant, change, also)

    async def pause_endpoint(
        self, endpoint_id: str, *, reason: str = "", tenant: str | None = None, also: Work = nothing
    ) -> Endpoint:
        """Send it nothing for now.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is not enabled.
        """
        text = _text(reason)
        return await self._change(
            endpoint_id, tenant, lambda one: _moved(one, (EndpointState.ENABLED,), EndpointState.PAUSED, text), also
        )

    async def resume_endpoint(self, endpoint_id: str, *, tenant: str | None = None, also: Work = nothing) -> Endpoint:
        """Send to it again, whether it was paused or disabled.

        Raises:
            NotFound: no such endpoint.
            Conflict: it is enabled already.
        """
        stopped = (EndpointState.PAUSED, EndpointState.DISABLED)
        return await self._change(
            endpoint_id, tenant, lambda one: _moved(one, stopped, EndpointState.ENABLED, ""), also
        )

    async def delete_endpoint(self, endpoint_id: str, *, tenant: str | None = None, also: Work = nothing) -> None:
        """Remove an endpoint from all lists and its secrets for good; its row stays for the past deliveries.

        Raises:
            NotFound: no such endpoint.
        """

        def remove(tx: Transaction) -> None:
            endpoint = self._find(tx, endpoint_id, tenant)
            now = self._clock.now()
            gone = replace(
                endpoint, state=EndpointState.DISABLED, state_reason="deleted", deleted_at=now, updated_at=now
            )
            self._endpoints.put(tx, gone)
            self._endpoints.remove_secrets(tx, endpoint)
            also(tx)

        await self._store.write(remove)

    async def rotate_secret(self, endpoint_id: str, *, tenant: str | None = None, also: Work = nothing) -> Created:
        """Make a new secret; the ones before stay valid for a day.

        Raises:
            NotFound: no such endpoint.
            Conflict: it was rotated too often within a day.
        """
        now = self._clock.now()

        def rotate(tx: Transaction) -> Created:
            endpoint = self._find(tx, endpoint_id, tenant)
            written, secret = self._new_secret(endpoint, now)
            self._endpoints.remove_secrets(tx, endpoint, expired_before=now)
            if len(self._endpoints.secrets(tx, endpoint)) >= MAX_SECRETS:
                msg = f"The endpoint has {MAX_SECRETS} valid secrets already"
                raise Conflict(msg, remedy="Wait until an older one has ended: a day after it was replaced")
            self._endpoints.retire_secrets(tx, endpoint, now + OVERLAP)
            self._endpoints.put_secret(tx, secret)
            also(tx)
            return Created(endpoint, written)

        return await self._store.write(rotate)

    # ── Parts ────────────────────────────────────────────────────────────────

    async def _change(self, endpoint_id: str, tenant: str | None, change: _Change, also: Work) -> Endpoint:
        def work(tx: Transaction) -> Endpoint:
            endpoint = replace(change(self._find(tx, endpoint_id, tenant)), updated_at=self._clock.now())
            self._endpoints.put(tx, endpoint)
            also(tx)
            return endpoint

        return await self._store.write(work)

    def _find(self, tx: Transaction, endpoint_id: str, tenant: str | None) -> Endpoint:
        endpoint = self._endpoints.find(tx, tenant, endpoint_id)
        if endpoint is None:
            msg = "No such webhook configuration"
            raise NotFound(msg, remedy="Look at the list of configurations; it may have been deleted")
        return endpoint

    def _new_secret(self, endpoint: Endpoint, now: int) -> tuple[str, SealedSecret]:
        """Make a secret: (written form, sealed)."""
        raw = self._random_bits(SECRET_BYTES * 8).to_bytes(SECRET_BYTES, "big")
        draft = SealedSecret(
            id=uuid7(now, self._random_bits), tenant=endpoint.tenant, endpoint_id=endpoint.id,
            key_id=self._sealer.key_id, sealed=b"", created_at=now,
        )  # fmt: skip
        written = SECRET_PREFIX + base64.b64encode(raw).decode("ascii")
        return written, replace(draft, sealed=self._sealer.seal(raw, _purpose(draft)))


def _purpose(secret: SealedSecret) -> str:
    """What a secret is sealed for: it opens nowhere else."""
    return f"webhook_secrets:{secret.tenant}:{secret.endpoint_id}:{secret.id}"


def _moved(endpoint: Endpoint, allowed: tuple[EndpointState, ...], state: EndpointState, reason: str) -> Endpoint:
    if endpoint.state not in allowed:
        msg = f"The endpoint is {endpoint.state} and cannot become {state}"
        raise Conflict(msg, remedy=f"It can when it is {' or '.join(allowed)}")
    return replace(endpoint, state=state, state_reason=reason)


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        msg = f"The text has {len(text)} characters"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_TEXT}")
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _checked_retry(retry: RetryPolicy) -> RetryPolicy:
    """Bound a policy: a delivery must end, and an endpoint must not be hammered."""
    bounds = (
        ("max_attempts", retry.max_attempts, 1, 30),
        ("timeout", retry.timeout, SECOND, 60 * SECOND),
        ("first_delay", retry.first_delay, SECOND, HOUR),
        ("factor", retry.factor, 1.0, 10.0),
        ("max_delay", retry.max_delay, retry.first_delay, 3 * DAY),
    )
    for name, value, least, most in bounds:
        if not least <= value <= most:
            msg = f"The retry policy's {name} is {value:g}"
            raise InvalidInput(msg, remedy=f"Use {least:g} to {most:g}")
    return retry
