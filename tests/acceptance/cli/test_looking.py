"""``custodes calls | trace | audit | events | alerts``: what happened, where there is only a terminal."""

import asyncio

import pytest
from tests.acceptance.cli.test_commands import audited, run, run_json, url, with_custodes
from tests.servers.programs import free_port

from custodes import Custodes
from custodes.cli.console import operator
from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import SECOND
from custodes.kernel.signals import FailureSignal
from custodes.planes.traffic.report import CallReport
from custodes.runtime.outgoing.failure import OutgoingFailed

__all__ = ["url"]  # the fixture

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def busy(url: str) -> str:
    """An install in which an order failed: with a webhook and an entry of the trail that belong to the same trace."""

    async def happen(custodes) -> None:
        # Long enough ago for it to be over before the rest of its trace begins, however fast that comes.
        report = {"started_at": custodes.clock.now() - SECOND, "total_us": 40_000}
        custodes.traffic.log_api_call(
            CallReport(
                method="POST", route="/orders", path="/orders", status=500, user="ann", trace_id=TRACE,
                error_type="ValueError", error_message="no stock", **report,
            )
        )  # fmt: skip
        custodes.traffic.log_api_call(CallReport(method="GET", route="/items", path="/items", status=200, **report))
        await custodes.inbound.log_webhook_event("stripe", "invoice.paid", b"{}", trace_id=TRACE)
        await custodes.audit.log_audit_event("member.removed", actor="user:1", target="user:2", trace_id=TRACE)
        await custodes.audit.log_security_event("auth.failed", actor="user:1", outcome="failure", ip="203.0.113.9")
        await custodes.traffic.flush()

    with_custodes(url, happen)
    return url


def test_calls_are_found_and_one_is_shown_with_its_trace(busy: str):
    [failed] = run_json("calls", "list", "--errors")
    assert (failed["path"], failed["status"], failed["user"]) == ("/orders", 500, "ann")
    assert len(run_json("calls", "list")) == 2
    assert run_json("calls", "list", "--method", "get", "--status", "2")[0]["path"] == "/items"
    assert run_json("calls", "list", "--until", "1h") == []
    assert "no stock" in run("calls", "list").stdout

    shown = run_json("calls", "show", failed["id"])
    kinds = ["request", "error", "webhook", "audit"]
    assert [span["kind"] for span in shown["trace"]["spans"]] == kinds
    assert run_json("trace", TRACE) == shown["trace"]
    told = run("calls", "show", failed["id"]).stdout
    assert all(text in told for text in ("POST /orders", "40.0 ms", "stripe invoice.paid", "member.removed by user:1"))
    assert isinstance(run("trace", "f" * 32, expect=1).exception, NotFound)
    assert isinstance(run("trace", "", expect=1).exception, NotFound), "what has no trace belongs to none"
    assert run_json("calls", "slow")[0]["stats"]["count"] == 1
    assert "POST /orders" in run("calls", "slow").stdout


def test_an_error_is_resolved_and_reopened(busy: str):
    [group] = run_json("calls", "errors")
    assert (group["state"], group["count"]) == ("open", 1)

    assert run_json("calls", "resolve", group["id"])["state_by"] == operator()
    assert run_json("calls", "errors", "--state", "open") == []
    run("calls", "reopen", group["id"])

    assert run_json("calls", "errors", "--state", "open")[0]["id"] == group["id"]
    done = [entry for entry in audited(busy) if entry[0].startswith("api_error.")]
    assert done == [("api_error.resolved", operator()), ("api_error.reopened", operator())]


