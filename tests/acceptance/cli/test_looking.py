"""``custodes calls | trace | audit | events | alerts``: what happened, where there is only a terminal."""

import pytest
from tests.acceptance.cli.test_commands import audited, run, run_json, url, with_custodes

from custodes.cli.console import operator
from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import SECOND
from custodes.kernel.signals import FailureSignal
from custodes.planes.traffic.report import CallReport

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
