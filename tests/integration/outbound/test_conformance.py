"""What we send, verified by others: every real payload, over a rotation, in both kinds of signature."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook
from tests.integration.outbound.conftest import LOOPBACK, Got, Receiver

from custodes import Custodes
from custodes.kernel.clock import HOUR
from custodes.planes.outbound.headers import signed_headers
from custodes.planes.outbound.model import Options, Signature


def files(shared_data: Path) -> list[Path]:
    return sorted(path for path in (shared_data / "payloads").rglob("*.json") if path.is_file())


def accepted(secret: str, got: Got) -> bool:
    try:
        StandardWebhook(secret).verify(got.body, got.headers)
        renamed = {name.replace("webhook-", "svix-"): value for name, value in got.headers.items()}
        SvixWebhook(secret).verify(got.body, renamed)
    except Exception:  # noqa: BLE001 - the libraries refuse in several ways
        return False
    return True


def verified(public_key: str, got: Got) -> bool:
    """Check a ``v1a`` signature with nothing of ours."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    for signature in got.headers["webhook-signature"].split(" "):
        kind, _, value = signature.partition(",")
        try:
            if kind == "v1a":
                key.verify(base64.b64decode(value), signed)
                return True
        except InvalidSignature:
            continue
    return False


async def test_every_payload_is_accepted_by_independent_verifiers_over_a_rotation(
    tmp_path: Path, receiver: Receiver, shared_data: Path
) -> None:
    """Given an endpoint whose secret is rotated, when every real payload is emitted as it is, then the libraries accept
    each with the old secret and with the new, the bytes are identical, and with one bit changed none is accepted."""
    custodes = Custodes(f"sqlite:///{tmp_path}/conformance.db", **LOOPBACK)
    await custodes.open()
    options = Options(signature=Signature.BOTH, concurrency=64)
    made = await custodes.outbound.create_endpoint(receiver.url, options=options)
    rotated = await custodes.outbound.rotate_secret(made.endpoint.id, overlap=HOUR)
    bodies: dict[str, bytes] = {}
    for path in files(shared_data):
        body = path.read_bytes()
        bodies[(await custodes.outbound.emit("file.sent", body)).id] = body
    while await custodes.outbound.worker.run_due():
        pass
    await custodes.outgoing.close()
    await custodes.close()

    assert len(bodies) > 300
    assert {got.headers["webhook-id"]: got.body for got in receiver.got} == bodies
    for number, got in enumerate(receiver.got):
        is_json = _is_json(got.body)
        for one in (made, rotated):
            if is_json:  # the libraries parse what they verify
                assert accepted(one.secret, got)
            assert verified(one.public_key, got)
        changed = bytearray(got.body)
        changed[number % len(changed)] ^= 1 << number % 8
        flipped = Got(got.path, got.headers, bytes(changed))
        assert not accepted(made.secret, flipped)
        assert not verified(made.public_key, flipped)


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
        assert verified("whpk_" + base64.b64encode(raw).decode(), signed)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
