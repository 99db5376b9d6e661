"""What holds for every source, whoever sends: one suite over all of them."""

import base64
from dataclasses import dataclass, field, replace

import pytest

from custodes.errors import ConfigurationError, CustodesError, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.signing import PrivateKey
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.inbound.sources.registry import BUILT_IN, make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND


def standard_secret(number):
    return "whsec_" + base64.b64encode(bytes([number]) * 24).decode()


def private_key(number):
    return "whsk_" + base64.b64encode(bytes([number]) * 32).decode()


def public_key(number):
    key = PrivateKey.read(private_key(number))
    assert key is not None
    return key.public()


def plain_secret(number):
    return f"secret-{number}-of-a-sender"


@dataclass(frozen=True)
class Sender:
    """How to play one sender."""

    kind: str
    signature: str
    secret: object = plain_secret
    verifying: object = None
    timestamp: str = ""
    options: dict = field(default_factory=dict)

    def source(self, *numbers, **options):
        make = self.verifying or self.secret
        return make_source(self.kind, [make(number) for number in numbers], **self.options, **options)

    def send(self, number=1, body=b'{"id": "evt_1", "type": "thing.happened"}', now=NOW, **changes):
        return signed_webhook(self.kind, body, self.secret(number), now=now, **self.options, **changes)


GENERIC = {"header": "X-Acme-Signature", "prefix": "v1=", "algorithm": "sha512", "encoding": "base64"}
TIMED = {"header": "X-Sig", "template": "{timestamp}.{body}", "timestamp_header": "X-Time", "id_field": "id"}

SENDERS = {
    "stripe": Sender("stripe", "stripe-signature"),
    "github": Sender("github", "x-hub-signature-256"),
    "clerk": Sender("clerk", "svix-signature", standard_secret, timestamp="svix-timestamp"),
    "svix": Sender("svix", "svix-signature", standard_secret, timestamp="svix-timestamp"),
    "v1": Sender("standard-webhooks", "webhook-signature", standard_secret, timestamp="webhook-timestamp"),
    "v1a": Sender("standard-webhooks", "webhook-signature", private_key, public_key, "webhook-timestamp"),
    "shopify": Sender("shopify", "x-shopify-hmac-sha256"),
    "slack": Sender("slack", "x-slack-signature", timestamp="x-slack-request-timestamp"),
    "gitlab-token": Sender("gitlab", "x-gitlab-token"),
    "gitlab-signed": Sender("gitlab", "webhook-signature", standard_secret, timestamp="webhook-timestamp"),
    "twilio": Sender("twilio", "x-twilio-signature"),
    "square": Sender("square", "x-square-hmacsha256-signature"),
    "zendesk": Sender("zendesk", "x-zendesk-webhook-signature"),
    "hmac": Sender("hmac", "X-Acme-Signature", options=GENERIC),
    "hmac-timed": Sender("hmac", "X-Sig", timestamp="X-Time", options=TIMED),
}

#: Those that sign a moment.
TIMED_SENDERS = [name for name, sender in SENDERS.items() if sender.timestamp or name in ("stripe", "zendesk")]

#: The one whose secret is sent along and signs nothing.
SIGNING = [name for name in SENDERS if name != "gitlab-token"]


@pytest.fixture(params=SENDERS)
def sender(request):
    return SENDERS[request.param]


def with_header(webhook, name, value):
    """The same delivery with one header put in place of all of its name."""
    raw = [(key, old) for key, old in webhook.request.headers.raw if key != name.lower().encode()]
    extra = [] if value is None else [(name.lower().encode(), value.encode("latin-1"))]
    return replace(webhook.request, headers=Headers(raw + extra))


def refused(source, request, now=NOW):
    with pytest.raises(SignatureRefused) as caught:
        source.verify(request, now)
    return caught.value.reason


def test_every_kind_is_played_here():
    assert {sender.kind for sender in SENDERS.values()} == set(BUILT_IN)


def test_what_the_sender_signed_is_accepted(sender):
    verified = sender.source(1).verify(sender.send().request, NOW)

    assert verified.dedupe_key
    assert verified.signed_with == 0
    assert verified.content_type == "application/json"


def test_header_names_come_in_any_case(sender):
    request = sender.send().request
    shouted = Headers([(name.upper(), value) for name, value in request.headers.raw])

    assert sender.source(1).verify(replace(request, headers=shouted), NOW) == sender.source(1).verify(request, NOW)


def test_any_of_several_secrets_is_accepted_and_named(sender):
    # Given three secrets while they are rotated
    source = sender.source(1, 2, 3)

    # Then each is accepted, the verdict tells which, and a fourth is refused
    assert [source.verify(sender.send(number).request, NOW).signed_with for number in (1, 2, 3)] == [0, 1, 2]
    assert refused(source, sender.send(4).request) == "no-match"


@pytest.mark.parametrize("name", SIGNING)
def test_one_changed_byte_is_refused(name):
    sender = SENDERS[name]
    request = sender.send().request

    for place in range(len(request.body)):
        changed = bytearray(request.body)
        changed[place] ^= 1
        assert refused(sender.source(1), replace(request, body=bytes(changed))) == "no-match"


def test_a_missing_signature_is_refused(sender):
    assert refused(sender.source(1), with_header(sender.send(), sender.signature, None)) == "missing-signature"


@pytest.mark.parametrize("value", ["", " ", ",", "=", "v1=", "garbage", "é" * 40, "\x00", "v1,", "t=1", "A" * 5_000])
def test_a_malformed_signature_is_refused(sender, value):
    reason = refused(sender.source(1), with_header(sender.send(), sender.signature, value))

    assert reason in {"malformed-header", "no-match"}


