"""What callers say is read generously, bounded, and cleaned of secrets."""

from dataclasses import dataclass

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.canonical import canonical
from custodes.kernel.clock import HOUR, SECOND
from custodes.kernel.redact import MASK
from custodes.planes.audit.drafting import (
    MAX_CHANGES,
    MAX_LABELS,
    MAX_NAME,
    MAX_REASON,
    MAX_TARGETS,
    Draft,
    draft,
    reference,
)
from custodes.planes.audit.model import Change, Context, Outcome, Reference

NOW = 1_790_000_000 * SECOND


def drafted(action: str = "member.removed", actor: object = "user:42", **fields: object) -> Draft:
    return draft(action, actor, fields, now=NOW, default_tenant="default")  # type: ignore[arg-type]


@dataclass
class ApiKey:
    id: int
    name: str = "CI"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("user:42", Reference("user", "42")),
        ("42", Reference("user", "42")),
        ("alice@example.com", Reference("user", "alice@example.com")),
        ("ip:2001:db8::1", Reference("ip", "2001:db8::1")),
        ("2001:db8::1", Reference("user", "2001:db8::1")),
        ("", Reference("anonymous", "")),
        (Reference("invoice", "7", "March"), Reference("invoice", "7", "March")),
        ({"type": "service", "id": "billing"}, Reference("service", "billing")),
        ({"id": 5, "name": "Ann"}, Reference("user", "5", "Ann")),
        (ApiKey(9), Reference("api_key", "9", "CI")),
    ],
)
def test_actors_and_targets_may_be_given_in_any_handy_form(said: object, meant: Reference):
    assert reference(said) == meant


@pytest.mark.parametrize(
    "said", [object(), 42, {"type": "No!", "id": "1"}, Reference("", "1")], ids=lambda said: type(said).__name__
)
def test_what_names_nobody_is_refused(said: object):
    with pytest.raises(InvalidInput):
        reference(said)


@pytest.mark.parametrize("action", ["", "Member Removed", "a..b", ".a", "a.", "a" * 101, "drop table;", "ä.b", "a\n"])
def test_an_action_must_have_a_name_that_can_be_found(action: str):
    with pytest.raises(InvalidInput, match="not an action name"):
        drafted(action)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "maybe"},
        {"tenant": "a b"},
        {"tenant": "x" * 65},
        {"time": -1},
        {"time": NOW + HOUR},
        {"targets": ["user:1"] * (MAX_TARGETS + 1)},
        {"changes": [("a", 1, 2)] * (MAX_CHANGES + 1)},
        {"labels": {str(place): "x" for place in range(MAX_LABELS + 1)}},
        {"idempotency_key": "k" * (MAX_NAME + 1)},
        {"targets": "order:9"},
        {"targets": {"type": "order", "id": "9"}},
        {"targets": 9},
        {"changes": ("role", "member", "owner")},
        {"changes": [("role", "member")]},
        {"changes": ["abc"]},
        {"changes": [5]},
        {"time": "yesterday"},
        {"target_id": "9"},
        {"changes": {"role": ("member", "owner")}},
    ],
    ids=str,
)
def test_what_cannot_be_recorded_as_said_is_refused_with_our_error(fields: dict[str, object]):
    with pytest.raises(InvalidInput) as caught:
        drafted(**fields)

    assert caught.value.remedy


def test_endless_input_is_not_read_to_its_end():
    def endless():
        while True:
            yield "user:1"

    with pytest.raises(InvalidInput, match="More than"):
        drafted(targets=endless())


def test_changes_are_masked_by_path_by_look_and_below_sensitive_names():
    changes = drafted(
        changes=[
            ("email", "a@x.example", "b@x.example"),
            ("password", "old", "new"),
            {"path": "settings", "old": {"api_key": "k"}, "new": {"api_key": "l", "theme": "dark"}},
            Change("note", None, "key " + "sk_" + "live_" + "abcdefgh1234"),
            ("secret", None, "now set"),
        ]
    ).changes

    assert changes == (
        Change("email", "a@x.example", "b@x.example"),
        Change("password", MASK, MASK),
        Change("settings", {"api_key": MASK}, {"api_key": MASK, "theme": "dark"}),
        Change("note", None, "key [redacted stripe]"),
        Change("secret", None, MASK),
    )


def test_context_takes_the_known_fields_and_keeps_the_rest_redacted():
    context = drafted(
        context={"ip": "1.1.1.1", "user_agent": "Firefox", "request_id": "r-1", "plan": "pro", "cookie": "x"},
        ip="2.2.2.2",
    ).context

    assert context == Context(
        ip="2.2.2.2", user_agent="Firefox", request_id="r-1", extra={"plan": "pro", "cookie": MASK}
    )
    assert drafted(context=Context(session="s-1", trace_id="t")).context == Context(session="s-1", trace_id="t")


def test_large_events_are_cut_and_marked_and_never_lost():
    event = drafted(
        reason="r" * 100_000,
        changes=[(f"field{place}", "x" * 10_000, "y" * 10_000) for place in range(100)],
        context={"user_agent": "u" * 10_000, "body": [{"k": "v" * 5_000}] * 5_000},
        labels={"a": "b" * 10_000},
    )

    assert len(event.reason) == MAX_REASON
    assert len(event.changes) == 100
    assert event.changes[-1] == Change("field99", "[cut]", "[cut]")
    assert len(event.context.user_agent) == 256
    size = len(canonical([[c.path, c.old, c.new] for c in event.changes])) + len(canonical(event.context.extra))
    assert size + len(canonical(event.labels)) < 64 * 1024


def test_what_no_store_takes_is_replaced():
    event = drafted(actor="user:\x00\ud800", reason="a\x00b", context={"x": "\ud800"})

    assert event.actor.id == "\ufffd?"
    assert event.reason == "a\ufffdb"
    assert event.context.extra == {"x": "?"}


def test_idempotency_keys_that_look_like_secrets_stay_distinct():
    one = drafted(idempotency_key="sk_" + "live_" + "abcdefgh1234").idempotency_key
    other = drafted(idempotency_key="sk_" + "live_" + "abcdefgh5678").idempotency_key

    assert one != other
    assert one.startswith("sha256:")
    assert drafted(idempotency_key="order-17").idempotency_key == "order-17"


def test_long_numbers_stay_ids():
    assert drafted(target="order:4242424242424242").targets == (Reference("order", "4242424242424242"),)


def test_defaults_are_plain():
    event = drafted()

    assert event.outcome is Outcome.SUCCESS
    assert event.time == NOW
    assert event.tenant == "default"
