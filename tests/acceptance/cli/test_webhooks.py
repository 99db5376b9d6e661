"""``custodes webhooks``: each command does what it says, and stands in the audit trail."""

import pytest
from tests.acceptance.cli.test_commands import audited, run, run_json, url, with_custodes

from custodes.errors import CustodesError

__all__ = ["url"]  # the fixture

ACTIONS = "webhook_configuration"


def test_the_life_of_an_endpoint(url: str):
    # Given an endpoint, whose secret is shown once
    made = run_json("webhooks", "create", "https://hooks.example.com/in", "--event", "order.*", "--match", '{"a": 1}')
    endpoint = made["id"]
    assert made["secret"].startswith("whsec_")

    # When it is looked at, its secret is nowhere
    [listed] = run_json("webhooks", "list")
    assert (listed["id"], listed["url"], listed["event_types"]) == (
        endpoint,
        "https://hooks.example.com/in",
        ["order.*"],
    )
    assert made["secret"] not in run("webhooks", "list").stdout

    # And when it goes through its states
    rotated = run_json("webhooks", "rotate-secret", endpoint)
    assert rotated["secret"] != made["secret"]
    run("webhooks", "pause", endpoint, "--reason", "they asked")
    assert [one["state_reason"] for one in run_json("webhooks", "list", "--state", "paused")] == ["they asked"]
    run("webhooks", "resume", endpoint)
    run("webhooks", "test", endpoint)
    [delivery] = run_json("webhooks", "deliveries", "--endpoint", endpoint)
    assert (delivery["event_type"], delivery["status"]) == ("custodes.test", "pending")
    run("webhooks", "delete", endpoint)
    assert run_json("webhooks", "list") == []

    # Then each action is in the trail, in the name of whoever sat there
    entries = audited(url)
    done = [action.removeprefix(f"{ACTIONS}.") for action, _ in entries]
    assert [name for name in done if name != "recovered"] == [
        "created",
        "secret_rotated",
        "paused",
        "resumed",
        "tested",
        "deleted",
    ]
    assert all(actor.startswith("cli:") for _, actor in entries)


def test_what_was_missed_is_counted_and_sent_again(url: str):
    endpoint = run_json("webhooks", "create", "https://hooks.example.com/in")["id"]
    run("webhooks", "pause", endpoint)
    with_custodes(url, lambda custodes: custodes.outbound.emit("order.shipped", {"n": 1}))

    would = run_json("webhooks", "resend", "--endpoint", endpoint, "--dry-run")
    assert would == {"deliveries": 1, "dry_run": True}
    assert [one["status"] for one in run_json("webhooks", "deliveries")] == ["held"]

    run("webhooks", "resume", endpoint, "--no-recover")
    assert run_json("webhooks", "recover", endpoint, "--since", "1h") == {"deliveries": 1, "dry_run": False}
    assert [one["status"] for one in run_json("webhooks", "deliveries")] == ["pending"]
    assert f"{ACTIONS}.recovery_begun" in [action for action, _ in audited(url)]


@pytest.mark.parametrize(
    "words",
    [
        ("webhooks", "create", "http://hooks.example.com/in"),
        ("webhooks", "create", "https://hooks.example.com/in", "--match", "nonsense"),
        ("webhooks", "resend"),
        ("webhooks", "pause", "no-such-endpoint"),
        ("webhooks", "diagnose", "no-such-refusal"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_entry(url: str, words: tuple[str, ...]):
    run("migrate")
    assert isinstance(run(*words, expect=1).exception, CustodesError)
    assert audited(url) == []


def test_completeness_is_told_of_each_source(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_of_the_test")

    [proof] = run_json("webhooks", "completeness")

    assert (proof["source"], proof["fetched"]) == ("stripe", 0)
    assert "Not compared" in run("webhooks", "completeness").stdout


def test_links_to_the_portal_are_made_listed_and_revoked(url: str):
    # Given a link, whose address is shown once
    made = run_json("portal", "create", "acme", "--scope", "manage", "--hours", "2", "--note", "Ann")
    address, _, token = made["url"].partition("#")
    assert (address, len(token)) == ("http://127.0.0.1:8321/portal/webhooks/", 43)

    # When it is listed, its token is nowhere
    listed = run("portal", "list").stdout
    assert token not in listed
    [link] = run_json("portal", "list", "--tenant", "acme")
    assert (link["id"], link["scope"], link["note"]) == (made["id"], "manage", "Ann")
    assert not {"token_hash", "session_hash"} & link.keys()

    # And when it is revoked, it says so; all of it is in the trail
    run("portal", "revoke", made["id"])
    [link] = run_json("portal", "list")
    assert link["revoked_at"] is not None
    assert [action for action, _ in audited(url)] == ["portal_link.created", "portal_link.revoked"]
    run("portal", "create", "acme", "--hours", "1000", expect=1)
    run("portal", "create", "acme", "--hours", "nan", expect=1)
