"""The review goes only where it may go."""

import itertools

import pytest

from custodes.errors import Conflict, InvalidInput
from custodes.planes.audit.model import UNREVIEWED, Review, ReviewState
from custodes.planes.audit.reviews import MAX_NOTE, STEPS, Verdict, next_review

STATES = [None, *ReviewState]
PAIRS = list(itertools.product(STATES, ReviewState))


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=str)
def test_every_step_is_allowed_or_refused_as_the_table_says(before: ReviewState | None, after: ReviewState):
    current = Review(before) if before else None
    step = Verdict(after, by="user:1")

    if after in STEPS[before]:
        assert next_review(current, step, 5) == Review(after, by="user:1", at=5)
    else:
        with pytest.raises(Conflict, match="can become"):
            next_review(current, step, 5)


def test_every_flagged_entry_can_reach_a_verdict_and_every_verdict_can_be_reopened():
    for state in ReviewState:
        if state in UNREVIEWED:
            assert STEPS[state] >= set(ReviewState) - set(UNREVIEWED)
        else:
            assert STEPS[state] == {ReviewState.OPEN}


def test_assignee_and_note_stay_until_they_are_changed():
    review = next_review(Review(ReviewState.OPEN), Verdict(ReviewState.ACKNOWLEDGED, "user:1", "ann", "looking"), 1)
    review = next_review(review, Verdict(ReviewState.BENIGN, "user:2"), 2)

    assert review == Review(ReviewState.BENIGN, "ann", "looking", "user:2", 2)


def test_notes_are_bounded_and_carry_no_secrets():
    with pytest.raises(InvalidInput, match="4001 characters"):
        next_review(None, Verdict(ReviewState.OPEN, "user:1", note="n" * (MAX_NOTE + 1)), 1)

    review = next_review(None, Verdict(ReviewState.OPEN, "user:1", note="used sk_" + "live_" + "abcdefgh1234"), 1)
    assert review.note == "used [redacted stripe]"
