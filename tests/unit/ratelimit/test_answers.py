"""Header fields and problems, read back with a strict parser of our own making that shares nothing with the writer."""

from __future__ import annotations

import base64
import json
import re

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.clock import MINUTE, SECOND
from custodes.kernel.window import NEVER
from custodes.planes.ratelimit.answers import Answers, Policy, blocked_decision, unavailable_decision
from custodes.planes.ratelimit.language import meter_of
from custodes.planes.ratelimit.rules import make_rule

_TEXT = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_PARAMETER = rf";([a-z*][a-z0-9_.*-]*)=(-?\d{{1,15}}|:[A-Za-z0-9+/=]*:|{_TEXT})"
_ITEM = re.compile(rf"({_TEXT})((?:{_PARAMETER})*)")


def bare(raw: str) -> object:
    if raw.startswith(":"):
        return base64.b64decode(raw[1:-1])
    return raw[1:-1] if raw.startswith('"') else int(raw)


def parse(field: bytes) -> list[tuple[str, dict[str, object]]]:
    """Read a structured-field list of strings with parameters (RFC 9651); anything else fails."""
    rest = field.decode("ascii")
    items: list[tuple[str, dict[str, object]]] = []
    while True:
        match = _ITEM.match(rest)
        assert match, f"not a structured field at {rest!r}"
        parameters = {name: bare(raw) for name, raw in re.findall(_PARAMETER, match[2])}
        items.append((match[1][1:-1], parameters))
        rest = rest[match.end() :]
        if not rest:
            return items
        assert rest.startswith(", "), rest
        rest = rest[2:]


def answers(*limits: str, **rest: object) -> Answers:
    policies = []
    for number, text in enumerate(limits):
        rule = make_rule(text, name=f"rule-{number}", **rest)  # type: ignore[arg-type]
        policies += [(Policy(rule.name, meter_of(limit)), rule) for limit in rule.limits]
    return Answers(policies)


def test_an_admitted_request_is_told_its_policies_and_what_is_left():
    made = answers("100/minute", "1000/calendar day", "600/minute burst 20", "5 concurrent", "5000/15 minutes")

    headers = dict(made.admitted([(99, MINUTE), (3, 5_000_001), (19, 100_000), (4, SECOND), (4_999, 1)]).headers)

    assert parse(headers[b"ratelimit-policy"]) == [
        ("rule-0", {"q": 100, "w": 60}),
        ("rule-1", {"q": 1000, "w": 86_400}),
        ("rule-2", {"q": 600, "w": 60}),
        ("rule-3", {"q": 5, "qu": "concurrent-requests"}),
        ("rule-4", {"q": 5_000, "w": 900}),
    ]
    assert parse(headers[b"ratelimit"]) == [
        ("rule-0", {"r": 99, "t": 60}),
        ("rule-1", {"r": 3, "t": 6}),
        ("rule-2", {"r": 19, "t": 1}),
        ("rule-3", {"r": 4, "t": 1}),
        ("rule-4", {"r": 4_999, "t": 1}),
    ]


def test_a_refused_request_is_told_when_to_come_back_and_nothing_about_itself():
    made = answers("100/minute", "10/second")

    decision = made.refused([(0, 30 * SECOND), (2, 1)], [(0, 30_000_001), (1, 400_000)], jitter=0, salt="ip:1.2.3.4")
    headers = dict(decision.headers)
    status, body = decision.problem
    problem = json.loads(body)

    assert (decision.allowed, decision.rule, decision.retry_after) == (False, "rule-0", 30_000_001)
    assert headers[b"retry-after"] == b"31", "rounded up"
    assert parse(headers[b"ratelimit"]) == [("rule-0", {"r": 0, "t": 31}), ("rule-1", {"r": 2, "t": 1})]
    assert (status, problem["status"]) == (429, 429)
    assert problem["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["violated-policies"] == ["rule-0", "rule-1"]
    assert set(problem) == {"type", "title", "status", "detail", "violated-policies"}
    assert b"1.2.3.4" not in body


def test_retry_after_is_never_earlier_than_t():
    made = answers("100/minute", "10/second")
    decision = made.refused([(0, 1), (0, 1)], [(0, 5), (1, 90 * SECOND)], jitter=0.5, salt="x")
    headers = dict(decision.headers)

    latest = max(parameters["t"] for _, parameters in parse(headers[b"ratelimit"]))  # type: ignore[type-var]
    assert int(headers[b"retry-after"]) >= latest == 90  # type: ignore[operator]


def test_jitter_spreads_callers_and_tells_each_the_same():
    made = answers("100/minute")

    def told(salt: str) -> int:
        return int(dict(made.refused([(0, 1)], [(0, MINUTE)], jitter=0.5, salt=salt).headers)[b"retry-after"])

    spread = {told(f"ip:{number}") for number in range(200)}
    assert 60 <= min(spread) < max(spread) <= 90
    assert len(spread) > 20
    assert told("ip:1") == told("ip:1")


def test_no_time_is_named_when_none_will_help():
    headers = dict(answers("5/minute").refused([(5, 0)], [(0, NEVER)], jitter=0, salt="").headers)

    assert b"retry-after" not in headers
    assert b"ratelimit" not in headers


def test_a_limit_in_shadow_is_not_shown():
    assert not answers("5/minute", shadow=True).admitted([(4, 1)]).headers


def test_names_that_would_break_the_field_are_refused_and_percent_signs_survive():
    assert parse(dict(answers("5/day").admitted([(4, 1)]).headers)[b"ratelimit"])[0][0] == "rule-0"
    percent = Answers([(Policy("100%d", meter_of(make_rule("5/day").limits[0])), make_rule("5/day"))])
    assert parse(dict(percent.admitted([(4, 1)]).headers)[b"ratelimit"]) == [("100%d", {"r": 4, "t": 1})]
    for name in ('a"b', "a\\b", "naïve", " a", "a\r\nx: y", "x" * 101):
        with pytest.raises(InvalidInput):
            make_rule("5/day", name=name)


@pytest.mark.parametrize(("status", "kind"), [(403, "about:blank"), (429, "#abnormal-usage-detected")])
def test_who_is_blocked_is_not_told_why(status: int, kind: str):
    decision = blocked_decision(status, 90 * SECOND, "block")

    assert decision.problem[0] == status
    assert json.loads(decision.problem[1])["type"].endswith(kind)
    assert dict(decision.headers) == {b"retry-after": b"90"}


def test_reduced_capacity_is_a_503():
    decision = unavailable_decision()

    assert decision.problem[0] == 503
    assert json.loads(decision.problem[1])["type"].endswith("#temporary-reduced-capacity")
