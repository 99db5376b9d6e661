"""How often drills and fuzzers do what they do: a few times in ``make test``, in full in ``make drills``.

What a round proves is the same in both; the full count finds what happens once in a hundred or in a million times.
"""

from __future__ import annotations

import os

#: Rounds of each drill, as ``make drills`` says; 0 in ``make test``.
_GIVEN = int(os.environ.get("CUSTODES_DRILL_ROUNDS", "0"))

#: Whether everything is done in full.
FULL = _GIVEN > 0


def rounds(few: int) -> int:
    """Return how many rounds a drill has: as many as were asked for, else a few."""
    return _GIVEN or few


def cases(full: int, share: int = 10) -> int:
    """Return how many cases a fuzzer tries: all of them, or in ``make test`` one of so many."""
    return full if FULL else full // share