def test_the_trail_is_searched_and_an_actor_is_told(busy: str):
    [removed] = run_json("audit", "list", "--action", "member.*")
    assert (removed["actor"]["id"], removed["recorded_at"][-1], removed["time"][-1]) == ("1", "Z", "Z")
    assert [one["action"] for one in run_json("audit", "list", "--ip", "203.0.113.9")] == ["auth.failed"]

    [actor] = run_json("audit", "actors")
    assert (actor["actor"], actor["events"], actor["failures"]) == ("user:1", 2, 1)
    behaviour = run_json("audit", "actor", "user:1")
    assert [habit["value"] for habit in behaviour["addresses"]] == ["203.0.113.9"]
    assert sum(behaviour["hours"]) == 2
    told = run("audit", "actor", "user:1").stdout
    assert all(text in told for text in ("2, of these 1 failed", "member.removed", "203.0.113.9"))
    assert isinstance(run("audit", "actor", "user:nobody", expect=1).exception, NotFound)


def test_a_review_goes_on_from_the_command_line(busy: str):
    [entry] = run_json("audit", "list", "--action", "member.removed")

    run("audit", "review", entry["id"], "open", "--assignee", "ada")
    assert [one["id"] for one in run_json("audit", "list", "--review", "open")] == [entry["id"]]
    reviewed = run_json("audit", "review", entry["id"], "benign", "--note", "as agreed")

    assert (reviewed["review"]["state"], reviewed["review"]["assignee"]) == ("benign", "ada")
    assert "as agreed" in run("audit", "show", entry["id"]).stdout
    assert isinstance(run("audit", "review", entry["id"], "acknowledged", expect=1).exception, Conflict)
    assert [who for action, who in audited(busy) if action == "audit.reviewed"] == [operator()] * 2


def test_webhooks_are_found_and_shown_with_their_headers_bytes_and_attempts(busy: str):
    [event] = run_json("events", "list", "--source", "stripe", "--type", "invoice.*", "--since", "1h")
    assert event["trace_id"] == TRACE
    assert run_json("events", "list", "--status", "dead") == []
    assert [one["id"] for one in run_json("events", "list", "--id", TRACE)] == [event["id"]]

    shown = run_json("events", "show", event["id"])
    assert (shown["id"], shown["headers"], shown["tries"]) == (event["id"], [], [])
    assert "invoice.paid" in run("events", "show", event["id"]).stdout
    assert run("events", "body", event["id"]).stdout_bytes == b"{}"
    assert run_json("events", "refused") == []
    assert isinstance(run("events", "show", "x", expect=1).exception, NotFound)
    # And each look at what it carries is in the trail, but not the list.
    assert [who for action, who in audited(busy) if action == "webhook.payload_read"] == [operator()] * 3


def test_a_webhook_is_not_sent_where_nothing_may_be(busy: str):
    [event] = run_json("events", "list")

    tried = run_json("events", "try", event["id"], "https://127.0.0.1/mine", "--reason", "to see")
    refused = run("events", "try", event["id"], "ftp://example.com", expect=1)

    assert (tried["succeeded"], tried["status"], tried["secret"]) == (False, None, "")
    assert "not allowed" in tried["error"]
    assert isinstance(refused.exception, InvalidInput)
    assert [who for action, who in audited(busy) if action == "webhook.tried"] == [operator()]


def test_an_alert_is_seen_and_silenced(busy: str):
    """Given the alert of a new kind of error; When somebody looks; Then reminders end, and the trail says who."""

    async def fire(custodes) -> None:
        alerts = custodes.alerts  # it listens from now on
        custodes.bus.emit(
            FailureSignal(at=custodes.clock.now(), tenant="default", system="api", name="api.new_error", summary="one")
        )
        await alerts.write_events()

    with_custodes(busy, fire)

    [alert] = run_json("alerts", "list", "--state", "firing")
    assert alert["acknowledged_by"] == ""
    assert run_json("alerts", "acknowledge", alert["id"])["acknowledged_by"] == operator()
    assert run_json("alerts", "silence", alert["id"], "--for", "2h", "--reason", "known")["silenced_until"][-1] == "Z"
    assert operator() in run("alerts", "list").stdout
    assert "silent until" in run("alerts", "show", alert["id"]).stdout
    assert isinstance(run("alerts", "silence", alert["id"], "--for", "60d", expect=1).exception, InvalidInput)
    done = [entry for entry in audited(busy) if entry[0].startswith("alert.")]
    assert done == [("alert.acknowledged", operator()), ("alert.silenced", operator())]


