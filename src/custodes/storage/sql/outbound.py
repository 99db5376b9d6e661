"""Endpoints on SQL: :class:`~custodes.planes.outbound.ports.EndpointStore`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from custodes.kernel.paging import Page, decode_cursor, page_of
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.outbound.model import (
    HEALTHY,
    AuthKind,
    Endpoint,
    EndpointHealth,
    EndpointState,
    EventType,
    Options,
    RetryPolicy,
    SealedSecret,
    SecretKind,
    Signature,
)
from custodes.planes.outbound.ports import Counts
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import insert_ignoring, take_rows, update_rows, upsert_rows
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.lists import among, in_one_row
from custodes.storage.sql.tables.outbound import webhook_configurations as endpoints
from custodes.storage.sql.tables.outbound import webhook_endpoint_health as healths
from custodes.storage.sql.tables.outbound import webhook_event_types as event_types
from custodes.storage.sql.tables.outbound import webhook_secrets as secrets
from custodes.storage.sql.turns import take_turn
from custodes.storage.sql.types import JsonText

#: What a person may change; the rest is the dispatcher's.
_EDITABLE = (
    "url",
    "description",
    "event_types",
    "retry",
    "options",
    "state",
    "state_reason",
    "updated_at",
    "deleted_at",
    "held_before",
)


class SqlEndpointStore:
    """Keeps endpoints in ``webhook_configurations`` and their secrets in ``webhook_secrets``."""

    def put(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Insert or replace."""
        values = _values(endpoint)
        edited = (
            update(endpoints)
            .where(endpoints.c.tenant_id == endpoint.tenant, endpoints.c.id == endpoint.id)
            .values({name: values[name] for name in _EDITABLE})
        )
        if connection_of(tx).execute(edited).rowcount == 0:
            connection_of(tx).execute(insert(endpoints).values(values))

    def find(self, tx: Transaction, tenant: str | None, endpoint_id: str, *, locked: bool = False) -> Endpoint | None:
        """Read one; on SQLite there is one writer anyway."""
        query = _living(tenant).where(endpoints.c.id == endpoint_id)
        if locked:
            query = query.with_for_update()
        row = connection_of(tx).execute(query).mappings().first()
        return None if row is None else _endpoint(row)

    def several(self, tx: Transaction, ids: Iterable[str]) -> dict[str, Endpoint]:
        """Read endpoints by id, the deleted ones too."""
        rows = connection_of(tx).execute(_SEVERAL, {"ids": list(ids)})
        return {endpoint.id: endpoint for endpoint in (_asked(*row) for row in rows)}

    def of_tenants(self, tx: Transaction, tenants: Iterable[str]) -> list[Endpoint]:
        """Read all of some tenants."""
        connection, wanted = connection_of(tx), {"tenants": list(tenants)}
        if connection.dialect.name == "sqlite":
            texts = connection.execute(_OF_TENANTS_IN_ONE, wanted).scalars()
            return [one for text in texts for one in (_remembered(text) if len(text) <= _MAX_TEXT else _read(text))]
        return [_asked(*row) for row in connection.execute(_OF_TENANTS, wanted)]

    def page(
        self, tx: Transaction, tenant: str | None, state: EndpointState | None, limit: int, cursor: str
    ) -> Page[Endpoint]:
        """Read a page, newest first: the ids are in the order of creation."""
        query = _living(tenant).order_by(endpoints.c.id.desc()).limit(limit + 1)
        if state is not None:
            query = query.where(endpoints.c.state == state.value)
        if cursor:
            query = query.where(endpoints.c.id < decode_cursor(cursor)[1])
        rows = [_endpoint(row) for row in connection_of(tx).execute(query).mappings()]
        return page_of(rows, limit, lambda endpoint: (endpoint.created_at, endpoint.id))

    def count(self, tx: Transaction, tenant: str) -> int:
        """Count a tenant's."""
        query = select(func.count()).where(endpoints.c.tenant_id == tenant, endpoints.c.deleted_at == 0)
        return connection_of(tx).execute(query).scalar_one()

    def take_turn(self, tx: Transaction, tenant: str) -> None:
        """Wait for one's turn."""
        take_turn(tx, f"endpoints:{tenant}")

    def headers_in_the_open(self, tx: Transaction) -> list[tuple[Endpoint, dict[str, str]]]:
        """Read endpoints, the deleted ones too, whose headers a version before kept with their values."""
        as_text = type_coerce(endpoints.c.options, Text())
        rows = connection_of(tx).execute(select(endpoints).where(as_text.like('%"headers":{"%'))).mappings()
        found = ((row, row["options"]["headers"]) for row in rows)
        return [(_endpoint(row), headers) for row, headers in found if isinstance(headers, dict)]

    def of_sources(self, tx: Transaction) -> list[Endpoint]:
        """Read those of sources; the table has at most some hundred rows a tenant."""
        query = _living(None).where(endpoints.c.source != "").order_by(endpoints.c.tenant_id, endpoints.c.source)
        return [_endpoint(row) for row in connection_of(tx).execute(query).mappings()]

    def add_counts(self, tx: Transaction, counts: Mapping[str, Counts]) -> None:
        """Add to counters."""
        rows = [
            {
                "id": endpoint_id,
                "success_count": each.successes,
                "failure_count": each.failures,
                "last_success_at": each.last_success_at,
                "last_failure_at": each.last_failure_at,
            }
            for endpoint_id, each in counts.items()
        ]
        update_rows(connection_of(tx), endpoints, "id", rows, _ADDED)

    # ── Health ───────────────────────────────────────────────────────────────

    def health(self, tx: Transaction, ids: Iterable[str]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing."""
        rows = connection_of(tx).execute(_HEALTH, {"ids": list(ids)}).mappings()
        return {row["configuration_id"]: _health(row) for row in rows}

    def hold_health(self, tx: Transaction, endpoints: Sequence[Endpoint]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing, and lock their rows; on SQLite there is one writer anyway."""
        connection, ids = connection_of(tx), sorted(endpoint.id for endpoint in endpoints)
        found = self.health(tx, ids)
        missing = sorted((each for each in endpoints if each.id not in found), key=lambda each: each.id)
        if missing:  # what is not there cannot be locked
            rows = [_health_row(each.tenant, each.id, EndpointHealth()) for each in missing]
            connection.execute(insert_ignoring(connection, healths), rows)
        rows = connection.execute(_HEALTH.with_for_update(skip_locked=True), {"ids": ids}).mappings()
        return {row["configuration_id"]: _health(row) for row in rows}

    def take_health(self, tx: Transaction, endpoints: Sequence[Endpoint]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing, and lock their rows: what is not there, and cannot be locked, is made."""
        whole = sorted(endpoints, key=lambda endpoint: endpoint.id)  # in one order in every process
        rows = [_health_row(each.tenant, each.id, HEALTHY) for each in whole]
        return {row["configuration_id"]: _health(row) for row in take_rows(connection_of(tx), healths, rows)}

    def put_health(self, tx: Transaction, tenant: str, endpoint_id: str, health: EndpointHealth) -> None:
        """Write how an endpoint is doing, as it is said to be."""
        _put_healths(connection_of(tx), [(tenant, endpoint_id, health)], {})

    def put_healths(self, tx: Transaction, found: Sequence[tuple[Endpoint, EndpointHealth]]) -> None:
        """Write how endpoints are doing, one statement for those that are well and one for the others.

        Others may have counted what a rate allows since it was read: the later moment stays.
        """
        rows = [(endpoint.tenant, endpoint.id, health) for endpoint, health in found]
        _put_healths(connection_of(tx), rows, {"paced_until": _LATER})

    # ── Secrets ──────────────────────────────────────────────────────────────

    def put_secret(self, tx: Transaction, secret: SealedSecret) -> None:
        """Add a secret."""
        values = asdict(secret)
        values["tenant_id"] = values.pop("tenant")
        values["configuration_id"] = values.pop("endpoint_id")
        values["kind"] = secret.kind.value
        connection_of(tx).execute(insert(secrets).values(values))

    def secrets(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind | None = None) -> list[SealedSecret]:
        """Read the secrets of an endpoint, newest first."""
        query = select(secrets).where(*_of(endpoint, kind)).order_by(secrets.c.id.desc())
        return [_secret(row) for row in connection_of(tx).execute(query).mappings()]

    def secrets_of(self, tx: Transaction, ids: Iterable[str]) -> list[SealedSecret]:
        """Read the secrets of several endpoints, newest first."""
        return [_secret(row) for row in connection_of(tx).execute(_SECRETS, {"ids": list(ids)}).mappings()]

    def retire_secrets(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind, expires_at: int) -> None:
        """Let them end."""
        longer = or_(secrets.c.expires_at == 0, secrets.c.expires_at > expires_at)
        connection_of(tx).execute(update(secrets).where(*_of(endpoint, kind), longer).values(expires_at=expires_at))

    def remove_secrets(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        expired_before: int | None = None,
        kind: SecretKind | None = None,
    ) -> None:
        """Remove them for good."""
        query = delete(secrets).where(*_of(endpoint, kind))
        if expired_before is not None:
            query = query.where(secrets.c.expires_at > 0, secrets.c.expires_at < expired_before)
        connection_of(tx).execute(query)

    def key_samples(self, tx: Transaction) -> list[SealedSecret]:
        """Read one secret of each key; the table holds a few rows an endpoint, so it is read whole."""
        newest = select(func.max(secrets.c.id)).group_by(secrets.c.key_id)
        query = select(secrets).where(secrets.c.id.in_(newest))
        return [_secret(row) for row in connection_of(tx).execute(query).mappings()]


# Statements of every emit and every round of the sender are put together once.

#: What people asked for of an endpoint, without the counters, which change with each delivery; JSON as text.
_ASKED = [
    type_coerce(column, Text()).label(column.name) if isinstance(column.type, JsonText) else column
    for column in endpoints.c
    if column.name not in {"success_count", "failure_count", "last_success_at", "last_failure_at"}
]

_SEVERAL = select(*_ASKED).where(among(endpoints.c.id, "ids"))

_OF_TENANTS = select(*_ASKED).where(among(endpoints.c.tenant_id, "tenants"), endpoints.c.deleted_at == 0)

#: A row for each tenant.
_OF_TENANTS_IN_ONE = in_one_row(_OF_TENANTS, each="tenant_id")

_WELL = delete(healths).where(among(healths.c.configuration_id, "ids"))

_HEALTH = select(healths).where(among(healths.c.configuration_id, "ids"))

_SECRETS = select(secrets).where(among(secrets.c.configuration_id, "ids")).order_by(secrets.c.id.desc())


def _put_healths(
    connection: Connection, found: Sequence[tuple[str, str, EndpointHealth]], changes: Mapping[str, str]
) -> None:
    """Write how endpoints are doing; an endpoint that is well has no row."""
    well = [endpoint_id for _, endpoint_id, health in found if health == HEALTHY]
    if well:
        connection.execute(_WELL, {"ids": well})
    # In one order in every process, so that two with the same endpoints never wait for each other.
    ill = sorted((one for one in found if one[2] != HEALTHY), key=lambda one: one[1])
    upsert_rows(connection, healths, [_health_row(*one) for one in ill], changes)


def _living(tenant: str | None) -> Any:
    query = select(endpoints).where(endpoints.c.deleted_at == 0)
    return query if tenant is None else query.where(endpoints.c.tenant_id == tenant)


def _of(endpoint: Endpoint, kind: SecretKind | None = None) -> tuple[Any, ...]:
    where = (secrets.c.tenant_id == endpoint.tenant, secrets.c.configuration_id == endpoint.id)
    return where if kind is None else (*where, secrets.c.kind == kind.value)


#: The two engines have no common function for the later of two moments.
_LATER = "CASE WHEN {old} < {new} THEN {new} ELSE {old} END"

_ADDED = {
    "success_count": "{old} + {new}",
    "failure_count": "{old} + {new}",
    "last_success_at": _LATER,
    "last_failure_at": _LATER,
}


def _values(endpoint: Endpoint) -> dict[str, Any]:
    values = asdict(endpoint)
    values["tenant_id"] = values.pop("tenant")
    retry = {"schedule": list(endpoint.retry.schedule), "timeout": endpoint.retry.timeout}
    options = asdict(endpoint.options)
    options["channels"] = list(endpoint.options.channels)
    options["headers"] = sorted(endpoint.options.headers)  # their values are sealed elsewhere
    return {
        **values,
        "event_types": list(endpoint.event_types),
        "state": endpoint.state.value,
        "retry": retry,
        "options": options,
    }


@lru_cache(maxsize=1_000)
def _retry(schedule: tuple[int, ...], timeout: int) -> RetryPolicy:
    return RetryPolicy(schedule, timeout)


def _options(stored: dict[str, Any]) -> Options:
    if not stored:
        return Options()
    fields: dict[str, Any] = dict(stored)
    fields["channels"] = tuple(stored["channels"])
    fields["headers"] = dict.fromkeys(stored["headers"])
    fields["auth"], fields["signature"] = AuthKind(stored["auth"]), Signature(stored["signature"])
    return Options(**fields)


def _health_row(tenant: str, endpoint_id: str, health: EndpointHealth) -> dict[str, Any]:
    return {"tenant_id": tenant, "configuration_id": endpoint_id, **asdict(health)}


def _health(row: RowMapping) -> EndpointHealth:
    return EndpointHealth(**{name: row[name] for name in EndpointHealth.__dataclass_fields__})


def _endpoint(row: RowMapping | dict[str, Any]) -> Endpoint:
    values = dict(row)
    values["event_types"] = tuple(values["event_types"])
    values["retry"] = _retry(tuple(values["retry"]["schedule"]), values["retry"]["timeout"])
    values["options"] = _options(values["options"])
    values["state"] = EndpointState(values["state"])
    return Endpoint(tenant=values.pop("tenant_id"), **values)


#: Endpoints that are remembered by what their rows say, some 2 kB each: to read the JSON of all of a tenant's at each
#: emit, and of all that have something due at each claim, takes longer than all the rest.
_MAX_REMEMBERED = 5_000


@lru_cache(maxsize=_MAX_REMEMBERED)
def _asked(*row: Any) -> Endpoint:
    """Make an endpoint of a row of :data:`_ASKED`; who changes one makes another."""
    values = dict(zip((column.name for column in _ASKED), row, strict=True))
    for name in ("event_types", "retry", "options"):
        values[name] = json.loads(values[name])
    return _endpoint(values)


#: Longest text of a tenant's endpoints that is remembered with what it says, characters, and how many are: to compare
#: 200 endpoints with what they were takes a tenth of the time of making them anew.
_MAX_TEXT = 262_144
_MAX_TEXTS = 64


def _read(text: str) -> Sequence[Endpoint]:
    """Make endpoints of the rows that :func:`custodes.storage.sql.lists.in_one_row` reads."""
    return tuple(_asked(*row) for row in json.loads(text))


_remembered = lru_cache(maxsize=_MAX_TEXTS)(_read)


def _secret(row: RowMapping) -> SealedSecret:
    values = dict(row)
    values["kind"] = SecretKind(values["kind"])
    return SealedSecret(tenant=values.pop("tenant_id"), endpoint_id=values.pop("configuration_id"), **values)


class SqlEventTypeStore:
    """Keeps the catalogue in ``webhook_event_types``."""

    def put(self, tx: Transaction, event_type: EventType) -> None:
        """Insert or replace one."""
        values = {"tenant_id": DEFAULT_TENANT, **asdict(event_type)}
        connection = connection_of(tx)
        where = (event_types.c.tenant_id == DEFAULT_TENANT, event_types.c.name == event_type.name)
        if connection.execute(update(event_types).where(*where).values(values)).rowcount == 0:
            connection.execute(insert(event_types).values(values))

    def all(self, tx: Transaction) -> list[EventType]:
        """Read all, by name."""
        query = select(event_types).where(event_types.c.tenant_id == DEFAULT_TENANT).order_by(event_types.c.name)
        names = EventType.__dataclass_fields__
        return [EventType(**{name: row[name] for name in names}) for row in connection_of(tx).execute(query).mappings()]
