"""``custodes webhooks``: each command does what it says, and stands in the audit trail."""

from pathlib import Path

import pytest
from tests.acceptance.cli.test_commands import audited, run, run_json, url, with_custodes

from custodes.errors import CustodesError
from custodes.planes.audit.ports import AuditQuery

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
    assert endpoint in run("webhooks", "list").stdout, "an id is never cut, however narrow the terminal is"

    # And when it goes through its states
    rotated = run_json("webhooks", "rotate-secret", endpoint)
    assert rotated["secret"] != made["secret"]
    assert run_json("webhooks", "pause", endpoint, "--reason", "they asked")["state"] == "paused"
    assert [one["state_reason"] for one in run_json("webhooks", "list", "--state", "paused")] == ["they asked"]
    assert run_json("webhooks", "resume", endpoint)["state"] == "enabled"
    assert run_json("webhooks", "test", endpoint)["endpoint"] == endpoint
    [delivery] = run_json("webhooks", "deliveries", "--endpoint", endpoint)
    assert (delivery["event_type"], delivery["status"]) == ("custodes.test", "pending")
    whole = run_json("webhooks", "delivery", delivery["id"])
    assert (whole["id"], whole["tries"]) == (delivery["id"], [])
    assert "custodes.test" in run("webhooks", "delivery", delivery["id"]).stdout
    tried = run_json("webhooks", "try", delivery["id"], "https://127.0.0.1/mine", "--reason", "to see")
    assert (tried["succeeded"], tried["secret"][:6], "not allowed" in tried["error"]) == (False, "whsec_", True)
    assert "whsec_" in run("webhooks", "try", delivery["id"], "https://127.0.0.1/mine").stdout
    assert run_json("webhooks", "delete", endpoint)["deleted"]
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
        "webhook_delivery.tried",
        "webhook_delivery.tried",
        "deleted",
    ]
    assert all(actor.startswith("cli:") for _, actor in entries)


def test_an_endpoint_is_changed_in_all_that_it_asks_for(url: str, tmp_path: Path):
    # Given an endpoint that takes a token, which is in a file and not among the words of the command
    token = tmp_path / "token.json"
    token.write_text('{"token": "not-to-be-seen"}')
    endpoint = run_json(
        *("webhooks", "create", "https://hooks.example.com/in", "--tenant", "acme"),
        *("--auth", "bearer", "--credentials", str(token)),
    )["id"]

    # When all that can be asked for is changed
    run(
        *("webhooks", "update", endpoint, "--url", "https://hooks.example.com/new", "--event", "invoice.*"),
        *("--description", "the books", "--channel", "eu", "--header", "X-Region: eu", "--signature", "both"),
        *("--rate", "5", "--concurrency", "3", "--ordered", "--payload-version", "2025-01"),
        *("--disable-after", "12h", "--schedule", "5s 5m 1h", "--timeout", "20s", "--match", '{"a": 1}'),
    )

    # Then it is so, and what was not named stays
    shown = run_json("webhooks", "show", endpoint)
    assert (shown["url"], shown["event_types"]) == ("https://hooks.example.com/new", ["invoice.*"])
    assert (shown["description"], shown["retry"]["timeout"]) == ("the books", 20_000_000)
    assert shown["retry"]["schedule"] == [5_000_000, 300_000_000, 3_600_000_000]
    options = shown["options"]
    assert (options["match"], options["channels"], options["headers"]) == ({"a": 1}, ["eu"], {"x-region": None})
    assert (options["auth"], options["signature"], options["payload_version"]) == ("bearer", "both", "2025-01")
    assert (options["rate"], options["concurrency"], options["ordered"]) == (5, 3, True)
    assert (options["disable_after"], shown["health"]["condition"]) == (12 * 3_600_000_000, "healthy")

    # And one thing is changed without the others
    secret = tmp_path / "headers"
    secret.write_text("X-Api-Key: not-to-be-seen\n\nX-Trace: a:b\n")
    run(
        "webhooks",
        "update",
        endpoint,
        "--timeout",
        "10s",
        "--no-ordered",
        "--header",
        f"@{secret}",
        "--header",
        "X-Region",
    )
    changed = run_json("webhooks", "show", endpoint)
    assert (changed["retry"]["timeout"], changed["options"]["ordered"]) == (10_000_000, False)
    assert changed["retry"]["schedule"] == shown["retry"]["schedule"]
    assert changed["options"]["headers"] == dict.fromkeys(("x-region", "x-api-key", "x-trace"))
    for wrong, why in (("X-Other", "x-other has no value"), ("@nowhere", "cannot be read: No such file")):
        assert why in str(run("webhooks", "update", endpoint, "--header", wrong, expect=1).exception)

    # And people read it without the secrets
    told = run("webhooks", "show", endpoint).stdout
    assert "12h" in told
    assert "the books" in told
    assert "not-to-be-seen" not in told

    # And each change stands in the trail of its tenant, with what was and what is
    found = with_custodes(url, lambda custodes: custodes.audit.list_entries(AuditQuery(tenant="acme")))
    [second, first, _] = found.items
    assert {one.action for one in (first, second)} == {f"{ACTIONS}.updated"}
    assert ("options.headers.x-region", None, "(new)") in [(one.path, one.old, one.new) for one in first.changes]
    assert not {"options.headers.x-region", "options.auth"} & {one.path for one in second.changes}
    assert ("options.ordered", True, False) in [(one.path, one.old, one.new) for one in second.changes]


