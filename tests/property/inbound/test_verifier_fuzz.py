"""A million mutated deliveries into the verifiers: nothing but our own two errors comes out, and no forgery gets in.

A mutation fuzzer with a fixed seed, so that a failure comes again; it needs no coverage to guide it, because the
verifiers are short and the words they look for are in its dictionary. Hypothesis looks for what it does not think of.
``make drills`` has the million, ``make test`` a tenth of it.
"""

import base64
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counts import cases

from custodes.errors import MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import PrivateKey
from custodes.planes.inbound.sources.base import Headers, Verified, WebhookRequest
from custodes.planes.inbound.sources.registry import BUILT_IN, make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND

SYMMETRIC = "whsec_" + base64.b64encode(b"k" * 24).decode()
PRIVATE = "whsk_" + base64.b64encode(b"s" * 32).decode()
PUBLIC = PrivateKey.read(PRIVATE).public()

BODY = b'{"id": "evt_1", "type": "invoice.paid", "created": 1789999999, "data": {"a": [1, "\\u00e9", null]}}'
FORM = b"MessageSid=SM1&MessageStatus=sent&To=%2B1555&Body=h%C3%A9llo+%26"


@dataclass(frozen=True)
class Target:
    """One verifier, and what its sender would send it."""

    kind: str
    secret: str = "secret"
    verifying: str = ""
    body: bytes = BODY
    options: dict = field(default_factory=dict)
    #: Mutated headers, and mutated bodies that are signed; Ed25519 takes ten times as long as HMAC.
    headers: int = 46_000
    bodies: int = 24_000
    #: Whether different bytes can never have the same signature.
    exact: bool = True

    def source(self):
        return make_source(self.kind, [self.verifying or self.secret, self.verifying or self.secret], **self.options)

    def sign(self, body):
        return signed_webhook(self.kind, body, self.secret, now=NOW, event_id="msg_1", **self.options).request


TIMED = {
    "header": "X-Sig",
    "prefix": "v1=",
    "encoding": "base64",
    "template": "{timestamp}.{id}.{body}",
    "timestamp_header": "X-Time",
    "id_header": "X-Id",
    "type_field": "type",
}

TARGETS = {
    "stripe": Target("stripe"),
    "github": Target("github"),
    "clerk": Target("clerk", SYMMETRIC),
    "svix": Target("svix", SYMMETRIC),
    "v1": Target("standard-webhooks", SYMMETRIC),
    "v1a": Target("standard-webhooks", PRIVATE, PUBLIC, headers=10_000, bodies=10_000),
    "shopify": Target("shopify"),
    "slack": Target("slack"),
    "gitlab-token": Target("gitlab", exact=False),
    "gitlab-signed": Target("gitlab", SYMMETRIC),
    "twilio-form": Target("twilio", body=FORM, exact=False),
    "twilio-json": Target("twilio"),
    "square": Target("square"),
    "zendesk": Target("zendesk"),
    "hmac": Target("hmac", options={"header": "X-Sig"}),
    "hmac-timed": Target("hmac", options=TIMED),
}

#: What verifiers look for, and what trips parsers.
WORDS = (
    *(b"t=", b"v1=", b"v0=", b"v1,", b"v1a,", b"v2,", b",", b" ", b"=", b"==", b".", b":", b";", b"%", b"&", b"\x00"),
    *(b"\r\n", b"\xff", b"\xed\xa0\x80", b"\xc3\xa9", b"\xd9\xa1", b"1e9", b"inf", b"nan", b"-1", b"+1", b"1_0", b"0x"),
    *(b"9" * 40, b"A" * 300, b"=" * 9, b"whsec_", b"sha256=", b"bodySHA256=", b"{", b"[" * 300, b"}", b'"', b"\\"),
    *(b"\\ud800", b"\\u0000", b'{"id":', b'"type":', b"null", b"true", b"1e400", b'"event":{}', b'"created":"x"'),
    *(
        b"T",
        b"Z",
        b"2026-02-30T25:61:61Z",
        b"\xe2\x80\xa8",
        b"\xf0\x9f\x98\x80",
        b"v1=" * 40,
        b"v1, " * 40,
        b"a=&" * 99,
    ),
)


