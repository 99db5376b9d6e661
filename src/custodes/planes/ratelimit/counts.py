"""What is counted of somebody at an endpoint."""

from __future__ import annotations


class Counts:
    """Counts of one window."""

    __slots__ = ("allowed", "refused", "trace_id", "would_refuse")

    def __init__(self) -> None:
        self.allowed = 0
        self.refused = 0
        self.would_refuse = 0
        self.trace_id = ""

    def add(self, other: Counts) -> None:
        """Add the counts of another."""
        self.allowed += other.allowed
        self.refused += other.refused
        self.would_refuse += other.would_refuse
        self.trace_id = other.trace_id or self.trace_id
