"""Signature vectors of the vendors' documents and test suites get the verdict that is stated with them."""

import base64
import json
from urllib.parse import urlencode

import pytest

from custodes.errors import MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import hmac_hex
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import make_source

#: Vectors that are about no webhook.
NO_WEBHOOK = {"shopify-oauth-query-hmac", "hmac-sha256-raw"}

#: Verdicts that the vectors leave to us, by id: chosen here, and kept. The set has none at present.
POLICY: dict[str, str] = {}

#: A moment for senders that sign none, seconds.
ANY_MOMENT = 1_790_000_000


@pytest.fixture
def vectors(shared_data):
    return json.loads((shared_data / "signatures.json").read_text())["vectors"]


def request_of(vector):
    return WebhookRequest(
        headers=Headers([(name.lower().encode(), value.encode()) for name, value in vector["headers"].items()]),
        body=body_of(vector),
        url=vector.get("url", "https://example.com/hooks"),
    )


def body_of(vector):
    if "body_gen" in vector:
        return (vector["body_gen"]["repeat"] * vector["body_gen"]["count"]).encode()
    if "params" in vector:
        return urlencode(pairs_of(vector["params"])).encode()
    return vector["body"].encode()


def pairs_of(params):
    return [(name, value) for name, value in (params.items() if isinstance(params, dict) else params)]


def verdict(vector):
    source = make_source(vector["provider"], [vector.get("public_key", vector["secret"])])
    try:
        source.verify(request_of(vector), (vector["verify_at"] or ANY_MOMENT) * SECOND)
    except SignatureRefused:
        return "invalid"
    except MalformedPayload:
        return "valid-signature-bad-body"
    return "valid"


def test_every_webhook_vector_gets_its_verdict(vectors):
    # Given every vector that a sender of webhooks could have made
    about_webhooks = [vector for vector in vectors if vector["scheme"] not in NO_WEBHOOK]

    # When each is verified at the moment it names
    given = {vector["id"]: verdict(vector) for vector in about_webhooks}

    # Then the verdict is the stated one, or the one that we chose where it is left to us
    stated = {vector["id"]: vector["expect"] for vector in about_webhooks}
    assert given == {name: POLICY[name] if expect == "policy" else expect for name, expect in stated.items()}
    assert len(given) == 39


def test_no_other_bytes_have_that_signature(vectors):
    """A vector that is accepted is refused as soon as one byte of its body changes."""
    valid = [v for v in vectors if v["scheme"] not in NO_WEBHOOK and v["expect"] == "valid"]

    for vector in valid:
        if "params" in vector:
            changed = {**vector, "params": [*pairs_of(vector["params"]), ("Extra", "1")]}
        elif "body_gen" in vector:
            changed = {**vector, "body_gen": {**vector["body_gen"], "count": vector["body_gen"]["count"] - 1}}
        else:
            changed = {**vector, "body": vector["body"][:-1] + "\x7f"}
        assert verdict(changed) == "invalid", vector["id"]


def test_rfc_4231(vectors):
    for vector in (v for v in vectors if v["scheme"] == "hmac-sha256-raw"):
        key, message = bytes.fromhex(vector["secret"]), base64.b64decode(vector["body_b64"])

        assert hmac_hex(key, message) == vector["hmac"], vector["id"]
