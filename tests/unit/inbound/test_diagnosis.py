"""Why did it not verify? What is found is what was done to the delivery."""

import json

import pytest

from custodes.kernel.clock import HOUR
from custodes.planes.inbound.diagnosis import diagnose
from custodes.planes.inbound.forms import forms_of, json_text
from custodes.planes.inbound.receiver import Registration
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import made_of_kind, make_source
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBkaWFnbm9zaXM="
OTHER = "whsec_" + "YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg=="
BODY = b'{"id":"evt_1","type":"invoice.paid","livemode":true,"note":"\xc3\xa9"}'
NOW = FakeClock().now()


def source(kind: str = "stripe", secret: str = SECRET, name: str = "", tenant: str = "default") -> Registration:
    return Registration(make_source(name or kind, [secret], kind=kind), tenant)


def signed(kind: str = "stripe", body: bytes = BODY, secret: str = SECRET, now: int = NOW) -> WebhookRequest:
    return signed_webhook(kind, body, secret, now=now).request


def codes(registration: Registration, request: WebhookRequest, **more) -> list[tuple[str, bool]]:
    found = diagnose(registration, request, NOW, make=made_of_kind, **more)
    for finding in found:  # whatever is found, no secret is told
        assert SECRET not in repr(finding)
        assert OTHER not in repr(finding)
    return [(finding.code, finding.proven) for finding in found]


@pytest.mark.parametrize(
    "received",
    [
        BODY.rstrip(b"}") + b"}\n",
        b" " + BODY,
        json.dumps(json.loads(BODY)).encode(),
        json.dumps(json.loads(BODY), indent=2).encode(),
        BODY.decode("utf-8").encode("latin-1"),
        b"\xef\xbb\xbf" + BODY,
    ],
    ids=["line-feed", "space", "encoded-again", "indented", "latin-1", "byte-order-mark"],
)
def test_a_body_that_was_changed_on_the_way(received: bytes):
    sent = signed()

    assert codes(source(), WebhookRequest(sent.headers, received)) == [("body-changed", True)]


def test_a_body_whose_end_was_trimmed():
    sent = signed(body=BODY + b"\n")

    assert codes(source(), WebhookRequest(sent.headers, BODY)) == [("body-changed", True)]


def test_a_form_that_was_parsed_or_encoded_anew_on_the_way():
    form, otherwise = forms_of(BODY.replace(b"}", b',"b":"~*"}'))
    sent = signed("github", body=form)

    for received in (json_text(form), otherwise):
        assert codes(source("github"), WebhookRequest(sent.headers, received)) == [("body-changed", True)]


def test_the_secret_of_another_source_of_the_same_tenant_only():
    sent = signed(secret=OTHER)
    test_mode = source(secret=OTHER, name="stripe-test")

    assert codes(source(), sent, others=[source(), test_mode]) == [("other-secret", True)]
    hidden = source(secret=OTHER, name="stripe-test", tenant="acme")
    assert ("other-secret", True) not in codes(source(), sent, others=[hidden])


def test_a_secret_of_nobody_says_the_likely_mode():
    assert codes(source(), signed(secret=OTHER)) == [("mode", False)]


def test_the_right_secret_in_another_scheme():
    assert codes(source("github"), signed("shopify")) == [("other-sender", True), ("other-scheme", True)]


def test_a_clock_that_is_wrong():
    assert codes(source(), signed(now=NOW - HOUR)) == [("clock", True)]
    assert codes(source(), signed(now=NOW + HOUR)) == [("clock", True)]


def test_the_wrong_header():
    assert ("other-sender", True) in codes(source("github"), signed("stripe"))
    assert ("missing-header", True) in codes(source("github"), WebhookRequest(Headers([]), BODY))
    old = WebhookRequest(Headers([(b"x-hub-signature", b"sha1=00")]), BODY)
    assert ("old-scheme", True) in codes(source("github"), old)


def test_a_part_of_a_body_is_not_judged():
    assert codes(source(), WebhookRequest(signed().headers, BODY[:10]), whole=False) == [("body-cut", False)]


def test_what_verifies_now_and_what_nothing_explains():
    assert codes(source(), signed()) == [("verifies-now", True)]
    assert codes(source("github"), signed("github", secret=OTHER)) == [("unknown", False)]
