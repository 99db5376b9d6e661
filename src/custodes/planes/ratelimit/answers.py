"""What a request is told: header fields and problem documents, prepared as far as they can be.

``RateLimit`` and ``RateLimit-Policy`` follow draft-ietf-httpapi-ratelimit-headers-10 (structured fields: ``q`` quota,
``w`` window in seconds, ``qu`` unit, ``r`` remaining, ``t`` seconds until there is more); the problem types are that
draft's. ``Retry-After`` is RFC 9110 §10.2.3 in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeAlias
from zlib import crc32

from custodes.kernel.clock import SECOND
from custodes.kernel.structured_fields import BareItem, serialize_item
from custodes.kernel.window import NEVER, Concurrency, Gcra, Meter
from custodes.planes.ratelimit.model import Rule

Header: TypeAlias = tuple[bytes, bytes]

#: Problem types registered by the draft.
QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
ABNORMAL_USAGE = "https://iana.org/assignments/http-problem-types#abnormal-usage-detected"

#: Longest that a client is told to wait, seconds: a year; also keeps the figures within a structured field.
_MAX_SECONDS = 366 * 86_400

#: Longest that a client is told to wait for a slot, microseconds. A slot is free when whoever holds it is done, which
#: nobody knows; that its lease ends, a minute later by default, is what happens when the holder dies.
_SLOT_WAIT = SECOND

#: Answers remembered by the limits that refused.
_MAX_WORDINGS = 256


class Policy:
    """A limit as clients see it."""

    __slots__ = ("item", "meter", "name")

    def __init__(self, name: str, meter: Meter) -> None:
        self.name = name
        self.meter = meter
        #: Its item in ``RateLimit-Policy``.
        self.item = serialize_item(name, _parameters(meter))


def _parameters(meter: Meter) -> dict[str, BareItem]:
    if isinstance(meter, Concurrency):
        return {"q": meter.limit, "qu": "concurrent-requests"}
    quota = meter.burst if isinstance(meter, Gcra) and meter.burst > meter.limit else meter.limit
    return {"q": quota, "w": _seconds(meter.window)}


class Decision:
    """What becomes of a request. The attributes below are those of a request that no rule holds for."""

    __slots__ = ()

    #: Whether it may go on.
    allowed: bool = True
    #: Header fields to add to the answer; not to be changed, they are shared.
    headers: Sequence[Header] = ()
    #: Status and problem document to answer with when it may not.
    problem: tuple[int, bytes] = (0, b"")
    #: Rule that refused it, or ``"block"`` and the like; empty when it may go on.
    rule: str = ""
    #: Microseconds until it would be admitted; :data:`~custodes.kernel.window.NEVER` for never.
    retry_after: int = 0
    #: For each limit that clients see: units left and seconds until there are more.
    figures: Sequence[int] = ()
    #: Rules in shadow that would have refused it.
    would_refuse: Sequence[str] = ()
    #: To be called when the request is over, if it holds slots; None when it holds none.
    release: Callable[[], None] | None = None

    @property
    def remaining(self) -> int | None:
        """Units left under the tightest limit; None when no rule holds for the request."""
        return min(self.figures[::2], default=None)


class Admitted(Decision):
    """It may go on."""

    __slots__ = ("figures", "headers")

    def __init__(self, headers: Sequence[Header], figures: Sequence[int]) -> None:
        self.headers = headers
        self.figures = figures


class Noted(Admitted):
    """It may go on, and there is something to note or to do."""

    __slots__ = ("release", "would_refuse")

    def __init__(self, decision: Decision, would_refuse: Sequence[str], release: Callable[[], None] | None) -> None:
        super().__init__(decision.headers, decision.figures)
        self.would_refuse = would_refuse
        self.release = release


class Refused(Decision):
    """It may not go on."""

    __slots__ = ("figures", "headers", "problem", "retry_after", "rule")

    allowed = False

    def __init__(
        self,
        headers: Sequence[Header],
        problem: tuple[int, bytes],
        rule: str,
        retry_after: int,
        figures: Sequence[int] = (),
    ) -> None:
        self.headers = headers
        self.problem = problem
        self.rule = rule
        self.retry_after = retry_after
        self.figures = figures


#: The decision on a request that no rule holds for.
FREE = Decision()


class Answers:
    """Answers to requests that the same policies hold for."""

    __slots__ = ("_shown", "_slots", "_wordings", "all_shown", "policies", "policy_header", "rules", "template")

    def __init__(self, policies: Sequence[tuple[Policy, Rule]]) -> None:
        self.policies = [policy for policy, _ in policies]
        self.rules = [rule for _, rule in policies]
        #: Which of them are of slots.
        self._slots = frozenset(n for n, policy in enumerate(self.policies) if isinstance(policy.meter, Concurrency))
        # A limit in shadow is nobody's business but ours.
        self._shown = [number for number, rule in enumerate(self.rules) if not rule.shadow]
        self.all_shown = len(self._shown) == len(self.policies)
        shown = [self.policies[number] for number in self._shown]
        self.policy_header = (b"ratelimit-policy", ", ".join(policy.item for policy in shown).encode("ascii"))
        #: Value of ``RateLimit``, to be filled in: units left and seconds until there are more, of each limit shown.
        self.template = _template([policy.name for policy in shown])
        self._wordings: dict[tuple[int, ...], _Wording] = {}

    def admitted(self, views: Sequence[tuple[int, int]]) -> Decision:
        """Answer a request that may go on."""
        figures: list[int] = []
        if self._slots:
            views = [(left, self._told(number, more_in)) for number, (left, more_in) in enumerate(views)]
        for left, more_in in views if self.all_shown else [views[number] for number in self._shown]:
            figures += (left, -(-more_in // SECOND))
        return self.granted(figures)

    def _told(self, number: int, wait: int) -> int:
        """What is told of a wait, of whichever engine: that for a slot is short."""
        return min(wait, _SLOT_WAIT) if number in self._slots and wait != NEVER else wait

    def granted(self, figures: Sequence[int]) -> Decision:
        """Answer a request that may go on, by what is left and the seconds until there is more, of each limit shown."""
        if not figures:
            return FREE
        return Admitted((self.policy_header, (b"ratelimit", self.template % (*figures,))), figures)

    def refused(
        self, views: Sequence[tuple[int, int]], refusals: Sequence[tuple[int, int]], *, jitter: float, salt: str
    ) -> Decision:
        """Answer a request that may not: only the limits that stand in its way are shown."""
        violated: list[int] = []
        figures: list[int] = []
        longest, in_vain = 0, False
        for number, known in refusals:
            wait = self._told(number, known)
            violated.append(number)
            figures.append(views[number][0])
            figures.append(_seconds(wait))
            if wait == NEVER:
                in_vain = True
            elif wait > longest:
                longest = wait
        key = tuple(violated)
        wording = self._wordings.get(key) or self._word(key)
        if in_vain:  # no time will help, so none is named
            return Refused((self.policy_header,), wording.problem, wording.rule, NEVER, figures)
        if figures != wording.figures or jitter:
            seconds = _jittered(_seconds(longest), jitter, salt)
            wording.headers = (
                self.policy_header,
                (b"ratelimit", wording.template % (*figures,)),
                (b"retry-after", b"%d" % seconds),
            )
            wording.figures = figures
        return Refused(wording.headers, wording.problem, wording.rule, longest, figures)

    def _word(self, violated: tuple[int, ...]) -> _Wording:
        if len(self._wordings) >= _MAX_WORDINGS:
            self._wordings.clear()
        names = [self.policies[number].name for number in violated]
        wording = self._wordings[violated] = _Wording(names, self.rules[violated[0]].name)
        return wording


class _Wording:
    """What is always the same when the same limits refuse."""

    __slots__ = ("figures", "headers", "problem", "rule", "template")

    def __init__(self, names: Sequence[str], rule: str) -> None:
        self.template = _template(names)
        self.problem = (429, quota_problem(names))
        self.rule = rule
        #: Header fields of the latest answer, and the figures in them: a flood is told the same for a whole second.
        self.headers: Sequence[Header] = ()
        self.figures: Sequence[int] = ()


def _template(names: Sequence[str]) -> bytes:
    # A percent sign in a name must survive the formatting.
    items = [serialize_item(name).replace("%", "%%") + ";r=%d;t=%d" for name in names]
    return ", ".join(items).encode("ascii")


def quota_problem(violated: Sequence[str]) -> bytes:
    """Write the problem of a request over its quota; says which policies, and nothing about who."""
    return _document(
        {
            "type": QUOTA_EXCEEDED,
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429,
            "detail": "Too many requests. Slow down and try again later.",
            "violated-policies": list(violated),
        }
    )


def blocked_decision(status: int, retry_after: int, rule: str) -> Decision:
    """Answer somebody who is shut out: 403 or 429, without saying why.

    Args:
        status: the status to answer with.
        retry_after: microseconds until the block ends; :data:`NEVER` when it does not, or is not to be told.
        rule: what to note as the cause.
    """
    kind = ABNORMAL_USAGE if status == 429 else "about:blank"
    title = "Request not satisfied as abnormal usage detected" if status == 429 else "Forbidden"
    body = _document({"type": kind, "title": title, "status": status, "detail": "Access from here is blocked."})
    headers = [] if retry_after == NEVER else [(b"retry-after", str(_seconds(retry_after)).encode("ascii"))]
    return Refused(headers, (status, body), rule, retry_after)


def unavailable_decision() -> Decision:
    """Answer when limits cannot be decided and the install has chosen to refuse then."""
    body = _document(
        {
            "type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            "title": "Request cannot be satisfied due to temporary server capacity constraints",
            "status": 503,
            "detail": "Try again in a moment.",
        }
    )
    return Refused([(b"retry-after", b"1")], (503, body), "unavailable", SECOND)


def _document(problem: dict[str, object]) -> bytes:
    return json.dumps(problem, separators=(",", ":")).encode("ascii")


def _seconds(micros: int) -> int:
    """Round up to whole seconds, at least 1."""
    if micros <= SECOND:
        return 1
    seconds = -(-micros // SECOND)
    return seconds if seconds < _MAX_SECONDS else _MAX_SECONDS  # noqa: FURB136 - min() is a call, and a flood makes it


def _jittered(seconds: int, jitter: float, salt: str) -> int:
    """Spread those who come back; the same caller hears the same figure."""
    spread = int(seconds * jitter)
    return seconds + (crc32(salt.encode("utf-8", "replace")) % (spread + 1) if spread else 0)
