"""The generic source: every option does what it says, and no combination of them signs nothing."""

from dataclasses import replace

import pytest

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.sources.base import Headers
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
BODY = b'{"uid": 7, "event": "order.paid"}'
TIMED = {"template": "{timestamp}.{body}", "timestamp_header": "X-Time"}


def source(**options):
    return make_source("acme", ["secret"], kind="hmac", **{"header": "X-Signature", **options})


def delivered(body=BODY, now=NOW, secret="secret", **options):
    return signed_webhook("hmac", body, secret, now=now, event_type="typed", event_id="del-1", **options).request


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"algorithm": "sha512"},
        {"encoding": "base64"},
        {"prefix": "sha256="},
        {"template": "body:{body}:end"},
        {"template": "v0:{timestamp}:{id}:{body}", "timestamp_header": "X-Time", "id_header": "X-Id"},
        {**TIMED, "algorithm": "sha512", "encoding": "base64", "prefix": "v1,"[:2]},
    ],
    ids=str,
)
def test_every_spelling(options):
    assert source(**options).verify(delivered(**options), NOW).signed_with == 0


def test_several_signatures_in_one_header():
    good = delivered().headers["x-signature"]
    for value in (f"junk, {good}", f"{good},", f"{good.upper()}", f"é,{good}"):
        assert source().verify(delivered(headers={"x-signature": value}), NOW)
    with pytest.raises(SignatureRefused, match="more than"):
        source().verify(delivered(headers={"x-signature": ",".join(["x"] * 11)}), NOW)


def test_id_and_type_from_the_signed_body():
    verified = source(id_field="uid", type_field="event").verify(delivered(), NOW)

    assert (verified.event_id, verified.event_type, verified.dedupe_key) == ("7", "order.paid", "id:7")
    assert not verified.unsigned


def test_id_and_type_from_headers_are_marked():
    options = {"id_header": "X-Id", "type_header": "X-Type"}
    verified = source(**options).verify(delivered(**options), NOW)

    assert (verified.event_id, verified.event_type) == ("del-1", "typed")
    assert verified.unsigned == {"event_id", "event_type"}
    assert verified.dedupe_key.startswith("sha256:")


def test_an_id_in_the_template_is_signed():
    options = {"template": "{id}.{body}", "id_header": "X-Id"}
    verified = source(**options).verify(delivered(**options), NOW)

    assert (verified.dedupe_key, verified.unsigned) == ("id:del-1", frozenset())


@pytest.mark.parametrize(
    ("template", "split"),
    [("{id}.{body}", (b'del-1.{"amount":1', b"5}")), ("{body}.{id}", (b"5}.del-1", b'{"amount":1'))],
)
def test_a_signed_message_is_split_in_one_way_only(template, split):
    """
    Given a copy of one delivery,
    When what was signed is cut at another place, so that a new id and a part of the body come out,
    Then it is refused: the signature holds, but nobody signed this event.
    """
    options = {"template": template, "id_header": "X-Id"}
    sent = delivered(body=b'{"amount":1.5}', **options)
    other_id, other_body = split
    raw = [(name, other_id if name.lower() == b"x-id" else value) for name, value in sent.headers.raw]

    with pytest.raises(SignatureRefused) as caught:
        source(**options).verify(replace(sent, headers=Headers(raw), body=other_body), NOW)

    assert caught.value.reason == "malformed-header"


def test_with_a_moment_and_without_an_id_a_copy_is_caught_and_an_equal_event_is_not():
    sent = source(**TIMED)
    first, copy, later = (delivered(now=NOW + n * SECOND, **TIMED) for n in (0, 0, 1))
    keys = [sent.verify(request, NOW).dedupe_key for request in (first, copy, later)]

    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "options",
    [
        {"template": "signed"},
        {"template": "{timestamp}"},
        {"template": "{timestamp}{body}"},
        {"template": "{id}.{body}"},
        {"template": "{body}{body}"},
        {"template": "{body}{secret}"},
        {"template": "{id}{body}", "id_header": "X-Id"},
        {"template": "é{body}"},
        {"timestamp_header": "X-Time"},
        {"algorithm": "md5"},
        {"algorithm": "sha1"},
        {"encoding": "base32"},
        {"header": ""},
        {"header": "X Signature"},
        {"header": "X-Signature\r\n"},
        {"id_header": "é"},
        {"tolerance": 0},
        {"max_body": -1},
    ],
    ids=str,
)
def test_options_that_would_sign_nothing_are_refused_at_start(options):
    with pytest.raises(ConfigurationError):
        source(**options)


def test_fraud_types_and_retries_are_options():
    configured = source(fraud_types=["chargeback.*"], retries=False, max_body=10)

    assert configured.is_fraud("chargeback.opened")
    assert (configured.retries, configured.max_body, configured.name) == (False, 10, "acme")
