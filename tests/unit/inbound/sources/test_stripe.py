"""Stripe: snapshot and thin events, rotation, and the traps that were found in its own library."""

from dataclasses import replace

import pytest
import stripe

from custodes.errors import MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.json_bounds import parse_json
from custodes.kernel.signing import hmac_hex
from custodes.planes.inbound.sources.base import Headers
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
SECRET = "whsec_test"
BODY = b'{"id": "evt_1", "type": "invoice.paid", "created": 1789999999, "data": {"object": {"id": "in_1"}}}'


@pytest.fixture
def source():
    return make_source("stripe", [SECRET])


def request(body=BODY, header=None):
    signed = signed_webhook("stripe", body, SECRET, now=NOW).request
    if header is None:
        return signed
    return replace(signed, headers=Headers([(b"stripe-signature", header.encode("latin-1"))]))


def v1(body=BODY, timestamp="1790000000", secret=SECRET):
    return hmac_hex(secret.encode(), timestamp.encode() + b"." + body)


def test_a_snapshot_event(source):
    verified = source.verify(request(), NOW)

    assert (verified.event_id, verified.event_type) == ("evt_1", "invoice.paid")
    assert verified.dedupe_key == "id:evt_1"
    assert verified.occurred_at == 1_789_999_999 * SECOND
    assert not verified.unsigned


def test_a_thin_event(source):
    body = b"""{"id": "evt_65R", "object": "v2.core.event", "type": "v1.billing.meter.error_report_triggered",
        "created": "2024-09-17T06:20:52.246Z", "related_object": {"id": "mtr_1"}}"""

    verified = source.verify(request(body), NOW)

    assert verified.event_type == "v1.billing.meter.error_report_triggered"
    assert verified.occurred_at == 1_726_554_052_246_000
    assert source.is_known(verified.event_type)


@pytest.mark.parametrize(
    "header",
    [
        "t=1790000000,v1=bad,v1={good}",
        "v1={good},t=1790000000",
        "t=1790000000,v0=abc,v1={good},v2=zzz,junk,=,,",
        "t=1790000000, v1={good}",
    ],
)
def test_a_good_signature_beside_garbage_is_accepted(source, header):
    assert source.verify(request(header=header.format(good=v1())), NOW).event_id == "evt_1"


@pytest.mark.parametrize(
    "header",
    [
        "t=1790000000,v0={good}",
        "t=1790000000,t=1790000000,v1={good}",
        "v1={good}",
        "t=,v1={good}",
        "t=1790000000;v1={good}",
        "t=1_790_000_000,v1={good}",
        "t=inf,v1={good}",
        "t=1790000000",
        "T=1790000000,v1={good}",
        "t=1790000000," + ",".join(["v1=0"] * 10) + ",v1={good}",
    ],
)
def test_what_is_not_one_moment_and_some_v1_is_malformed(source, header):
    with pytest.raises(SignatureRefused) as caught:
        source.verify(request(header=header.format(good=v1())), NOW)

    assert caught.value.reason == "malformed-header"


def test_a_signature_is_written_in_lower_case(source):
    with pytest.raises(SignatureRefused):
        source.verify(request(header=f"t=1790000000,v1={v1().upper()}"), NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"this is not JSON",
        b"[]",
        b"{}",
        b"null",
        b'{"id": ""}',
        b'{"id": 5}',
        b'{"id": null}',
        b'{"id": "evt_\\u0000"}',
        b'{"id": "%b"}' % (b"x" * 256),
        b'{"id": "evt_1", "type": "a\\nb"}',
        b'{"id": "evt_1"} x',
        b'{"id": "evt_1", "data": ' + b"[" * 100_000,
        b'{"id": "\xff"}',
        b"\xef\xbb\xbf" + BODY,
        b'{"id": "\\ud800"}',
    ],
    ids=lambda body: repr(body[:30]),
)
def test_a_signed_body_that_is_no_event_is_told_apart_from_a_forgery(source, body):
    with pytest.raises(MalformedPayload):
        source.verify(request(body), NOW)


@pytest.mark.parametrize("created", [b"-1", b"1e30", b'"yesterday"', b'"2024-09-17"', b"null", b'"%b"' % (b"9" * 99)])
def test_a_moment_that_is_none_does_no_harm(source, created):
    body = b'{"id": "evt_1", "type": "t", "created": %b}' % created

    assert source.verify(request(body), NOW).occurred_at is None


def test_fraud_is_known_by_its_type(source):
    fraud = ["radar.early_fraud_warning.created", "charge.dispute.created", "charge.dispute.closed", "review.opened"]

    assert all(source.is_fraud(event_type) for event_type in fraud)
    assert not any(source.is_fraud(event_type) for event_type in ["charge.succeeded", "xcharge.dispute.created", ""])


def test_types_that_stripe_does_not_have_are_unknown(source):
    assert source.is_known("invoice.paid")
    assert not any(source.is_known(event_type) for event_type in ["", "invoice", "evil.type", "xinvoice.paid"])


def test_of_a_name_that_is_there_twice_the_last_counts_as_in_stripes_own_library(source):
    """Given a signed body with two ids and two types, one of them in escapes, then no reader sees another event."""
    body = rb'{"id": "evt_first", "type": "a.first", "\u0069d": "evt_last", "type": "b.last", "object": "event"}'
    delivered = request(body)

    verified = source.verify(delivered, NOW)
    theirs = stripe.Webhook.construct_event(body, delivered.headers["stripe-signature"], SECRET, tolerance=None)

    assert (verified.event_id, verified.event_type) == ("evt_last", "b.last") == (theirs["id"], theirs["type"])
    assert parse_json(body)["id"] == verified.event_id