def test_two_signature_headers_are_refused(sender):
    """A proxy may look at one of them and we at the other."""
    request = sender.send().request
    twice = Headers([*request.headers.raw, (sender.signature.lower().encode(), b"another")])

    assert refused(sender.source(1), replace(request, headers=twice)) == "malformed-header"


def test_the_body_need_not_be_text(sender):
    """A body that is no UTF-8 is verified like any other; only Stripe always sends an event."""
    webhook = sender.send(body=b"\xff\xfe\x00\x80") if sender.kind != "twilio" else sender.send(body=b"a=%FF%FE")

    if sender.kind == "stripe":
        with pytest.raises(CustodesError, match="is not an event") as caught:
            sender.source(1).verify(webhook.request, NOW)
        assert caught.value.code == "malformed-payload"
    else:
        assert sender.source(1).verify(webhook.request, NOW).dedupe_key


def test_an_empty_body_is_no_error(sender):
    if sender.kind != "stripe":
        assert sender.source(1).verify(sender.send(body=b"").request, NOW).dedupe_key


@pytest.mark.parametrize("name", TIMED_SENDERS)
@pytest.mark.parametrize(("seconds", "verdict"), [(-301, "in-future"), (-300, None), (300, None), (301, "too-old")])
def test_the_moment_may_differ_by_the_tolerance_either_way(name, seconds, verdict):
    sender = SENDERS[name]
    request = sender.send().request
    now = NOW + seconds * SECOND

    if verdict is None:
        assert sender.source(1).verify(request, now).dedupe_key
    else:
        assert refused(sender.source(1), request, now) == f"timestamp-{verdict}"


@pytest.mark.parametrize("name", TIMED_SENDERS)
def test_the_tolerance_can_be_narrowed_and_never_switched_off(name):
    sender = SENDERS[name]

    assert refused(sender.source(1, tolerance=10), sender.send().request, NOW + 11 * SECOND) == "timestamp-too-old"
    for off in (0, -1, 86_401):
        with pytest.raises(ConfigurationError, match="tolerance"):
            sender.source(1, tolerance=off)


@pytest.mark.parametrize("name", TIMED_SENDERS)
def test_a_forged_moment_says_nothing_of_the_tolerance(name):
    """The signature is checked first: ``timestamp-too-old`` is said of genuine deliveries only, that is of replays."""
    sender = SENDERS[name]

    assert refused(sender.source(2), sender.send(1).request, NOW + 9_999 * SECOND) == "no-match"


@pytest.mark.parametrize("name", [name for name, sender in SENDERS.items() if sender.timestamp])
@pytest.mark.parametrize(
    "value", ["", "abc", "1e9", "1_790_000_000", " 1790000000", "+1790000000", "-1", "9" * 12, "١"]
)
def test_a_timestamp_is_digits_and_nothing_else(name, value):
    sender = SENDERS[name]
    webhook = sender.send()
    raw = [(key, old) for key, old in webhook.request.headers.raw if key != sender.timestamp.lower().encode()]
    headers = Headers([*raw, (sender.timestamp.lower().encode(), value.encode())])

    assert refused(sender.source(1), replace(webhook.request, headers=headers)) == "malformed-header"


def test_without_a_secret_there_is_no_source(sender):
    too_many = [plain_secret(number) for number in range(11)]
    for secrets in ([], [""], ["  "], ["\n"], [sender.secret(1), ""], too_many, "secret", ["\udcff"], None, [None]):
        with pytest.raises(ConfigurationError):
            make_source(sender.kind, secrets, **sender.options)


def test_no_secret_and_no_payload_is_shown(sender):
    # Given everything that a source says: its repr, and its refusals
    source = sender.source(1)
    said = [repr(source), str(vars(source).get("scheme", ""))]
    for request in (sender.send(2).request, with_header(sender.send(), sender.signature, "junk-signature")):
        with pytest.raises(SignatureRefused) as caught:
            source.verify(request, NOW)
        said += [str(caught.value), repr(caught.value)]

    # Then nothing of it holds a secret, a body or a signature
    for text in said:
        assert sender.secret(1) not in text
        assert "thing.happened" not in text
        assert "junk-signature" not in text


def test_a_verdict_fits_the_store(sender):
    """Ids and types from strangers are at most 255 printable characters, whatever was sent."""
    bodies = [
        b'{"id": "evt_1", "type": "%b"}' % (b"x" * 255),
        b'{"id": "%b", "type": "t"}' % (b"x" * 255),
        b'{"id": "evt_1", "type": ""}',
    ]
    for body in bodies:
        headers = {"X-GitHub-Event": "e" * 400, "X-Shopify-Topic": "é\x7f", "Idempotency-Key": "k" * 999}
        verified = sender.source(1).verify(sender.send(body=body, headers=headers).request, NOW)

        for text in (verified.event_id, verified.event_type, verified.dedupe_key):
            assert len(text) <= 255
            assert not text or text.isprintable()


def test_a_retry_has_the_same_key(sender):
    """The sender tries again a minute later: same event, same id, new moment, new signature."""
    ids = {"event_id": "msg_1"}
    first = sender.source(1).verify(sender.send(**ids).request, NOW)
    again = NOW + 60 * SECOND
    second = sender.source(1).verify(sender.send(now=again, **ids).request, again)

    assert first.dedupe_key == second.dedupe_key


def test_another_event_has_another_key(sender):
    one = sender.source(1).verify(sender.send(body=b'{"id": "evt_1", "type": "t"}').request, NOW)
    two = sender.source(1).verify(sender.send(body=b'{"id": "evt_2", "type": "t"}').request, NOW)

    assert one.dedupe_key != two.dedupe_key


def test_a_request_without_headers_is_refused(sender):
    assert refused(sender.source(1), WebhookRequest(headers=Headers([]), body=b"{}")) == "missing-signature"
