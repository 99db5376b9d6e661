"""Endpoints of outgoing webhooks: their life, and their secrets at rest."""

import base64
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.errors import ConfigurationError, Conflict, InvalidInput, NotFound
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.redact import MASK
from custodes.kernel.sealing import Sealer
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.outbound import endpoints as module
from custodes.planes.outbound.keys import MAX_SECRETS
from custodes.planes.outbound.model import AuthKind, EndpointState, Options, RetryPolicy, Signature
from custodes.planes.outbound.webhooks import OutgoingWebhooks
from custodes.runtime.bus import Bus
from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.outgoing.target import Policy
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.deliveries import SqlDeliveryStore
from custodes.storage.sql.delivery_figures import SqlDeliveryFigureStore
from custodes.storage.sql.jobs import SqlJobs
from custodes.storage.sql.outbound import SqlEndpointStore, SqlEventTypeStore
from custodes.storage.sql.tables.outbound import webhook_configurations, webhook_secrets
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

KEY, OTHER_KEY = "k" * 32, "j" * 32


@pytest.fixture
def registry_of(database: Database, clock: FakeClock, random_bits):
    """Make a registry, as a process that starts with these keys would."""

    def make(*keys: str) -> OutgoingWebhooks:
        return OutgoingWebhooks(
            store=database,
            endpoints=SqlEndpointStore(),
            deliveries=SqlDeliveryStore(),
            types=SqlEventTypeStore(),
            figures=SqlDeliveryFigureStore(),
            jobs=SqlJobs(),
            client=OutgoingClient(Policy()),
            sealer=Sealer(keys or [KEY], random_bits),
            clock=clock,
            random_bits=random_bits,
            bus=Bus(),
            owner=lambda: "test",
            default_tenant="default",
            concurrency=0,
        )

    return make


@pytest.fixture
def outbound(registry_of) -> OutgoingWebhooks:
    return registry_of()


def raw(written: str) -> bytes:
    return base64.b64decode(written.removeprefix("whsec_"), validate=True)


async def test_a_secret_is_shown_once_and_is_of_the_right_size(outbound: OutgoingWebhooks):
    made = await outbound.create_endpoint("https://example.com/hooks")

    assert made.secret.startswith("whsec_")
    assert 24 <= len(raw(made.secret)) <= 64
    assert made.secret not in repr(made)
    found = await outbound.get_endpoint(made.endpoint.id)
    assert found == made.endpoint
    assert made.secret not in repr(found)


async def test_every_endpoint_has_keys_of_its_own(outbound: OutgoingWebhooks):
    options = Options(signature=Signature.BOTH)
    made = [await outbound.create_endpoint("https://example.com/hooks", options=options) for _ in range(3)]

    assert len({one.secret for one in made}) == 3
    assert len({one.public_key for one in made}) == 3


async def test_secrets_are_encrypted_in_the_file(outbound: OutgoingWebhooks, tmp_path: Path, database: Database):
    made = await outbound.create_endpoint("https://example.com/hooks")
    tables = (webhook_configurations, webhook_secrets)
    rows = await database.read(lambda tx: [connection_of(tx).execute(select(table)).all() for table in tables])
    await database.close()

    stored = b"".join([repr(rows).encode(), *(file.read_bytes() for file in tmp_path.glob("custodes.db*"))])
    sealed = [bytes(row.sealed) for row in rows[1]]
    stored += b"".join(sealed)

    assert made.endpoint.id.encode() in stored
    assert raw(made.secret) not in stored
    assert made.secret.removeprefix("whsec_").encode() not in stored


async def test_a_rotated_secret_stays_valid_for_a_day(outbound: OutgoingWebhooks, clock: FakeClock):
    first = await outbound.create_endpoint("https://example.com/")
    endpoint = first.endpoint.id
    clock.advance(HOUR)

    second = await outbound.rotate_secret(endpoint)

    assert await outbound.signing_secrets(endpoint) == [raw(second.secret), raw(first.secret)]
    clock.advance(DAY)
    assert await outbound.signing_secrets(endpoint) == [raw(second.secret)]


