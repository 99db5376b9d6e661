"""Standard Webhooks: both versions beside each other, several keys, and headers that crash other libraries."""

import base64
from dataclasses import replace

import pytest

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import PrivateKey
from custodes.planes.inbound.sources.base import Headers
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
PRIVATE = "whsk_" + base64.b64encode(b"s" * 32).decode()
PUBLIC = PrivateKey.read(PRIVATE).public()
BODY = b'{"type": "contact.created", "data": {}}'


def delivered(secret=SECRET, kind="standard-webhooks", body=BODY, event_id="msg_1"):
    return signed_webhook(kind, body, secret, event_id=event_id, now=NOW).request


def with_signatures(request, value):
    raw = [(name, old) for name, old in request.headers.raw if not name.endswith(b"-signature")]
    return replace(request, headers=Headers([*raw, (b"webhook-signature", value.encode("latin-1"))]))


def signature(request):
    return request.headers["webhook-signature"]


def test_id_type_and_moment_are_signed_facts():
    verified = make_source("standard-webhooks", [SECRET]).verify(delivered(), NOW)

    assert (verified.event_id, verified.event_type) == ("msg_1", "contact.created")
    assert verified.dedupe_key == "id:msg_1"
    assert verified.occurred_at == NOW
    assert not verified.unsigned


@pytest.mark.parametrize(
    "value",
    [
        "garbage {0}",
        "v1,abc {0}",
        "v1a,abc {0}",
        "{0}  x",
        "v2,{0} {0}",
        "v1,{0} {0}",
        ", {0} ,",
        "v1,é {0}",
        "v1, {0}",
    ],
)
def test_a_good_signature_beside_garbage_is_accepted(value):
    """The reference library raises ValueError or binascii.Error on most of these."""
    request = delivered()

    assert make_source("standard-webhooks", [SECRET]).verify(
        with_signatures(request, value.format(signature(request))), NOW
    )


@pytest.mark.parametrize("value", ["v1", "v1,", "v1a,", "v2,{0}", "v1;{0}", "V1,{0}", "{1}", "v1,{1}=", "v1,{1}\x7f"])
def test_nothing_near_it_is(value):
    request = delivered()
    given = signature(request)

    with pytest.raises(SignatureRefused):
        make_source("standard-webhooks", [SECRET]).verify(
            with_signatures(request, value.format(given.removeprefix("v1,"), given.removeprefix("v1,"))), NOW
        )


def test_both_versions_at_once():
    """While a sender moves to asymmetric keys, either of its signatures is enough and the verdict tells which."""
    symmetric, asymmetric = delivered(SECRET), delivered(PRIVATE)
    both = with_signatures(symmetric, f"{signature(symmetric)} {signature(asymmetric)}")

    assert make_source("standard-webhooks", [SECRET]).verify(both, NOW).signed_with == 0
    assert make_source("standard-webhooks", [PUBLIC]).verify(both, NOW).signed_with == 0
    assert make_source("standard-webhooks", [PUBLIC, SECRET]).verify(symmetric, NOW).signed_with == 1


def test_a_version_is_never_taken_for_the_other():
    """An attacker who knows the public key must not be able to use it as an HMAC secret."""
    as_secret = "whsec_" + PUBLIC.removeprefix("whpk_")

    with pytest.raises(SignatureRefused):
        make_source("standard-webhooks", [PUBLIC]).verify(delivered(as_secret), NOW)


@pytest.mark.parametrize("secret", [PRIVATE, "whpk_AAAA", "whsec_not base64", "whsec_", "whpk_", "whsec_é"])
def test_a_secret_that_cannot_verify_is_refused_at_start_and_not_shown(secret):
    with pytest.raises(ConfigurationError) as caught:
        make_source("standard-webhooks", [secret])

    assert len(secret) < 8 or secret[6:] not in str(caught.value)


@pytest.mark.parametrize("event_id", ["msg.1", "m\x01", "é", "x" * 256])
def test_an_id_is_printable_and_holds_no_full_stop(event_id):
    """``a.1.body`` could be id ``a`` at moment 1, or id ``a.1`` at the moment that the body begins with."""
    request = delivered()
    raw = [(name, old) for name, old in request.headers.raw if name != b"webhook-id"]
    changed = replace(request, headers=Headers([*raw, (b"webhook-id", event_id.encode("latin-1"))]))

    with pytest.raises(SignatureRefused) as caught:
        make_source("standard-webhooks", [SECRET]).verify(changed, NOW)
    assert caught.value.reason == "malformed-header"


def test_many_signatures_are_not_looked_at():
    request = delivered(PRIVATE)
    value = " ".join([f"v1a,{'A' * 86}=="] * 11 + [signature(request)])

    with pytest.raises(SignatureRefused) as caught:
        make_source("standard-webhooks", [PUBLIC]).verify(with_signatures(request, value), NOW)
    assert caught.value.reason == "malformed-header"


def test_svix_and_clerk_take_both_sets_of_names_and_the_standard_takes_its_own():
    for kind in ("svix", "clerk"):
        source = make_source(kind, [SECRET])
        assert source.verify(delivered(kind=kind), NOW).event_id == "msg_1"
        assert source.verify(delivered(), NOW).event_id == "msg_1"
    with pytest.raises(SignatureRefused):
        make_source("standard-webhooks", [SECRET]).verify(delivered(kind="svix"), NOW)


def test_the_two_sets_of_names_are_not_mixed():
    """Given the id under one prefix and the signature under the other, then nothing is signed together."""
    request = delivered(kind="svix")
    raw = [(name.replace(b"svix-id", b"webhook-id"), value) for name, value in request.headers.raw]

    with pytest.raises(SignatureRefused) as caught:
        make_source("svix", [SECRET]).verify(replace(request, headers=Headers(raw)), NOW)
    assert caught.value.reason == "missing-signature"


@pytest.mark.parametrize("body", [b"a" * 1_000, b"", b"[1]", b'{"type": 5}', b'{"type": "%b"}' % (b"t" * 256), b"\xff"])
def test_a_body_without_a_type_is_an_event_all_the_same(body):
    assert make_source("svix", [SECRET]).verify(delivered(kind="svix", body=body), NOW).event_type == ""