def test_metrics_are_listed_followed_and_ranked(url: str):
    async def measure(custodes) -> None:
        custodes.metrics.count("orders.created", 6, labels={"plan": "pro", "region": "eu"})
        custodes.metrics.count("orders.created", 2, labels={"plan": "free", "region": "eu"})
        custodes.metrics.observe("checkout.seconds", 0.25)
        await custodes.metrics.flush()

    with_custodes(url, measure)

    listed = {one["name"]: one for one in run_json("metrics", "list")}
    assert (listed["orders.created"]["kind"], listed["orders.created"]["series"]) == ("counter", 2)
    assert listed["orders.created"]["last_seen"][-1] == "Z"
    course = run_json("metrics", "query", "orders.created", "--as", "sum", "--by", "plan", "--since", "1h")
    assert {line["labels"]["plan"]: line["points"][0]["value"] for line in course["lines"]} == {"pro": 6, "free": 2}
    assert course["lines"][0]["points"][0]["at"][-1] == "Z"
    merged = run_json("metrics", "query", "orders.created", "--as", "sum", "--merge", "--label", "region:eu")
    assert [line["points"][0]["value"] for line in merged["lines"]] == [8]
    assert [one["value"] for one in run_json("metrics", "top", "orders.created", "plan", "--as", "sum")] == [
        "pro",
        "free",
    ]
    told = run("metrics", "query", "checkout.seconds", "--as", "p95").stdout
    assert ("p95" in told, "0.25" in told) == (True, True)
    assert "pro" in run("metrics", "top", "orders.created", "plan", "--as", "sum").stdout
    assert isinstance(run("metrics", "query", "orders.created", "--as", "p95", expect=1).exception, InvalidInput)
    assert isinstance(run("metrics", "query", "orders.created", "--label", "eu", expect=1).exception, InvalidInput)


def test_the_life_of_an_alert_rule(url: str):
    """Given the rules that come with it; When one is made, changed, overridden and deleted; Then the trail has it."""
    built_in = {one["id"]: one for one in run_json("alerts", "rules", "list")}
    assert built_in["disk-full"]["origin"] == "built-in"

    made = run_json(
        *("alerts", "rules", "create", "Orders have stopped", "orders.created", "--when", "< 0.1", "--as", "rate"),
        *("--hold", "5m", "--window", "10m", "--label", "plan:pro", "--by", "region", "--tenant", "acme"),
    )
    assert (made["comparator"], made["threshold"], made["hold_seconds"]) == ("<", 0.1, 300)
    assert (made["labels"], made["by"], made["tenant"], made["origin"]) == (
        {"plan": "pro"},
        ["region"],
        "acme",
        "stored",
    )
    assert made["no_data"] == "Nothing is recorded as orders.created yet"
    assert "Nothing is recorded as" in run("alerts", "rules", "list").stdout.replace("\n", " ")
    [unheard] = [row for row in run_json("doctor") if "no data" in row["text"]]
    assert (unheard["verdict"], made["id"] in unheard["text"]) == ("warning", True)
    changed = run_json("alerts", "rules", "update", made["id"], "--when", "<= 2", "--severity", "critical", "--disable")
    assert (changed["comparator"], changed["threshold"], changed["severity"]) == ("<=", 2, "critical")
    assert (changed["hold_seconds"], changed["enabled"]) == (300, False)
    assert [one["id"] for one in run_json("alerts", "rules", "list", "--tenant", "acme")] == [made["id"]]
    told = run("alerts", "rules", "show", made["id"]).stdout
    assert all(text in told for text in ("rate of orders.created <= 2 for 5m", "plan=pro", "off"))
    assert run_json("alerts", "rules", "delete", made["id"])["deleted"]
    assert isinstance(run("alerts", "rules", "show", made["id"], expect=1).exception, NotFound)

    run("alerts", "rules", "update", "disk-full", "--when", ">= 80", "--clear", "75")
    assert run_json("alerts", "rules", "show", "disk-full")["threshold"] == 80
    run("alerts", "rules", "delete", "disk-full")
    assert run_json("alerts", "rules", "show", "disk-full") == built_in["disk-full"]
    assert isinstance(run("alerts", "rules", "delete", "disk-full", expect=1).exception, Conflict)
    for wrong in (["--when", "about 3"], []):
        refused = run("alerts", "rules", "update", "disk-full", *wrong, expect=1)
        assert isinstance(refused.exception, InvalidInput)

    done = [action for action, who in audited(url) if action.startswith("alert_rule.") and who == operator()]
    what = ("created", "updated", "deleted", "updated", "deleted")
    assert done == [f"alert_rule.{one}" for one in what]


