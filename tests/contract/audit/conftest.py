"""A store of the trail on every engine, and entries to put into it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from custodes.kernel.clock import SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.audit.model import AuditEntry, Kind, Outcome, Reference
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import Database

START = 1_790_000_000 * SECOND


@pytest.fixture
def store(database: Database) -> SqlAuditStore:
    return SqlAuditStore(database)


@pytest.fixture
def make(random_bits) -> Callable[..., AuditEntry]:
    """Make an entry recorded so many seconds after the start."""

    def entry(seconds: float = 0, **fields: object) -> AuditEntry:
        at = START + int(seconds * SECOND)
        given: dict[str, object] = {
            "id": uuid7(at, random_bits), "tenant": "acme", "recorded_at": at, "time": at, "kind": Kind.EVENT,
            "action": "member.removed", "category": "account", "outcome": Outcome.SUCCESS,
            "actor": Reference("user", "1"),
        }  # fmt: skip
        return AuditEntry(**(given | fields))  # type: ignore[arg-type]

    return entry
