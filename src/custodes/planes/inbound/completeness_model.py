"""What is proven of the completeness of a source."""

from __future__ import annotations

from dataclasses import dataclass

from custodes.kernel.clock import DAY, HOUR, MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of a source: up to when nothing is missing, and whether it is silent."""

    #: Whose source it is.
    tenant: str
    #: Name of the source.
    source: str
    #: From when on its events are compared with the origin's, microseconds since the epoch; None: they are not.
    since: int | None = None
    #: Up to when nothing is missing, microseconds since the epoch; None before the first proof.
    proven_until: int | None = None
    #: When that was proven.
    proven_at: int | None = None
    #: End of the comparison under way; None when none is.
    window_until: int | None = None
    #: Where that comparison goes on in the origin's list.
    cursor: str = ""
    #: Events that never arrived and were fetched, of all time.
    fetched: int = 0
    #: Events that never arrived and that the origin could not give any more, of all time.
    lost: int = 0
    #: When the origin was last asked.
    asked_at: int | None = None
    #: Why the last comparison failed; empty when it did not.
    error: str = ""
    #: Last event before a silence that is not usual, microseconds since the epoch; None: it is not silent.
    silent_since: int | None = None
    #: Events that usually come in a time as long as the silence.
    silent_expected: int = 0

    def summary(self, now: int, *, compared: bool = True) -> str:
        """Say it in a sentence for a person."""
        if self.silent_since is not None:
            usual = f"usually {self.silent_expected} events come in this time"
            silent = f"Silent for {ago(now - self.silent_since)}; {usual}. "
        else:
            silent = ""
        if not compared:
            return silent + "Not compared with what the sender has sent"
        if self.proven_until is None or self.proven_at is None:
            text = "Not proven complete yet"
        else:
            text = f"Complete, last proven {ago(now - self.proven_at)} ago"
        if self.lost:
            text = f"{text}, but for {self.lost} events that the sender has no more"
        return f"{silent}{text}. The last comparison failed: {self.error}" if self.error else silent + text


def ago(micros: int) -> str:
    """Write a length of time for a person."""
    if micros >= 2 * DAY:
        return f"{micros // DAY} d"
    return f"{micros // HOUR} h" if micros >= 2 * HOUR else f"{micros // MINUTE} min"
