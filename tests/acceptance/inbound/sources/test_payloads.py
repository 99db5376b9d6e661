"""Real bodies, signed as their senders sign: accepted by us and by the senders' own libraries, both ways round."""

import random
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import stripe
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError
from svix.webhooks import Webhook as SvixWebhook

from custodes.errors import SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def now():
    """This moment: the libraries read the real clock."""
    return int(time.time()) * SECOND


@pytest.fixture
def bodies(shared_data):
    """Every real body: path below the folder → bytes."""
    folder = shared_data / "payloads"
    found = {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.json"))}
    assert len(found) == 313
    return found


def of(bodies, sender):
    return {path: body for path, body in bodies.items() if path.parts[0] == sender}


def refuses(verify, *args):
    try:
        verify(*args)
    except (stripe.SignatureVerificationError, WebhookVerificationError, SignatureRefused):
        return True
    return False


def one_bit_off(body):
    changed = bytearray(body)
    # An ASCII character stays one: the libraries crash on what is no UTF-8.
    place = random.Random(len(body)).choice([n for n, byte in enumerate(body) if 64 <= byte < 127 and byte != 65])
    changed[place] ^= 1
    return bytes(changed)


def test_every_body_of_github_is_accepted(bodies, now):
    source = make_source("github", [SECRET])

    for path, body in of(bodies, "github").items():
        event_type = path.parts[1]
        webhook = signed_webhook("github", body, SECRET, event_type=event_type, now=now)
        verified = source.verify(webhook.request, now)

        assert verified.event_type == event_type
        assert source.is_known(event_type)
        assert refuses(source.verify, replace(webhook.request, body=one_bit_off(body)), now)


def test_every_body_of_github_is_an_event_of_its_own(bodies, now):
    source = make_source("github", [SECRET])
    sent = set(of(bodies, "github").values())

    keys = {source.verify(signed_webhook("github", body, SECRET, now=now).request, now).dedupe_key for body in sent}

    assert len(keys) == len(sent)


def test_every_body_of_stripe_is_accepted_by_us_and_by_stripe(bodies, now):
    source = make_source("stripe", [SECRET])

    for path, body in of(bodies, "stripe").items():
        webhook = signed_webhook("stripe", body, SECRET, now=now)
        header = webhook.headers["stripe-signature"]
        verified = source.verify(webhook.request, now)
        event = stripe.Webhook.construct_event(body, header, SECRET)

        assert (verified.event_id, verified.event_type) == (event["id"], event["type"]), path
        assert source.is_known(verified.event_type), path
        assert verified.occurred_at is not None or event.get("created") is None, path
        changed = one_bit_off(body)
        assert refuses(source.verify, replace(webhook.request, body=changed), now), path
        assert refuses(stripe.Webhook.construct_event, changed, header, SECRET), path


def test_what_stripes_library_signs_we_accept(bodies, now):
    source = make_source("stripe", [SECRET])

    for body in of(bodies, "stripe").values():
        signed = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, now // SECOND)
        request = WebhookRequest(headers=Headers([(b"stripe-signature", signed.encode())]), body=body)

        assert source.verify(request, now).event_id


@pytest.mark.parametrize("kind", ["standard-webhooks", "svix", "clerk"])
def test_every_body_goes_both_ways_with_the_standard_libraries(bodies, kind, now):
    """Not only the three of the specification: any body may be sent by this scheme."""
    library = StandardWebhook(SECRET) if kind == "standard-webhooks" else SvixWebhook(SECRET)
    source = make_source(kind, [SECRET])

    for body in bodies.values():
        webhook = signed_webhook(kind, body, SECRET, now=now)
        prefix = "webhook-" if kind == "standard-webhooks" else "svix-"

        # What we sign, the library accepts
        library.verify(body, webhook.headers)
        # What the library signs, we accept
        moment = _utc(now // SECOND)
        theirs = library.sign(webhook.headers[f"{prefix}id"], moment, body.decode())
        headers = webhook.headers | {f"{prefix}signature": theirs}
        assert source.verify(replace(webhook, headers=headers).request, now).event_id == headers[f"{prefix}id"]
        # And one bit changed, neither does
        changed = one_bit_off(body)
        assert refuses(source.verify, replace(webhook.request, body=changed), now)
        assert refuses(library.verify, changed, webhook.headers)


def _utc(seconds):
    return datetime.fromtimestamp(seconds, tz=UTC)
