"""Outgoing webhooks: the registry of endpoints and their signing secrets.

A secret is shown once, when it is made, and kept sealed. Rotating it leaves the one before valid for a while, so that a
receiver can take over the new one without missing a delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.several import several
from custodes.kernel.tenant import DEFAULT_TENANT, valid_tenant
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.breaker import possible
from custodes.planes.outbound.changes import FieldChange, Told, changed_credentials, changed_headers, changes_of
from custodes.planes.outbound.credentials import checked_auth
from custodes.planes.outbound.filters import checked
from custodes.planes.outbound.headers import checked_headers, filled
from custodes.planes.outbound.keys import MAX_OVERLAP, OVERLAP, Keys, jwk
from custodes.planes.outbound.model import (
    HEALTHY,
    AuthKind,
    Endpoint,
    EndpointHealth,
    EndpointState,
    Options,
    RetryPolicy,
    SealedSecret,
    SecretKind,
)
from custodes.planes.outbound.ports import DeliveryStore, EndpointStore
from custodes.planes.outbound.rules import changed_retry, check_change, checked_options, checked_retry, checked_text
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Most endpoints of one tenant: each matching one is a delivery of every event.
MAX_ENDPOINTS = 200

#: Makes the changed endpoint out of the current one.
_Change = Callable[[Endpoint], Endpoint]


def _untold(_endpoint: Endpoint, _changes: Sequence[FieldChange]) -> Work:
    return nothing


def _without_values(options: Options) -> Options:
    return replace(options, headers=dict.fromkeys(options.headers))


@dataclass(frozen=True, slots=True)
class Created:
    """An endpoint with its new secret, which is never shown again."""

    #: The endpoint.
    endpoint: Endpoint
    #: The secret in its written form, ``whsec_…``; empty when it signs with a key pair only; not in the repr.
    secret: str = field(default="", repr=False)
    #: The public key in its written form, ``whpk_…``; empty when it signs with a secret only.
    public_key: str = ""


class Endpoints:
    """Manages endpoints.

    Args:
        store: the engine.
        endpoints: where endpoints are kept.
        deliveries: where deliveries are kept.
        keys: makes and opens secrets.
        clock: source of time.
        random_bits: source of randomness, for ids.
        allow_http: whether ``http`` endpoints are allowed; for tests.
        default_tenant: whose endpoint it is when the caller does not say.
        by_store: the time that breakers go by: the same in all processes; None: the clock's.
    """

    def __init__(
        self,
        store: Store,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        keys: Keys,
        clock: Clock,
        random_bits: RandomBits,
        *,
        allow_http: bool = False,
        default_tenant: str = DEFAULT_TENANT,
        by_store: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._keys = keys
        self._clock = clock
        self._random_bits = random_bits
        self._allow_http = allow_http
        self._default_tenant = default_tenant
        self._by_store = by_store or clock.now
        #: Endpoints that sources of this process are forwarded to, by id, with the name of the source.
        self._forwarded_to: dict[str, str] = {}

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

    async def get_endpoint_health(self, endpoint_id: str, *, tenant: str | None = None) -> EndpointHealth:
        """Return how an endpoint has been doing lately.

        Raises:
            NotFound: no such endpoint.
        """

        def work(tx: Transaction) -> EndpointHealth:
            endpoint = self._find(tx, endpoint_id, tenant)
            return self._endpoints.health(tx, [endpoint.id]).get(endpoint.id, HEALTHY)

        return await self._store.read(work)

    async def list_endpoint_healths(self, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
        """Return how endpoints of a page have been doing lately, by id; one that nothing was sent to is healthy."""
        found = await self._store.read(lambda tx: self._endpoints.health(tx, endpoint_ids))
        now = self._by_store()
        return {endpoint_id: possible(found.get(endpoint_id, HEALTHY), now) for endpoint_id in endpoint_ids}

    async def signing_secrets(self, endpoint_id: str, *, tenant: str | None = None) -> list[bytes]:
        """Return the HMAC secrets that a delivery is signed with now, newest first: never list them.

        Raises:
            NotFound: no such endpoint.
            ConfigurationError: a secret does not open.
        """
        return [self._keys.open(one) for one in await self._valid(endpoint_id, tenant, SecretKind.V1)]

    async def public_keys(self, endpoint_id: str) -> list[dict[str, str]]:
        """Return the public keys that deliveries are verified with now, as JWKs, newest first.

        Raises:
            NotFound: no such endpoint.
        """
        found = await self._valid(endpoint_id, None, SecretKind.V1A)
        return [jwk(one, self._keys.open(one)) for one in found]

    async def _valid(self, endpoint_id: str, tenant: str | None, kind: SecretKind) -> list[SealedSecret]:
        now = self._clock.now()

        def valid(tx: Transaction) -> list[SealedSecret]:
            endpoint = self._find(tx, endpoint_id, tenant)
            secrets = self._endpoints.secrets(tx, endpoint, kind)
            return [one for one in secrets if not one.expires_at or one.expires_at > now]

        return await self._store.read(valid)

    # ── Changing ─────────────────────────────────────────────────────────────

    async def create_endpoint(
        self,
        url: str,
        *,
        event_types: Iterable[str] = ("*",),
        description: str = "",
        retry: RetryPolicy = RetryPolicy(),
        options: Options = Options(),
        credentials: Mapping[str, str] | None = None,
        tenant: str | None = None,
        endpoint_id: str = "",
        fits: Callable[[Sequence[Endpoint]], bool] = lambda _: True,
        also: Work = nothing,
    ) -> Created:
        """Add an endpoint and make its secret; ``endpoint_id`` (a UUIDv7) lets ``also`` name it beforehand.

        Args:
            url: where it is.
            event_types: which events it gets.
            description: what it is for.
            retry: how deliveries are retried.
            options: what else it asks for.
            credentials: what ``options.auth`` takes; kept sealed, never shown.
            tenant: whose it is.
            endpoint_id: its id.
            fits: tells, of the tenant's endpoints, whether there is room for one more.
            also: commits with it.

        Raises:
            InvalidInput: a value is not acceptable.
            Conflict: the tenant has as many endpoints as it may.
        """
        tenant = tenant or self._default_tenant
        if not valid_tenant(tenant):
            msg = "The tenant is not acceptable"
            raise InvalidInput(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
        now, asked = self._clock.now(), checked_options(options)
        headers = filled(asked.headers, {})
        endpoint = Endpoint(
            id=endpoint_id or uuid7(now, self._random_bits),
            tenant=tenant,
            url=checked_url(url, allow_http=self._allow_http),
            description=checked_text(description),
            event_types=checked(event_types),
            retry=checked_retry(retry),
            options=_without_values(asked),
            created_at=now,
            updated_at=now,
        )
        auth = checked_auth(options.auth, credentials or {}, allow_http=self._allow_http)

        def add(tx: Transaction) -> Created:
            self._endpoints.take_turn(tx, tenant)
            if self._endpoints.count(tx, tenant) >= MAX_ENDPOINTS:
                msg = f"The tenant has {MAX_ENDPOINTS} endpoints already"
                raise Conflict(msg, remedy="Delete one that is not needed any more")
            if not fits(self._endpoints.page(tx, tenant, None, MAX_ENDPOINTS, "").items):
                msg = "There are as many endpoints as may be"
                raise Conflict(msg, remedy="Delete one that is not needed any more")
            self._endpoints.put(tx, endpoint)
            shown = self._keys.complete(tx, endpoint)
            self._keys.keep(tx, endpoint, SecretKind.AUTH, auth)
            self._keys.keep(tx, endpoint, SecretKind.HEADERS, headers)
            also(tx)
            return Created(endpoint, shown.secret, shown.public_key)

        return await self._store.write(add)

    async def update_endpoint(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        event_types: Iterable[str] | None = None,
        description: str | None = None,
        retry: RetryPolicy | Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        credentials: Mapping[str, str] | None = None,
        tenant: str | None = None,
        told: Told = _untold,
    ) -> Endpoint:
        """Change an endpoint; what is None stays, and so do the options, and the fields of ``retry``, not named.

        A changed signature makes the secrets that it needs; see them with :meth:`rotate_secret`, or the public key with
        :meth:`public_keys`.

        Args:
            endpoint_id: which.
            url: where it is.
            event_types: which events it gets.
            description: what it is for.
            retry: how deliveries are retried; a mapping changes ``schedule`` or ``timeout`` alone.
            options: what else it asks for. ``headers`` are all of them; one that is None keeps the value that it has.
            credentials: what ``options["auth"]`` takes, all anew; None keeps them, unless that is another kind.
            tenant: whose it is.
            told: commits with it, made of the changed endpoint and of what that changed.

        Raises:
            NotFound: no such endpoint, or not in this tenant.
            InvalidInput: a value is not acceptable.
        """
        new_types = None if event_types is None else several("event types", event_types)
        new_text = None if description is None else checked_text(description)
        asked = dict(options or {})
        headers = checked_headers(asked["headers"]) if "headers" in asked else None

        def change(endpoint: Endpoint) -> Endpoint:
            changed = replace(
                endpoint,
                url=endpoint.url if url is None else url,
                event_types=endpoint.event_types if new_types is None else new_types,
                description=endpoint.description if new_text is None else new_text,
                retry=changed_retry(endpoint.retry, retry),
                options=_without_values(checked_options(replace(endpoint.options, **asked)))
                if asked
                else endpoint.options,
            )
            check_change(endpoint, changed)
            # What was acceptable once stays, whatever else changes.
            if url is not None and not endpoint.source:
                checked_url(url, allow_http=self._allow_http)
            if new_types is not None and not endpoint.source:
                return replace(changed, event_types=checked(new_types))
            return changed

        def rest(tx: Transaction, before: Endpoint, endpoint: Endpoint) -> None:
            changes = changes_of(before, endpoint)
            self._keys.complete(tx, endpoint)
            if headers is not None:
                was = self._keys.kept(tx, endpoint, SecretKind.HEADERS)
                values = filled(headers, was)
                self._keys.keep(tx, endpoint, SecretKind.HEADERS, values)
                changes += changed_headers(was, values)
            if credentials is not None or endpoint.options.auth != before.options.auth:
                kind = AuthKind(endpoint.options.auth)
                values = checked_auth(kind, credentials or {}, allow_http=self._allow_http)
                self._keys.keep(tx, endpoint, SecretKind.AUTH, values)
                changes += changed_credentials(before, endpoint)
            told(endpoint, changes)(tx)

        return await self._change(endpoint_id, tenant, change, rest)

    async def delete_endpoint(self, endpoint_id: str, *, tenant: str | None = None, also: Work = nothing) -> None:
        """Remove an endpoint from all lists and its secrets for good; its row stays for the past deliveries.

        Raises:
            NotFound: no such endpoint.
            Conflict: a source is forwarded to it.
        """

        def remove(tx: Transaction) -> None:
            endpoint = self._take(tx, endpoint_id, tenant)
            if endpoint.id in self._forwarded_to:
                msg = f"The source {endpoint.source} is forwarded to this endpoint"
                raise Conflict(msg, remedy="Pause it; or end the forwarding (CUSTODES_FORWARD_TO, forward_to) first")
            now = self._clock.now()
            gone = replace(
                endpoint, state=EndpointState.DISABLED, state_reason="deleted", deleted_at=now, updated_at=now
            )
            self._endpoints.put(tx, gone)
            self._endpoints.remove_secrets(tx, endpoint)
            self._endpoints.put_health(tx, endpoint.tenant, endpoint.id, HEALTHY)
            self._deliveries.hold(tx, endpoint)
            also(tx)

        await self._store.write(remove)

    async def rotate_secret(
        self, endpoint_id: str, *, overlap: int = OVERLAP, tenant: str | None = None, also: Work = nothing
    ) -> Created:
        """Make a new secret, and a new key pair where one signs; the ones before stay valid for a while.

        Args:
            endpoint_id: which.
            overlap: how long the ones before stay valid, microseconds; a day unless told otherwise, a week at most.
            tenant: whose it is.
            also: commits with it.

        Raises:
            NotFound: no such endpoint.
            InvalidInput: the overlap is out of bounds.
            Conflict: it was rotated too often meanwhile.
        """
        if not 0 <= overlap <= MAX_OVERLAP:
            msg = "The overlap is out of bounds"
            raise InvalidInput(msg, remedy="Use up to seven days")

        def rotate(tx: Transaction) -> Created:
            endpoint = self._find(tx, endpoint_id, tenant, locked=True)
            shown = self._keys.rotate(tx, endpoint, overlap)
            also(tx)
            return Created(endpoint, shown.secret, shown.public_key)

        return await self._store.write(rotate)

    def seal_headers(self, tx: Transaction, found: Iterable[tuple[Endpoint, Mapping[str, str]]]) -> None:
        """Seal the values of headers that a version before kept in the open, as the store found them.

        Raises:
            ConfigurationError: there is no key to seal them with.
        """
        for endpoint, values in found:
            self._endpoints.put(tx, endpoint)
            if not endpoint.deleted_at:
                self._keys.keep(tx, endpoint, SecretKind.HEADERS, values)

    # ── Parts ────────────────────────────────────────────────────────────────

    async def _change(
        self,
        endpoint_id: str,
        tenant: str | None,
        change: _Change,
        then: Callable[[Transaction, Endpoint, Endpoint], None],
    ) -> Endpoint:
        """Change an endpoint as it stands in the transaction; ``then`` is given what it was and what it is."""

        def work(tx: Transaction) -> Endpoint:
            before = self._find(tx, endpoint_id, tenant, locked=True)
            endpoint = replace(change(before), updated_at=self._clock.now())
            self._endpoints.put(tx, endpoint)
            then(tx, before, endpoint)
            return endpoint

        return await self._store.write(work)

    def _take(self, tx: Transaction, endpoint_id: str, tenant: str | None) -> Endpoint:
        """Lock how an endpoint is doing, which has to be put afterwards, and then itself: the sender comes that way."""
        self._endpoints.take_health(tx, [self._find(tx, endpoint_id, tenant)])
        return self._find(tx, endpoint_id, tenant, locked=True)

    def _find(self, tx: Transaction, endpoint_id: str, tenant: str | None, *, locked: bool = False) -> Endpoint:
        endpoint = self._endpoints.find(tx, tenant, endpoint_id, locked=locked)
        if endpoint is None:
            msg = "No such webhook configuration"
            raise NotFound(msg, remedy="Look at the list of configurations; it may have been deleted")
        return endpoint
