"""What retention needs kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from custodes.kernel.paging import Page
from custodes.planes.retention.model import Run
from custodes.runtime.transactions import Transaction


class RunStore(Protocol):
    """**Protocol:** the record of what was deleted."""

    def add(self, tx: Transaction, run: Run) -> None:
        """Record a run."""
        ...

    def last(
        self, tx: Transaction, policies: Sequence[str], *, until: int | None = None, succeeded: bool = False
    ) -> dict[str, Run]:
        """Find the newest run of each policy that was not a dry run; policies without one are left out.

        Args:
            tx: the transaction.
            policies: names.
            until: only runs that began at this moment or before.
            succeeded: only runs that did not fail.
        """
        ...

    def page(self, tx: Transaction, limit: int, cursor: str) -> Page[Run]:
        """Read a page of runs, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        ...

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Remove the oldest records before a moment, at most ``limit``; returns how many."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge` would remove."""
        ...
