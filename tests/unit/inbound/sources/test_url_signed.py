"""Twilio and Square sign the URL that they call; Zendesk signs a written moment."""

import hashlib
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from custodes.errors import SignatureRefused
from custodes.kernel.clock import MINUTE, SECOND, from_iso
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import make_source
from custodes.planes.inbound.sources.twilio import MAX_FIELDS
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
FORM = urlencode({"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15551234567"}).encode()


def twilio(body=FORM, **changes):
    return signed_webhook("twilio", body, "token", **changes).request


def test_a_message_of_twilio():
    verified = make_source("twilio", ["token"]).verify(twilio(), NOW)

    assert (verified.event_id, verified.event_type) == ("SM1", "message.delivered")
    assert not verified.unsigned


@pytest.mark.parametrize(
    ("form", "event_id", "event_type"),
    [
        ({"CallSid": "CA1", "CallStatus": "ringing"}, "CA1", "call.ringing"),
        ({"EventSid": "EV1", "EventType": "task.created"}, "EV1", "task.created"),
        ({"CallSid": "x" * 300, "CallStatus": "a\nb"}, "", ""),
        ({"A": "ü ✓ &=%"}, "", ""),
        ({"A": ""}, "", ""),
    ],
)
def test_other_forms_of_twilio(form, event_id, event_type):
    verified = make_source("twilio", ["token"]).verify(twilio(urlencode(form).encode()), NOW)

    assert (verified.event_id, verified.event_type) == (event_id, event_type)


def test_a_json_body_is_signed_by_its_hash_in_the_url():
    request = twilio(b'{"a": 1}')

    assert "bodySHA256=" in request.url
    assert make_source("twilio", ["token"]).verify(request, NOW)
    with pytest.raises(SignatureRefused):
        make_source("twilio", ["token"]).verify(replace(request, body=b'{"a": 2}'), NOW)


def test_no_part_of_a_body_of_square_can_be_moved_into_the_url():
    body = b'{"event_id": "e1", "type": "payment.updated"}'
    url = "https://app.example.com/hooks/square?shop=1"
    request = replace(signed_webhook("square", body, "key", url=url).request, url=url)
    source = make_source("square", ["key"])
    assert source.verify(request, NOW).event_id == "e1"

    for cut in range(1, len(body)):
        with pytest.raises(SignatureRefused):
            source.verify(replace(request, url=url + body[:cut].decode(), body=body[cut:]), NOW)


@pytest.mark.parametrize("extra", [b"&Extra=1", b"&Extra", b"&=1", b"Extra", b"&%FF", b"&\xff"])
def test_nothing_can_be_put_beside_the_signed_fields(extra):
    request = twilio()

    with pytest.raises(SignatureRefused):
        make_source("twilio", ["token"]).verify(replace(request, body=request.body + extra), NOW)


def test_the_order_of_fields_makes_no_new_event():
    source = make_source("twilio", ["token"])
    request = twilio(b"A=1&B=2")

    one, other = (source.verify(replace(request, body=body), NOW) for body in (b"A=1&B=2", b"B=2&A=1&A=1"))

    assert one.dedupe_key == other.dedupe_key


def test_a_form_of_endless_fields_is_refused_unread():
    request = replace(twilio(), body=b"a=1&" * (MAX_FIELDS + 1))

    with pytest.raises(SignatureRefused) as caught:
        make_source("twilio", ["token"]).verify(request, NOW)
    assert caught.value.reason == "malformed-body"


@pytest.mark.parametrize(
    "url", ["", "::", "http://[", "https://x:99999/", "https://x:y/", "\ud800", "mailto:x", "https://é/"]
)
def test_a_url_that_is_none_matches_nothing_and_does_not_raise(url):
    for kind in ("twilio", "square"):
        header = {"twilio": b"x-twilio-signature", "square": b"x-square-hmacsha256-signature"}[kind]
        request = WebhookRequest(headers=Headers([(header, b"AAAA")]), body=b"a=1", url=url)

        with pytest.raises(SignatureRefused):
            make_source(kind, ["token"]).verify(request, NOW)


@pytest.mark.parametrize("kind", ["twilio", "square"])
def test_behind_a_proxy_the_public_url_is_configured(kind):
    """Given the proxy calls us under another name, then the configured URL is used with the query of the request."""
    public = "https://api.example.com/hooks"
    signed = signed_webhook(kind, b"a=1", "token", url=f"{public}?tenant=7").request
    inside = replace(signed, url="http://10.0.0.5:8000/hooks?tenant=7")

    assert make_source(kind, ["token"], url=public).verify(inside, NOW).dedupe_key
    with pytest.raises(SignatureRefused):
        make_source(kind, ["token"]).verify(inside, NOW)
    with pytest.raises(SignatureRefused):
        make_source(kind, ["token"], url=public).verify(replace(inside, url="http://10.0.0.5/hooks?tenant=8"), NOW)


def test_an_event_of_square():
    body = b'{"event_id": "sq-1", "type": "payment.updated", "created_at": "2026-09-21T12:00:00.5Z"}'

    verified = make_source("square", ["key"]).verify(signed_webhook("square", body, "key").request, NOW)

    assert (verified.event_id, verified.event_type, verified.dedupe_key) == ("sq-1", "payment.updated", "id:sq-1")
    assert verified.occurred_at == from_iso("2026-09-21T12:00:00.5Z")


def test_an_event_subscription_of_zendesk_has_a_signed_id():
    body = b'{"id": "0a1b", "type": "zen:event-type:ticket.created"}'
    source = make_source("zendesk", ["secret"])
    first = source.verify(signed_webhook("zendesk", body, "secret", now=NOW).request, NOW)
    retry = source.verify(signed_webhook("zendesk", body, "secret", now=NOW + MINUTE).request, NOW)

    assert (first.event_id, first.event_type) == ("0a1b", "zen:event-type:ticket.created")
    assert first.dedupe_key == retry.dedupe_key
    assert not first.unsigned


def test_two_equal_triggers_of_zendesk_are_two_events_and_a_copy_is_none():
    """A trigger's body is what its author wrote, maybe always the same: its signed moment tells events apart."""
    source = make_source("zendesk", ["secret"])
    one, two = (signed_webhook("zendesk", b"ring", "secret", now=NOW + n * MINUTE).request for n in (0, 1))
    renamed = [(name, b"new" if name.endswith(b"invocation-id") else value) for name, value in one.headers.raw]
    copy = replace(one, headers=Headers(renamed))

    keys = [source.verify(request, NOW).dedupe_key for request in (one, two, copy)]

    assert keys[0] == keys[2] != keys[1]
    assert source.verify(one, NOW).unsigned == {"event_id"}


@pytest.mark.parametrize(
    "value", ["2026-13-01T00:00:00Z", "2026-09-21", "2026-09-21T12:00:00+00:00", "1790000000", "x"]
)
def test_a_moment_of_zendesk_is_written_one_way(value):
    request = signed_webhook(
        "zendesk", b"{}", "secret", headers={"x-zendesk-webhook-signature-timestamp": value}
    ).request

    with pytest.raises(SignatureRefused):
        make_source("zendesk", ["secret"]).verify(request, NOW)


def test_the_hash_in_the_url_may_be_in_upper_case():
    digest = hashlib.sha256(b'{"a": 1}').hexdigest().upper()
    request = twilio(b'{"a": 1}', url=f"https://example.com/?bodySHA256={digest}")

    assert make_source("twilio", ["token"]).verify(request, NOW)
