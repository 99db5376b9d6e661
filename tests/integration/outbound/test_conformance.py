"""What we send, verified by others: every real payload, over a rotation, in both kinds of signature."""

from __future__ import annotations

import asyncio
import base64
import hmac
from pathlib import Path

import httpx2
import pytest
from tests.integration.outbound.conftest import ENGINES, Receiver, opened
from tests.integration.outbound.verifiers import Case, verdicts, verified

from custodes import Custodes
from custodes.kernel.clock import HOUR
from custodes.planes.outbound.headers import signed_headers
from custodes.planes.outbound.keys import private_key
from custodes.planes.outbound.model import Options, Signature


def bodies_of(shared_data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((shared_data / "payloads").rglob("*.json"))]


def with_one_bit_changed(body: bytes, bit: int) -> bytes:
    changed = bytearray(body)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("engine", ENGINES)
async def test_every_payload_is_accepted_by_independent_verifiers_over_a_rotation(
    database_url: str, receiver: Receiver, shared_data: Path
) -> None:
    """Given an endpoint whose secret is rotated, when every real payload is emitted as it is, then each library accepts
    each with the old secret and with the new, the bytes are identical, and with one bit changed none is accepted."""
    async with opened(database_url) as custodes:  # the libraries ask the time of day, too
        options = Options(signature=Signature.BOTH, concurrency=64)
        made = await custodes.outbound.create_endpoint(receiver.url, options=options)
        rotated = await custodes.outbound.rotate_secret(made.endpoint.id, overlap=HOUR)
        sent = bodies_of(shared_data)
        messages = await asyncio.gather(*(custodes.outbound.emit("file.sent", body) for body in sent))
        bodies = {message.id: body for message, body in zip(messages, sent, strict=True)}
        while await custodes.outbound.worker.run_due():
            pass

    assert len(bodies) > 300
    assert {got.headers["webhook-id"]: got.body for got in receiver.got} == bodies
    assert not any("." in got.headers["webhook-id"] + got.headers["webhook-timestamp"] for got in receiver.got)

    flipped = [with_one_bit_changed(got.body, number) for number, got in enumerate(receiver.got)]
    renamed = [{**got.headers, "webhook-id": got.headers["webhook-id"][:-1] + "!"} for got in receiver.got]
    good, bad = list[Case](), list[Case]()
    for secret in (made.secret, rotated.secret):
        good += [Case(got.body, got.headers, secret) for got in receiver.got]
        bad += [Case(body, got.headers, secret) for body, got in zip(flipped, receiver.got, strict=True)]
        bad += [Case(got.body, headers, secret) for headers, got in zip(renamed, receiver.got, strict=True)]
    found = verdicts([*good, *bad])
    assert len(found) == 4
    for library, taken in found.items():
        assert (library, taken.count(True)) == (library, len(good))
        assert all(taken[: len(good)])

    for key in (made.public_key, rotated.public_key):
        assert all(verified(key, got.headers, got.body) for got in receiver.got)
        assert not any(verified(key, got.headers, body) for body, got in zip(flipped, receiver.got, strict=True))
        assert not any(verified(key, headers, got.body) for headers, got in zip(renamed, receiver.got, strict=True))


async def test_before_and_after_a_rotation_the_libraries_take_the_one_secret_that_counts(
    database_url: str, receiver: Receiver
) -> None:
    async with opened(database_url) as custodes:
        made = await custodes.outbound.create_endpoint(receiver.url)
        await custodes.outbound.emit("x", {"text": "ü 💡"})
        await custodes.outbound.worker.run_due()
        rotated = await custodes.outbound.rotate_secret(made.endpoint.id, overlap=0)
        await custodes.outbound.emit("x", {"text": "ü 💡"})
        await custodes.outbound.worker.run_due()

    cases = [Case(got.body, got.headers, secret) for got in receiver.got for secret in (made.secret, rotated.secret)]
    for library, taken in verdicts(cases).items():
        assert (library, taken) == (library, [True, False, False, True])


async def test_a_body_that_is_no_text_is_signed_as_it_is(custodes: Custodes, receiver: Receiver) -> None:
    """The libraries read every body as UTF-8 first and cannot verify this one; the specification's own words can."""
    made = await custodes.outbound.create_endpoint(receiver.url)
    body = bytes(range(256))
    await custodes.outbound.emit("x", body, content_type="application/octet-stream")
    await custodes.outbound.worker.run_due()

    [got] = receiver.got
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(base64.b64decode(made.secret.removeprefix("whsec_")), signed, "sha256")
    assert got.body == body
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


async def test_after_the_overlap_only_the_new_secret_signs(custodes: Custodes, receiver: Receiver, clock) -> None:
    made = await custodes.outbound.create_endpoint(receiver.url)
    await custodes.outbound.rotate_secret(made.endpoint.id, overlap=HOUR)
    for _ in range(2):
        await custodes.outbound.emit("x", {})
        await custodes.outbound.worker.run_due()
        clock.advance(HOUR)
    counts = [len(got.headers["webhook-signature"].split(" ")) for got in receiver.got]
    assert counts == [2, 1]


def test_the_vector_of_the_specification() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, b'{"test": 2432232314}', [secret])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_that_svix_publishes_for_v1a() -> None:
    """svix-webhooks, ``server/svix-server/src/worker.rs``, ``test_asymmetric_key_signing``: seed and public key of 32
    bytes each. Ed25519 has one signature for each message, so ours is the very same."""
    pair = base64.b64decode("6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==")
    body = b'{"test": 2432232314}'
    key = private_key(pair[:32])
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, body, [], [key])
    expected = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    assert headers["webhook-signature"] == expected
    assert key.public() == f"whpk_{base64.b64encode(pair[32:]).decode()}"
    assert verified(key.public(), headers, body)
    assert not any(verified(key.public(), headers, with_one_bit_changed(body, bit)) for bit in range(len(body) * 8))


async def test_public_keys_are_published_where_receivers_look(custodes: Custodes, receiver: Receiver) -> None:
    """Given an endpoint that signs with a key pair, then its key set is at ``/.well-known/``, and verifies."""

    async def host(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    options = Options(signature=Signature.V1A)
    made = await custodes.outbound.create_endpoint(receiver.url, options=options)
    await custodes.outbound.rotate_secret(made.endpoint.id)
    other = await custodes.outbound.create_endpoint(receiver.url)
    transport = httpx2.ASGITransport(app=custodes.wrap(host))
    async with httpx2.AsyncClient(transport=transport, base_url="https://hooks.example.com") as client:
        found = await client.get(f"/.well-known/webhooks/{made.endpoint.id}/jwks.json")
        none = await client.get(f"/.well-known/webhooks/{other.endpoint.id}/jwks.json")
        hosts = await client.get("/.well-known/webhooks/else")
        refused = await client.post(f"/.well-known/webhooks/{made.endpoint.id}/jwks.json")
    assert (found.status_code, none.status_code, hosts.status_code, refused.status_code) == (200, 404, 418, 405)
    keys = found.json()["keys"]
    assert len(keys) == 2
    assert {(key["kty"], key["crv"], key["alg"]) for key in keys} == {("OKP", "Ed25519", "EdDSA")}
    assert all("d" not in key for key in keys)  # nothing private

    await custodes.outbound.emit("x", {})
    await custodes.outbound.worker.run_due()
    signed = next(got for got in receiver.got if "v1a," in got.headers["webhook-signature"])
    for key in keys:
        raw = base64.urlsafe_b64decode(key["x"] + "==")
        assert verified("whpk_" + base64.b64encode(raw).decode(), signed.headers, signed.body)
