"""How many audit events a second are durably recorded, 64 in flight, on SQLite with ``synchronous=FULL``.

Peer: the same rows, one commit each, by the standard library's ``sqlite3`` on the same disk.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from custodes.planes.audit.logger import AuditLogger
from custodes.runtime.bus import Bus
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.audit import _INSERT, _INSERT_TARGET, SqlAuditStore
from custodes.storage.sql.audit_rows import COLUMNS, row_of
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.tables import metadata

#: Events of one round, callers in flight, rounds whose median counts.
EVENTS = 10_000
IN_FLIGHT = 64
ROUNDS = 3

#: Events of one round of the peer: it is slower.
PEER_EVENTS = 1_500

COMMAND = "python -m benchmarks audit"


async def _open(folder: Path) -> SqliteDatabase:
    database = SqliteDatabase(f"sqlite:///{folder}/audit.db")
    await database.open()
    await database.write(lambda tx: metadata.create_all(connection_of(tx)))
    return database


def _logger(database: SqliteDatabase) -> AuditLogger:
    return AuditLogger(database, SqlAuditStore(database), SystemClock(), random.Random(1).getrandbits, Bus())


def _event(place: int) -> dict[str, Any]:
    return {
        "actor": f"user:{place % 500}",
        "target": f"invoice:{place}",
        "ip": f"203.0.113.{place % 200}",
        "changes": [("status", "draft", "sent")],
        "context": {"user_agent": "Mozilla/5.0", "auth_method": "password"},
        "trace_id": f"{place:032x}",
    }


async def _ours(folder: Path) -> float:
    database = await _open(folder)
    audit = _logger(database)
    places = iter(range(EVENTS))

    async def caller() -> None:
        for place in places:
            await audit.log_audit_event("data.updated", **_event(place))

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    rate = EVENTS / (time.perf_counter() - began)
    await database.close()
    return rate


async def _peer(folder: Path) -> float:
    database = await _open(folder)
    audit = _logger(database)
    entries = [await audit.log_audit_event("data.updated", **_event(place)) for place in range(20)]
    await database.close()
    rows = [row_of(entry) for entry in entries]
    place_of_id = COLUMNS.index("id")
    insert = f"{_INSERT} VALUES ({', '.join('?' * len(COLUMNS))})"
    insert_target = f"{_INSERT_TARGET} VALUES (?, ?, ?)"
    connection = sqlite3.connect(folder / "audit.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    began = time.perf_counter()
    for place in range(PEER_EVENTS):
        values, targets = rows[place % len(rows)]
        entry_id = f"{place:036x}"
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert, (*values[:place_of_id], entry_id, *values[place_of_id + 1 :]))
        connection.executemany(insert_target, [(values[1], target, entry_id) for target in targets])
        connection.execute("COMMIT")
    rate = PEER_EVENTS / (time.perf_counter() - began)
    connection.close()
    return rate


def run() -> list[dict[str, Any]]:
    """Measure; events a second, medians of alternating rounds."""
    ours: list[float] = []
    peer: list[float] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            ours.append(asyncio.run(_ours(Path(one))))
            peer.append(asyncio.run(_peer(Path(other))))
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return [
        {
            "name": "audit: durable events, 64 in flight",
            "ours": round(mine),
            "peer": round(theirs),
            "peer_name": "sqlite3, one commit each",
            "ratio": round(mine / theirs, 2),
            "unit": "events/s",
            "target": ">= 5000 events/s",
            "met": mine >= 5_000,
            "command": COMMAND,
        }
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
