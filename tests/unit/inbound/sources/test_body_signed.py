"""GitHub and Shopify sign the body alone: what the headers say cannot make a new event of an old one."""

from dataclasses import replace

import pytest

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.clock import DAY, SECOND
from custodes.planes.inbound.sources.base import Headers
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
BODY = b'{"action": "opened", "issue": {"number": 1}}'


def delivered(kind="github", body=BODY, **changes):
    return signed_webhook(kind, body, "secret", now=NOW, **changes).request


def test_a_delivery_of_github():
    verified = make_source("github", ["secret"]).verify(delivered(event_type="issues", event_id="guid-1"), NOW)

    assert (verified.event_type, verified.event_id) == ("issues", "guid-1")
    assert verified.unsigned == {"event_type", "event_id"}
    assert verified.occurred_at is None


@pytest.mark.parametrize("changes", [{"event_id": "another-guid"}, {"event_type": "push"}], ids=["new id", "new type"])
def test_a_copy_with_other_unsigned_headers_is_the_same_event(changes):
    """Given a captured delivery, when it is sent again under another id or type, then its key is the old one."""
    source = make_source("github", ["secret"])
    first = source.verify(delivered(event_id="guid-1", event_type="issues"), NOW)

    copy = source.verify(delivered(**{"event_id": "guid-1", "event_type": "issues", **changes}), NOW + 30 * DAY)

    assert copy.dedupe_key == first.dedupe_key


def test_a_rotated_secret_does_not_make_a_new_event():
    old, new = make_source("github", ["secret"]), make_source("github", ["new", "secret"])

    assert old.verify(delivered(), NOW).dedupe_key == new.verify(delivered(), NOW).dedupe_key


def test_by_delivery_a_body_may_come_twice():
    source = make_source("github", ["secret"], dedupe="delivery")
    one, two, again = (source.verify(delivered(event_id=guid), NOW).dedupe_key for guid in ("1", "2", "1"))

    assert one == again != two
    with pytest.raises(ConfigurationError, match="dedupe"):
        make_source("github", ["secret"], dedupe="never")


def test_a_copy_for_another_shop_is_the_same_event():
    source = make_source("shopify", ["secret"])
    shops = [{"X-Shopify-Shop-Domain": shop} for shop in ("one.myshopify.com", "two.myshopify.com")]
    keys = [source.verify(delivered("shopify", headers=shop), NOW).dedupe_key for shop in shops]

    assert keys[0] == keys[1]


def test_one_order_under_two_topics_is_two_events():
    """Shopify sends the same body for orders/create and orders/paid: neither may swallow the other."""
    source = make_source("shopify", ["secret"])
    topics = ("orders/create", "orders/paid")
    keys = {source.verify(delivered("shopify", event_type=topic), NOW).dedupe_key for topic in topics}

    assert len(keys) == 2


@pytest.mark.parametrize("value", ["sha1={0}", "{0}", "SHA256={0}", "sha256 ={0}", "sha256={0} ", "sha256={0},x"])
def test_only_the_sha256_signature_counts(value):
    request = delivered()
    digest = request.headers["X-Hub-Signature-256"].removeprefix("sha256=")
    changed = replace(request, headers=Headers([(b"x-hub-signature-256", value.format(digest).encode())]))

    with pytest.raises(SignatureRefused):
        make_source("github", ["secret"]).verify(changed, NOW)


def test_the_sha1_header_alone_is_no_signature():
    request = replace(delivered(), headers=Headers([(b"x-hub-signature", b"sha1=" + b"0" * 40)]))

    with pytest.raises(SignatureRefused) as caught:
        make_source("github", ["secret"]).verify(request, NOW)
    assert caught.value.reason == "missing-signature"


def test_github_is_told_that_nothing_comes_again():
    assert not make_source("github", ["secret"]).retries
    assert make_source("github", ["secret"]).max_body == 25 * 1024 * 1024
    assert make_source("shopify", ["secret"]).retries
