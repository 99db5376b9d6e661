"""``custodes limits | blocks | lists``: what the tab of rate limits does, from a terminal and in the audit trail."""

import pytest
from tests.acceptance.cli.test_commands import audited, run, run_json, url, with_custodes

from custodes.cli.console import operator
from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import SECOND
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.traffic.report import CallReport

__all__ = ["url"]  # the fixture


def test_the_life_of_a_rule(url: str):
    # Given a rule that is made on the command line
    made = run_json(
        "limits", "create", "5/minute; 100/day", "--name", "login", "--route", "/login", "--reason", "scans"
    )
    assert [limit["text"] for limit in made["limits"]] == ["5/minute", "100/day"]

    # Then it is listed, and told with what it promises, to programs and to people
    [listed] = run_json("limits", "list")
    assert listed == made == run_json("limits", "show", "login")
    assert "5/minute; 100/day" in run("limits", "list").stdout
    assert "1 × the limit in any window" in run("limits", "show", made["id"]).stdout

    # When it only tells whom it would refuse, what was not named stays
    run("limits", "update", "login", "--shadow", "--method", "POST", "--on-failure", "closed")
    changed = run_json("limits", "update", "login", "--limits", "9/minute", "--on-failure", "")
    assert (changed["shadow"], changed["methods"], changed["on_failure"]) == (True, ["POST"], None)
    assert (changed["route"], changed["version"], changed["limits"][0]["text"]) == ("/login", 3, "9/minute")

    # And when it is deleted
    run("limits", "delete", "login", "--reason", "over")
    assert run_json("limits", "list") == []

    # Then each change is in the trail: by whom, what and why
    entries = [(entry.action, str(entry.actor), entry.reason) for entry in trail(url)]
    assert entries == [
        ("rate_limit.rule_changed", operator(), "scans"),
        ("rate_limit.rule_changed", operator(), ""),
        ("rate_limit.rule_changed", operator(), ""),
        ("rate_limit.rule_deleted", operator(), "over"),
    ]
    first, second, third, _ = trail(url)
    assert {(one.targets[0].id, one.targets[0].name) for one in trail(url)} == {(changed["id"], "login")}
    assert (first.context.extra["limits"], first.context.extra["by"]) == ("5/minute; 100/day", "ip")
    assert {name: second.context.extra[name] for name in ("shadow", "methods")} == {
        "shadow": "True",
        "methods": "['POST']",
    }
    assert (third.context.extra["limits"], third.context.extra["on_failure"]) == ("9/minute", "")
    assert "on_failure" not in first.context.extra


def test_what_a_lease_lets_pass_is_told():
    """Given a rule that instances take leases of; then what it promises says what they may let pass, each of them."""
    told = run("limits", "check", "60000/minute", "--lease", "200").stdout

    assert "1 × the limit in any window, and 199 more for each instance on Redis" in " ".join(told.split())
    assert run_json("limits", "check", "60000/minute", "--lease", "200")["over_admission_each"] == 199
    assert run_json("limits", "check", "60000/minute")["over_admission_each"] == 0


def test_what_is_in_code_is_said_to_be_elsewhere_and_named_where_it_counted(url: str):
    # Given an app whose code limits logins, and a rule made at run time
    async def refused(custodes) -> None:
        custodes.limit("1/minute", route="/login", name="logins")
        for _ in range(2):
            await custodes.ratelimit.check_rate_limit("203.0.113.9", "ip", "/login")
        await custodes.ratelimit.flush()

    with_custodes(url, refused)
    run("limits", "create", "5/minute", "--name", "search", "--route", "/search")

    # When its rules are listed from a terminal, Then those of the code are named, and where they are shown
    told = run("limits", "list")
    assert "search" in told.stdout
    assert "counted within a day: logins." in told.stderr
    assert "the dashboard shows them" in told.stderr
    assert [rule["name"] for rule in run_json("limits", "list")] == ["search"]
    assert "dashboard" in str(run("limits", "show", "logins", expect=1).exception.remedy)


def test_rules_of_one_name_are_told_apart_by_their_tenant(url: str):
    # Given two tenants that name a rule the same
    for tenant in ("acme", "globex"):
        run("limits", "create", "5/minute", "--name", "login", "--tenant", tenant)

    # When it is not said whose is meant, Then nothing is done, and it is asked for
    refused = run("limits", "delete", "login", expect=1).exception
    assert isinstance(refused, InvalidInput)
    assert "acme, globex" in str(refused)
    assert "--tenant" in str(refused.remedy)

    # And each is found by its tenant
    assert run_json("limits", "show", "login", "--tenant", "globex")["tenant"] == "globex"
    run("limits", "update", "login", "--tenant", "acme", "--shadow")
    run("limits", "delete", "login", "--tenant", "globex")
    assert [(rule["tenant"], rule["shadow"]) for rule in run_json("limits", "list")] == [("acme", True)]