def mutate(choice, data):
    """One to three random changes."""
    for _ in range(int(choice() * 3) + 1):
        place = int(choice() * (len(data) + 1))
        what = int(choice() * 6)
        if what == 0:
            data = data[:place] + bytes((int(choice() * 256),)) + data[place + 1 :]
        elif what == 1:
            data = data[:place] + WORDS[int(choice() * len(WORDS))] + data[place:]
        elif what == 2:
            data = data[:place] + data[place + int(choice() * 8) + 1 :]
        elif what == 3:
            data = data[:place]
        elif what == 4:
            data = data[:place] + data[int(choice() * (place + 1)) :]
        else:
            data = WORDS[int(choice() * len(WORDS))] + data[place:]
    return data


def verdict(source, request):
    """What came out, if it is one of the three things that may."""
    try:
        verified = source.verify(request, NOW)
    except (SignatureRefused, MalformedPayload) as error:
        return error
    assert isinstance(verified, Verified)
    assert verified.dedupe_key
    assert max(len(verified.event_id), len(verified.event_type), len(verified.dedupe_key)) <= 255
    return verified


def test_every_verifier_is_a_target_a_million_times():
    assert {target.kind for target in TARGETS.values()} == set(BUILT_IN)
    assert sum(target.headers + target.bodies for target in TARGETS.values()) >= 1_000_000


@pytest.mark.drill
@pytest.mark.parametrize("name", TARGETS)
def test_mutated_headers(name):
    """Headers (and now and then the body) changed after signing: refused, unless the signed bytes are all there."""
    target, choice = TARGETS[name], random.Random(f"headers {name}").random
    source, signed = target.source(), TARGETS[name].sign(TARGETS[name].body)
    raw, accepted = signed.headers.raw, 0

    for _ in range(cases(target.headers)):
        headers, body, dice = list(raw), signed.body, choice()
        place = int(choice() * len(raw))
        if dice < 0.04:
            del headers[place]
        elif dice < 0.08:
            headers.append((raw[place][0], mutate(choice, raw[place][1])))
        else:
            headers[place] = (raw[place][0], mutate(choice, raw[place][1]))
        if dice > 0.8:
            body = mutate(choice, body)

        outcome = verdict(source, WebhookRequest(Headers(headers), body, signed.url))

        if isinstance(outcome, Verified):
            accepted += 1
            assert body == signed.body or not target.exact

    # And the fuzzer was no blunt one: some of its changes were harmless ones
    assert accepted > 0


@pytest.mark.drill
@pytest.mark.parametrize("name", TARGETS)
def test_mutated_bodies_that_are_signed(name):
    """Bodies that a confused or hostile sender signs: an event, or a malformed payload; its signature stands."""
    target, choice = TARGETS[name], random.Random(f"bodies {name}").random
    source, verified = target.source(), 0

    for _ in range(cases(target.bodies)):
        outcome = verdict(source, target.sign(mutate(choice, target.body)))
        verified += isinstance(outcome, Verified)
        # Twilio's JSON becomes a form when its beginning goes, and a form may have too many fields
        assert not isinstance(outcome, SignatureRefused) or outcome.reason == "malformed-body"

    assert verified > cases(target.bodies) * 0.01


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_urls(name):
    target, choice = TARGETS[name], random.Random(f"urls {name}").random
    source, signed = target.source(), target.sign(target.body)

    for _ in range(2_000):
        url = mutate(choice, signed.url.encode()).decode("utf-8", "surrogateescape")
        verdict(source, replace(signed, url=url))


headers = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=60)), max_size=6)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(headers=headers, values=st.lists(st.binary(max_size=80), max_size=6), body=st.binary(max_size=80), url=st.text())
def test_anything_at_all(name, headers, values, body, url):
    """Random headers beside the right names with random values."""
    target = TARGETS[name]
    names = [header for header, _ in target.sign(target.body).headers.raw]
    raw = headers + list(zip(names, values, strict=False))

    assert not isinstance(verdict(target.source(), WebhookRequest(Headers(raw), body, url)), Verified)
