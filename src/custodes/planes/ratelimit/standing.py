"""Refusals that are sure to stand for a while: a flood of refused requests is answered without asking the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from custodes.kernel.clock import SECOND
from custodes.kernel.window import NEVER, Ask, Outcome
from custodes.kernel.window.cells import Key
from custodes.planes.ratelimit.answers import Answers, Decision
from custodes.planes.ratelimit.counts import Counts

#: Refusals that are remembered in all; forgotten all at once when there are more: then the engine is asked.
MAX_STANDING = 10_000

#: Longest that a refusal stands without the engine being asked again, microseconds: it may have been emptied meanwhile,
#: or be away, which the rule's failure mode is for.
ASK_AGAIN = 5 * SECOND

#: Shortest time for which it is worth it, microseconds.
_WORTH_IT = SECOND // 1_000

#: A rule.
Owner = TypeVar("Owner")


class Standing(Generic[Owner]):
    """One of them: who it is about, and what is answered.

    Args:
        answers: how the limits of the request are told.
        outcome: what the engine said.
        whom: the rules that refuse, and whose request they do, each once.
        refused: number of the ask and wait of each refusal that stands.
        at: when the engine was asked, microseconds.
        until: until when it stands, microseconds.
    """

    __slots__ = (
        "_answers",
        "_at",
        "_refused",
        "_until",
        "_views",
        "counts",
        "decision",
        "ends",
        "epoch",
        "path",
        "tenant",
        "whom",
        "worded_until",
    )

    def __init__(
        self,
        answers: Answers,
        outcome: Outcome,
        whom: Sequence[tuple[Owner, Key]],
        refused: Sequence[tuple[int, int]],
        at: int,
        until: int,
    ) -> None:
        self._answers = answers
        self._views = outcome.views
        self._refused = refused
        self._at = at
        self._until = until
        self.whom = whom
        #: What is answered, and until when its words are true, microseconds; how long to wait is told anew each time.
        self.decision: Decision
        self.worded_until = 0
        #: When the longest wait is over, microseconds; None when one of them never is.
        waits = [wait for _, wait in refused]
        self.ends = None if NEVER in waits else at + max(waits)
        #: Where refused requests of this path and tenant are counted, in the tracker's epoch of that number; of the
        #: path as much as names the endpoint.
        self.counts: Sequence[Counts] = ()
        self.epoch = -1
        self.path = ""
        self.tenant = ""

    def word(self, now: int, jitter: float, salt: str) -> bool:
        """Put the answer in words, as it is true at a moment; returns whether the refusal still stands."""
        if now >= self._until:
            return False
        gone = now - self._at
        left = [(number, wait if wait == NEVER else wait - gone) for number, wait in self._refused]
        self.decision = self._answers.refused(self._views, left, jitter=jitter, salt=salt)
        # Seconds are told, rounded up: until one of them is over, and no longer than it stands.
        ends = [now + (wait - 1) % SECOND + 1 for _, wait in left if wait != NEVER]
        self.worded_until = min([*ends, self._until])
        return True


def standing(
    answers: Answers, owners: Sequence[Owner], asks: Sequence[Ask], outcome: Outcome, at: int
) -> Standing[Owner] | None:
    """Remember a refusal, if it is sure to stand for a while.

    Args:
        answers: how the limits of the request are told.
        owners: the rule behind each limit.
        asks: the limits.
        outcome: what the engine said.
        at: when it was asked, microseconds: earlier than its decision, so that none outlives its end.
    """
    refused: list[tuple[int, int]] = []
    ends: list[int] = []
    for number, wait in outcome.refused:
        cells, _, cost = asks[number]
        stands = cells.stands(wait)
        if not stands:
            continue
        refused.append((number, wait))
        if stands != NEVER:
            ends.append(stands)
        more_in = outcome.views[number][1]
        if cost > 1 and more_in > 0:  # what is left may grow before it is enough, and it is told
            ends.append(more_in)
    if not refused or (ends and min(ends) < _WORTH_IT):
        return None
    whom = {owners[number]: asks[number][1] for number, _ in refused}
    return Standing(answers, outcome, list(whom.items()), refused, at, at + min([*ends, ASK_AGAIN]))
