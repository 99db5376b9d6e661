"""Slack's handshake and forms; GitLab's two proofs."""

import base64
from dataclasses import replace

import pytest

from custodes.errors import SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.sources.base import Headers
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND
SIGNING = "whsec_" + base64.b64encode(b"g" * 32).decode()
PUSH = b'{"object_kind": "push", "ref": "refs/heads/main"}'


def slack(body):
    return signed_webhook("slack", body, "secret", now=NOW).request


def gitlab(secret, body=PUSH, **changes):
    return signed_webhook("gitlab", body, secret, now=NOW, event_id="key-1", **changes).request


# ── Slack ────────────────────────────────────────────────────────────────────


def test_an_event_of_slack_has_the_type_of_the_event_inside():
    body = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention", "text": "hi"}}'

    verified = make_source("slack", ["secret"]).verify(slack(body), NOW)

    assert (verified.event_id, verified.event_type, verified.dedupe_key) == ("Ev1", "app_mention", "id:Ev1")


@pytest.mark.parametrize(
    ("body", "event_type"),
    [
        (b"token=x&command=%2Fdeploy&text=", "slash_command"),
        (b"payload=%7B%22type%22%3A%22block_actions%22%7D", "interaction"),
        (b"recommand=1", ""),
        (b'{"type": "app_rate_limited"}', "app_rate_limited"),
        (b'{"event": 5}', ""),
    ],
)
def test_what_else_slack_sends(body, event_type):
    verified = make_source("slack", ["secret"]).verify(slack(body), NOW)

    assert (verified.event_id, verified.event_type) == ("", event_type)
    assert verified.dedupe_key.startswith("sha256:")


def test_the_handshake_is_answered_with_the_challenge():
    source = make_source("slack", ["secret"])

    assert source.challenge(slack(b'{"type": "url_verification", "challenge": "3eZbrw1a"}')) == b"3eZbrw1a"
    assert source.challenge(slack(b'{"type": "event_callback", "challenge": "3eZbrw1a"}')) is None
    assert source.challenge(slack(b"\xff")) is None


def test_no_other_source_answers_a_handshake():
    """A challenge is an echo: only who documents one gets one."""
    assert make_source("github", ["secret"]).challenge(slack(b'{"type": "url_verification", "challenge": "x"}')) is None


# ── GitLab ───────────────────────────────────────────────────────────────────


def test_a_signing_token_signs_id_moment_and_body():
    verified = make_source("gitlab", [SIGNING]).verify(gitlab(SIGNING), NOW)

    assert (verified.event_id, verified.event_type) == ("key-1", "push")
    assert not verified.unsigned


def test_a_secret_token_proves_the_sender_only():
    """What it says about the body is marked, and a copy under a new key is still the same event."""
    source = make_source("gitlab", ["secret"])
    verified = source.verify(gitlab("secret"), NOW)
    copy = source.verify(gitlab("secret", headers={"idempotency-key": "key-2"}), NOW)

    assert (verified.event_id, verified.event_type) == ("key-1", "push")
    assert verified.unsigned == {"event_id", "event_type", "dedupe_key"}
    assert copy.dedupe_key == verified.dedupe_key


def test_a_bad_signature_does_not_fall_back_to_the_token():
    # Given a source that takes both, while a webhook is moved from one to the other
    source = make_source("gitlab", ["secret", SIGNING])
    assert source.verify(gitlab("secret"), NOW).signed_with == 0
    assert source.verify(gitlab(SIGNING), NOW).signed_with == 1

    # When a request carries the right token and a wrong signature
    request = gitlab(SIGNING, headers={"x-gitlab-token": "secret"})
    changed = replace(request, body=b'{"object_kind": "evil"}')

    # Then it is refused
    with pytest.raises(SignatureRefused) as caught:
        source.verify(changed, NOW)
    assert caught.value.reason == "no-match"


def test_with_a_signing_token_alone_the_plain_token_is_nothing():
    with pytest.raises(SignatureRefused) as caught:
        make_source("gitlab", [SIGNING]).verify(gitlab("secret", headers={"x-gitlab-token": SIGNING}), NOW)
    assert caught.value.reason == "missing-signature"


def test_with_a_plain_token_alone_a_signature_is_not_needed():
    """GitLab can sign with a token that we were not given; the secret token still counts."""
    request = gitlab(SIGNING, headers={"x-gitlab-token": "secret"})

    assert make_source("gitlab", ["secret"]).verify(request, NOW).signed_with == 0


def test_a_token_may_be_any_text():
    request = gitlab("secret")
    token = Headers([(b"x-gitlab-token", "gehéim-✓".encode())])

    assert make_source("gitlab", ["gehéim-✓"]).verify(replace(request, headers=token), NOW)


@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        (b'{"event_name": "user_add_to_group"}', "Member Hook", "user_add_to_group"),
        (b"custom template", "Push Hook", "Push Hook"),
        (b'{"object_kind": 5}', "Note Hook", "Note Hook"),
    ],
)
def test_the_type_comes_from_the_body_where_it_says_so(body, header, expected):
    verified = make_source("gitlab", [SIGNING]).verify(gitlab(SIGNING, body, event_type=header), NOW)

    assert verified.event_type == expected
    assert ("event_type" in verified.unsigned) == (expected == header)
