"""What a check of ``custodes doctor`` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a check found."""

    #: As it should be.
    OK = "ok"
    #: Works, but look at it.
    WARNING = "warning"
    #: Does not work, or is unsafe.
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    #: What it is about.
    area: str
    #: How it is.
    verdict: Verdict
    #: One sentence.
    text: str
    #: What to do; empty when nothing.
    remedy: str = ""