async def test_secrets_of_one_endpoint_do_not_pile_up(outbound: OutgoingWebhooks, clock: FakeClock):
    endpoint = (await outbound.create_endpoint("https://example.com/")).endpoint.id
    for _ in range(MAX_SECRETS - 1):
        clock.advance(SECOND)
        await outbound.rotate_secret(endpoint)

    with pytest.raises(Conflict):
        await outbound.rotate_secret(endpoint)
    clock.advance(2 * DAY)
    await outbound.rotate_secret(endpoint)
    assert len(await outbound.signing_secrets(endpoint)) == 2


async def test_a_wrong_key_refuses_to_start_and_a_rotated_one_starts(registry_of):
    await registry_of(KEY).start()  # nothing is sealed yet
    made = await registry_of(KEY).create_endpoint("https://example.com/")

    with pytest.raises(ConfigurationError, match="CUSTODES_SECRET_KEY"):
        await registry_of(OTHER_KEY).start()

    rotated = registry_of(OTHER_KEY, KEY)
    await rotated.start()
    assert await rotated.signing_secrets(made.endpoint.id) == [raw(made.secret)]


async def test_states_move_only_as_they_may(outbound: OutgoingWebhooks):
    endpoint = (await outbound.create_endpoint("https://example.com/")).endpoint.id

    with pytest.raises(Conflict):
        await outbound.resume_endpoint(endpoint)
    paused = await outbound.pause_endpoint(endpoint, reason="noisy")
    assert (paused.state, paused.state_reason) == (EndpointState.PAUSED, "noisy")
    with pytest.raises(Conflict):
        await outbound.pause_endpoint(endpoint)
    resumed = await outbound.resume_endpoint(endpoint)
    assert (resumed.state, resumed.state_reason) == (EndpointState.ENABLED, "")


async def test_a_deleted_endpoint_is_gone_with_its_secrets(outbound: OutgoingWebhooks, database: Database):
    made = await outbound.create_endpoint("https://example.com/")

    await outbound.delete_endpoint(made.endpoint.id)

    assert (await outbound.list_endpoints()).items == []
    for verb in (outbound.get_endpoint, outbound.rotate_secret, outbound.delete_endpoint, outbound.signing_secrets):
        with pytest.raises(NotFound):
            await verb(made.endpoint.id)
    assert await database.read(lambda tx: SqlEndpointStore().secrets(tx, made.endpoint)) == []


async def test_what_is_none_stays_in_an_update(outbound: OutgoingWebhooks, clock: FakeClock):
    made = await outbound.create_endpoint("https://example.com/", description="a", event_types=["x.*"])
    clock.advance(SECOND)

    changed = await outbound.update_endpoint(made.endpoint.id, url="https://example.org/")

    assert (changed.url, changed.description, changed.event_types) == ("https://example.org/", "a", ("x.*",))
    assert changed.updated_at == made.endpoint.updated_at + SECOND


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://example.com/"},
        {"event_types": []},
        {"description": "d" * 501},
        {"tenant": "a b"},
        {"retry": RetryPolicy((SECOND,) * 31)},
        {"retry": RetryPolicy(timeout=61 * SECOND)},
        {"retry": RetryPolicy((0,))},
        {"retry": RetryPolicy((2 * DAY,))},
        {"options": Options(rate=-1)},
        {"options": Options(concurrency=0)},
        {"options": Options(headers={"webhook-id": "x"})},
        {"options": Options(headers={"x-a": "b\r\nx-c: d"})},
        {"options": Options(match={"$where": "1"})},
        {"options": Options(auth=AuthKind.BASIC)},
        {"options": Options(auth=AuthKind.BASIC), "credentials": {"username": "a:b", "password": "c"}},
        {"options": Options(auth=AuthKind.BEARER), "credentials": {"token": "a\nb"}},
        {"options": Options(auth=AuthKind.MTLS), "credentials": {"certificate": "x", "private_key": "y"}},
        {"credentials": {"token": "for nothing"}},
    ],
    ids=str,
)
async def test_what_is_not_acceptable_is_refused(outbound: OutgoingWebhooks, wrong: dict[str, object]):
    with pytest.raises(InvalidInput):
        await outbound.create_endpoint(**({"url": "https://example.com/"} | wrong))  # type: ignore[arg-type]