def test_what_was_missed_is_counted_and_sent_again(url: str):
    endpoint = run_json("webhooks", "create", "https://hooks.example.com/in")["id"]
    run("webhooks", "pause", endpoint)
    with_custodes(url, lambda custodes: custodes.outbound.emit("order.shipped", {"n": 1}))

    # Nothing is sent to an endpoint that is paused, and nothing is said to be
    would = ("webhooks", "resend", "--endpoint", endpoint, "--dry-run")
    assert run_json(*would) == {"deliveries": 0, "dry_run": True}
    assert [one["status"] for one in run_json("webhooks", "deliveries")] == ["held"]

    run("webhooks", "resume", endpoint, "--no-recover")
    assert run_json(*would) == {"deliveries": 1, "dry_run": True}
    assert run_json("webhooks", "recover", endpoint, "--since", "1h") == {"deliveries": 1, "dry_run": False}
    assert [one["status"] for one in run_json("webhooks", "deliveries")] == ["pending"]
    assert [action for action, _ in audited(url)][-2:] == [f"{ACTIONS}.recovery_begun", f"{ACTIONS}.recovered"]

    run("webhooks", "resend", "--endpoint", endpoint, "--status", "succeeded", "--since", "2h")
    done = [action for action, _ in audited(url)]
    assert done[-2:] == ["webhook_deliveries.resend_begun", "webhook_deliveries.resent"]
    assert done.count("webhook_deliveries.resend_begun") == 1, "a dry run leaves none"


def test_a_server_whose_key_is_another_or_whose_source_is_none_refuses_to_start(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    run("webhooks", "create", "https://hooks.example.com/in")

    monkeypatch.setenv("CUSTODES_FORWARD_TO", "strpe=https://app.example.com")
    unknown = run("serve", "--port", "0", expect=1).exception
    assert "no such source" in str(unknown)
    monkeypatch.delenv("CUSTODES_FORWARD_TO")
    monkeypatch.setenv("CUSTODES_SECRET_KEY", "another-key-of-thirty-two-characters-or-more")
    refused = run("serve", "--port", "0", expect=1).exception
    assert "not among the keys given" in str(refused)


@pytest.mark.parametrize(
    "words",
    [
        ("webhooks", "create", "http://hooks.example.com/in"),
        ("webhooks", "create", "https://hooks.example.com/in", "--match", "nonsense"),
        ("webhooks", "create", "https://hooks.example.com/in", "--schedule", "soon"),
        ("webhooks", "create", "https://hooks.example.com/in", "--header", "X-Region eu"),
        ("webhooks", "create", "https://hooks.example.com/in", "--auth", "bearer", "--credentials", "/no/such/file"),
        ("webhooks", "update", "no-such-endpoint"),
        ("webhooks", "update", "no-such-endpoint", "--timeout", "10s"),
        ("webhooks", "show", "no-such-endpoint"),
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


def test_links_to_the_portal_are_made_listed_and_revoked(url: str, monkeypatch: pytest.MonkeyPatch):
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
    monkeypatch.setenv("CUSTODES_PORTAL_URL", "https://hooks.example.com/ops/")
    assert run_json("portal", "create", "acme")["url"].startswith("https://hooks.example.com/ops/portal/webhooks/#")
    run("portal", "create", "acme", "--hours", "1000", expect=1)
    run("portal", "create", "acme", "--hours", "nan", expect=1)
