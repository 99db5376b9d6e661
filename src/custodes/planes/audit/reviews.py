"""The review of flagged entries: a small state machine.

::

    (none) ──► open ──► acknowledged ──► true_positive | benign | false_positive
                 │            ▲                          │
                 └────────────┴──────── verdicts ◄───────┘ reopened: back to open

An entry that was not flagged can be put up for review by hand. A verdict may be given at once: who judges has looked.
Staying in a state is allowed while the review is under way, to name somebody or to add a note.
"""

from __future__ import annotations

from dataclasses import dataclass

from custodes.errors import Conflict, InvalidInput
from custodes.kernel.redact import redact_text, storable
from custodes.planes.audit.model import Review, ReviewState
from custodes.planes.audit.ports import ReviewChange

#: Longest note, characters.
MAX_NOTE = 4_000

#: Reviews that one call moves at most.
MAX_REVIEWS = 5_000

#: Longest name of a person, characters.
MAX_PERSON = 200

_VERDICTS = frozenset({ReviewState.TRUE_POSITIVE, ReviewState.BENIGN, ReviewState.FALSE_POSITIVE})

#: From which state a review may go to which.
STEPS: dict[ReviewState | None, frozenset[ReviewState]] = {
    None: frozenset({ReviewState.OPEN}),
    ReviewState.OPEN: _VERDICTS | {ReviewState.OPEN, ReviewState.ACKNOWLEDGED},
    ReviewState.ACKNOWLEDGED: _VERDICTS | {ReviewState.OPEN, ReviewState.ACKNOWLEDGED},
    **{verdict: frozenset({ReviewState.OPEN}) for verdict in _VERDICTS},
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody decides about a flagged entry."""

    #: Where the review goes.
    state: ReviewState
    #: Who decides, as ``type:id``.
    by: str
    #: Who is to look at it; None: as before.
    assignee: str | None = None
    #: What was found; None: as before.
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewedMany:
    """What a review of a selection did, or would do."""

    #: Entries of the selection that have a review.
    matched: int
    #: Reviews moved, or that would be.
    moved: int
    #: Reviews that cannot take this step: they are decided already.
    skipped: int
    #: Whether there are more than one call moves.
    more: bool
    #: Whether nothing was done.
    dry_run: bool


def states_before(state: ReviewState) -> frozenset[ReviewState]:
    """Tell from which states a review may go to this one."""
    return frozenset(before for before, possible in STEPS.items() if before is not None and state in possible)


def change_of_many(verdict: Verdict, now: int) -> ReviewChange:
    """Make the change of a step that many reviews take.

    Raises:
        InvalidInput: a text is too long.
    """
    _check("note", verdict.note, MAX_NOTE)
    _check("assignee", verdict.assignee, MAX_PERSON)
    _check_reviewer(verdict.by)
    note = None if verdict.note is None else storable(redact_text(verdict.note))
    assignee = None if verdict.assignee is None else storable(verdict.assignee)
    return ReviewChange(verdict.state, verdict.by, now, assignee, note)


def next_review(current: Review | None, verdict: Verdict, now: int) -> Review:
    """Take a step.

    Raises:
        Conflict: not possible from the current state.
        InvalidInput: a text is too long.
    """
    before = current.state if current else None
    if verdict.state not in STEPS[before]:
        possible = ", ".join(sorted(STEPS[before]))
        msg = f"The review is {before or 'not begun'} and cannot become {verdict.state}"
        raise Conflict(msg, remedy=f"From here it can become: {possible}")
    _check("note", verdict.note, MAX_NOTE)
    _check("assignee", verdict.assignee, MAX_PERSON)
    _check_reviewer(verdict.by)
    note = storable(redact_text(verdict.note)) if verdict.note is not None else (current.note if current else "")
    assignee = storable(verdict.assignee) if verdict.assignee is not None else (current.assignee if current else "")
    return Review(verdict.state, assignee, note, verdict.by, now)


def _check_reviewer(by: str) -> None:
    if not by:
        msg = "The reviewer has no name"
        raise InvalidInput(msg, remedy="Say who has looked, such as user:ann")
    _check("reviewer", by, MAX_PERSON)


def _check(what: str, text: str | None, limit: int) -> None:
    if text is not None and len(text) > limit:
        msg = f"The {what} has {len(text)} characters"
        raise InvalidInput(msg, remedy=f"Use at most {limit}")