def test_what_cannot_be_a_rule_is_refused_with_how_to_write_it(url: str):
    assert run_json("limits", "check", "10/minute", "--by", "ip+user")["by"] == "ip+user"

    refused = run("limits", "check", "10/fortnight", expect=1)
    assert isinstance(refused.exception, InvalidInput)
    assert "100/minute" in refused.exception.remedy
    assert isinstance(run("limits", "update", "login", expect=1).exception, InvalidInput)
    assert isinstance(run("limits", "show", "login", expect=1).exception, NotFound)
    run("limits", "create", "5/minute", "--name", "login")
    assert isinstance(run("limits", "create", "6/minute", "--name", "login", expect=1).exception, Conflict)
    assert [limit["text"] for rule in run_json("limits", "list") for limit in rule["limits"]] == ["5/minute"]


def test_recorded_calls_are_held_against_a_rule(url: str):
    """Given five calls of one caller within seconds, Then a rule of three a minute would have refused two of them."""

    async def call(custodes) -> None:
        now = custodes.clock.now()
        for number in range(5):
            custodes.traffic.log_api_call(
                CallReport(
                    method="POST", route="/login", status=200, total_us=1_000,
                    started_at=now - 60 * SECOND + number, client_ip="203.0.113.9",
                )
            )  # fmt: skip
        await custodes.traffic.flush()

    with_custodes(url, call)

    found = run_json("limits", "what-if", "3/minute", "--route", "/login", "--since", "1h")

    assert (found["recorded"], found["calls"], found["refused"], found["refusal_rate"]) == (5, 5, 2, 0.4)
    assert [hit["label"] for hit in found["identifiers"]] == ["ip:203.0.113.9"]
    assert "would have refused 2 (40 %)" in run("limits", "what-if", "3/minute", "--since", "1h").stdout
    assert run_json("limits", "what-if", "3/minute", "--since", "2d", "--until", "1d")["recorded"] == 0
    assert run_json("limits", "what-if", "3/minute", "--since", "999999d")["since"] == "1970-01-01T00:00:00.000000Z"
    assert [action for action, _ in audited(url)] == ["rate_limit.what_if"] * 4
    assert run_json("limits", "list") == [], "it was only tried"


def test_somebody_is_blocked_and_let_in_again(url: str):
    block = run_json("blocks", "add", "203.0.113.9", "--reason", "scans", "--for", "2h")
    run("blocks", "add", "u1", "--kind", "user", "--tenant", "acme", "--reason", "abuse")

    assert [(one["identifier"], one["tenant"]) for one in run_json("blocks", "list")] == [
        ("u1", "acme"),
        ("203.0.113.9", None),
    ]
    assert [one["identifier"] for one in run_json("blocks", "list", "--kind", "ip")] == ["203.0.113.9"]
    shown = run("blocks", "list", "--limit", "1")
    assert "user:u1" in shown.stdout
    assert "There is more" in shown.stderr
    assert "until it is lifted" in shown.stdout

    run("blocks", "lift", block["id"], "--reason", "a mistake")

    assert run_json("blocks", "show", block["id"])["lifted_by"] == operator()
    assert len(run_json("blocks", "list")) == 1
    assert len(run_json("blocks", "list", "--ended")) == 2
    assert isinstance(run("blocks", "lift", block["id"], expect=1).exception, Conflict)
    entries = [(entry.action, str(entry.targets[0]), entry.reason, entry.tenant) for entry in trail(url)]
    assert entries == [
        ("rate_limit.blocked", "ip:203.0.113.9", "scans", "default"),
        ("rate_limit.blocked", "user:u1", "abuse", "acme"),
        ("rate_limit.unblocked", f"block:{block['id']}", "a mistake", "default"),
    ]


def test_the_trail_names_what_is_enforced(url: str):
    run("blocks", "add", "10.0.0.1/8", "--reason", "scans")
    run("lists", "add", "deny", "10.0.0.1/8", "--reason", "scans")

    for entry in trail(url):
        assert (str(entry.targets[0]), entry.context.extra["typed"]) == ("ip:10.0.0.0/8", "10.0.0.1/8")


def test_the_lists_take_and_give_back(url: str):
    entry = run_json("lists", "add", "allow", "198.51.100.0/24", "--reason", "the office")

    assert [(one["effect"], one["identifier"]) for one in run_json("lists", "list")] == [("allow", "198.51.100.0/24")]
    assert run_json("lists", "list", "--list", "deny") == []
    run("lists", "remove", entry["id"])
    assert run_json("lists", "list") == []
    assert isinstance(run("lists", "add", "block", "x", "--reason", "x", expect=1).exception, InvalidInput)
    assert run("lists", "add", "allow", "198.51.100.1", expect=2), "a reason is asked for"
    assert [action for action, _ in audited(url)] == ["rate_limit.listed", "rate_limit.unlisted"]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written into a pipe is whole, however narrow the terminal that is not there."""
    monkeypatch.setenv("COLUMNS", "40")


def trail(url: str):
    async def read(custodes):
        return (await custodes.audit.list_entries(AuditQuery())).items

    return list(reversed(with_custodes(url, read)))