async def test_the_number_of_endpoints_of_a_tenant_is_bounded(
    outbound: OutgoingWebhooks, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_ENDPOINTS", 2)
    for _ in range(2):
        await outbound.create_endpoint("https://example.com/")

    with pytest.raises(Conflict):
        await outbound.create_endpoint("https://example.com/")
    await outbound.create_endpoint("https://example.com/", tenant="other")


# ── Over HTTP ────────────────────────────────────────────────────────────────


async def test_the_whole_life_over_http_with_an_audit_entry_for_each_step(sqlite_url: str, clock: FakeClock):
    custodes = Custodes(sqlite_url, clock=clock)
    await custodes.open()
    admin = await key_for(custodes, "admin", "acme")
    stranger = await key_for(custodes, "admin", "other")
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    base = "https://ops.example.com/api/admin/enterprise"
    here = "/webhook-configurations"
    async with httpx2.AsyncClient(transport=transport, base_url=base) as client:
        made = await client.post(here, json={"url": "https://example.com/", "event_types": ["order.*"]}, headers=admin)
        path = f"{here}/{made.json()['id']}"
        steps = [
            await client.patch(path, json={"url": "https://example.org/"}, headers=admin),
            await client.post(f"{path}/pause", json={"reason": "noisy"}, headers=admin),
            await client.post(f"{path}/resume", headers=admin),
            await client.post(f"{path}/rotate-secret", headers=admin),
            await client.patch(
                path,
                json={"retry": {"timeout_seconds": 5}, "options": {"headers": {"X-Api-Key": "hunter2"}}},
                headers=admin,
            ),
            await client.patch(
                path,
                json={"retry": {"schedule_seconds": [7]}, "options": {"headers": {"x-api-key": None}}},
                headers=admin,
            ),
        ]
        listed = await client.get(here, headers=admin)
        hidden = [
            await client.get(path, headers=stranger),
            await client.patch(path, json={}, headers=stranger),
            await client.post(f"{path}/rotate-secret", headers=stranger),
            await client.delete(path, headers=stranger),
        ]
        shared = await client.put("/webhook-event-types/order.paid", json={"archived": True}, headers=admin)
        refused = await client.post(here, json={"url": "https://u:p@example.com/"}, headers=admin)
        gone = await client.delete(path, headers=admin)
        missing = await client.get(path, headers=admin)
    entries = (await custodes.audit.list_entries(AuditQuery(tenant="acme", action="webhook_configuration.*"))).items
    await custodes.close()

    assert (made.status_code, gone.status_code, missing.status_code, refused.status_code) == (201, 204, 404, 422)
    assert [step.status_code for step in steps] == [200] * 6
    assert shared.status_code == 403  # the catalogue is of all tenants
    assert [answer.status_code for answer in hidden] == [404] * 4
    assert "u:p@" not in refused.text
    # secrets: in the two answers that made them, and nowhere else
    assert made.json()["secret"].startswith("whsec_")
    assert "whsec_" in steps[3].text
    assert "whsec_" not in listed.text + "".join(step.text for step in steps[:3]) + repr(entries)
    assert {entry.action.split(".")[1] for entry in entries} == {
        "created", "updated", "paused", "resumed", "recovered", "secret_rotated", "deleted",
    }  # fmt: skip
    assert {str(entry.targets[0]) for entry in entries} == {f"webhook_configuration:{made.json()['id']}"}
    # Each change says what it changed, and what is left out of it stays; of headers nobody sees more than the name.
    # All at one moment of the test's clock: their numbers tell the order.
    numbered = sorted(entries, key=lambda entry: entry.sequence)
    first, before, last = (entry.changes for entry in numbered if entry.action.endswith("updated"))
    assert [(one.path, one.old, one.new) for one in first] == [("url", "https://example.com/", "https://example.org/")]
    assert [(one.path, one.old, one.new) for one in before] == [
        ("retry.timeout_seconds", 15, 5), ("options.headers.x-api-key", None, MASK),
    ]  # fmt: skip
    assert [(one.path, one.new) for one in last] == [("retry.schedule_seconds", [7])]
    [told] = listed.json()["items"]
    assert (told["retry"], told["options"]["headers"]) == (
        {"schedule_seconds": [7], "timeout_seconds": 5},
        {"x-api-key": None},
    )
    assert "hunter2" not in listed.text + "".join(step.text for step in steps) + repr(entries)