def test_where_alerts_go_is_listed_and_switched_on_again(url: str):
    assert [one["name"] for one in run_json("alerts", "sinks", "list")] == ["log"]
    assert run_json("alerts", "sinks", "enable", "log") == {"name": "log", "enabled": True}
    assert isinstance(run("alerts", "sinks", "enable", "pager", expect=1).exception, NotFound)
    assert [action for action, _ in audited(url)] == ["alert_sink.enabled"]


def test_where_alerts_go_is_tried(url: str, monkeypatch: pytest.MonkeyPatch):
    assert [(one["name"], one["taken"]) for one in run_json("alerts", "test")] == [("log", True)]

    monkeypatch.setenv("CUSTODES_ALERT_URLS", "http://10.0.0.5/canary-token")
    told = run("alerts", "test", expect=1).output

    assert "webhook:10.0.0.5" in told
    assert "not allowed" in told
    assert "canary" not in told
    assert isinstance(run("alerts", "test", "pager", expect=1).exception, NotFound)
    assert [action for action, _ in audited(url)] == ["alert_sink.tested"] * 2


def test_a_compliance_report_is_read_and_taken_away(busy: str, tmp_path):
    """Given a trail; When a report is read, it leaves no entry; When it is taken away, who did it is in the trail."""
    run("user", "add", "ada", "--role", "owner")

    told = run("audit", "report", "--since", "7d").stdout
    assert all(text in told for text in ("ada", "user_profile.created", "inbound.events"))
    assert "audit.exported" not in [action for action, _ in audited(busy)]

    whole = run_json("audit", "report", "--tenant", "default")
    assert (whole["tenant"], whole["entries"] > 0, whole["since"][-1]) == ("default", True, "Z")
    run("audit", "report", "--format", "csv", "--output", str(tmp_path / "report.csv"))
    assert (tmp_path / "report.csv").read_text().startswith("section,what,who")
    assert [who for action, who in audited(busy) if action == "audit.exported"] == [operator()] * 2
    nowhere = run("audit", "report", "--output", str(tmp_path / "no" / "report"), expect=1)
    assert isinstance(nowhere.exception, InvalidInput)


def test_whoever_tries_a_place_leaves_no_connection_open(url: str):
    """Given an install that was only opened; when it sends to the outside and is closed; then nothing is left open."""

    async def tried() -> bool:
        custodes = Custodes(url, outgoing_allow_networks="127.0.0.1/32")
        await custodes.open()
        with pytest.raises(OutgoingFailed):
            await custodes.outgoing.request("GET", f"http://127.0.0.1:{free_port()}/", schemes=frozenset({"http"}))
        session = custodes.outgoing._session
        await custodes.close()
        return session is not None and session.closed

    assert asyncio.run(tried())
