"""Raw rows of API calls on PostgreSQL: the B-tree on their time, or a BRIN index instead?

Two databases of a throw-away server hold the same rows of seven days in pieces of a day. One is as it is made, in the
other the index on time is a BRIN one. What each index takes, what ``COPY`` of a batch costs with it (processor time of
the server's process), and how long the server takes for what is asked of the rows: the list of all tenants, newest
first; that list before some moment; a count of ten minutes; and a rare kind of call of an hour. Rounds alternate,
medians count (ADR 0008).

    python -m benchmarks brin
    python -m benchmarks.brin --rows 2000000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from pathlib import Path
from typing import Any

import psycopg
from tests.servers.postgresql import PostgresServer

from benchmarks.history.install import make_pieces
from benchmarks.history.traffic import RAW_DAYS, TrafficHistory
from custodes.app import Custodes
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.traffic import CALL_COLUMNS

#: The index in question, and what stands in its place. 32 pages are some 500 rows.
INDEX = "ix_api_monitoring_started_at"
BRIN = f"CREATE INDEX {INDEX} ON api_monitoring USING brin (started_at) WITH (pages_per_range = 32, autosummarize = on)"

COMMAND = "python -m benchmarks brin"

#: Rows that are there when it is measured.
ROWS = 500_000

#: Rows of one batch, and rounds of each side.
BATCH = 5_000
ROUNDS = 15

#: Processor time of a process is counted in these, seconds.
TICK = 0.01

_COPY = f"COPY api_monitoring ({', '.join(CALL_COLUMNS)}) FROM STDIN"
_LIST = "SELECT * FROM api_monitoring WHERE started_at < {before} ORDER BY started_at DESC, id DESC LIMIT 50"


def questions(now: int) -> dict[str, str]:
    """List what is asked of the rows."""
    return {
        "newest 50 of all tenants": _LIST.format(before=now),
        "50 before three days ago": _LIST.format(before=now - 3 * DAY),
        "count of ten minutes": f"SELECT count(*) FROM api_monitoring WHERE started_at >= {now - DAY}"
        f" AND started_at < {now - DAY + 10 * MINUTE}",
        "calls of an hour slower than 70 ms": f"SELECT count(*) FROM api_monitoring WHERE started_at >= {now - HOUR}"
        f" AND started_at < {now} AND total_us >= 70000",
    }


async def made(server: PostgresServer, now: int, *, brin: bool) -> str:
    """Make an install with pieces of the last days; returns its URL."""
    url = server.url(server.new_database())
    custodes = Custodes(url.replace("postgresql:", "postgresql+psycopg:"), enterprise_monitoring_enabled=False)
    await custodes.open()
    await make_pieces(custodes, now)
    await custodes.close()
    if brin:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP INDEX {INDEX}")
            connection.execute(BRIN)
    return url


def copy(connection: psycopg.Connection[Any], rows: list[tuple[Any, ...]]) -> float:
    """Write a batch; returns the processor time of the server's process, milliseconds."""
    stat = Path(f"/proc/{connection.info.backend_pid}/stat")
    before = _ticks(stat)
    with connection.cursor() as cursor, cursor.copy(_COPY) as sink:
        for row in rows:
            sink.write_row(row)
    connection.commit()
    return (_ticks(stat) - before) * TICK * 1_000


def _ticks(stat: Path) -> int:
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def took(connection: psycopg.Connection[Any], question: str) -> float:
    """Run a query; returns how long the server says it took, planning and all, milliseconds."""
    [[plan]] = connection.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {question}").fetchone()  # type: ignore[misc,arg-type]
    return plan["Planning Time"] + plan["Execution Time"]


def size(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Tell how many bytes the index on time has, and the rows with all their indexes."""
    index = "SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree(%s)"
    [(of_index,)] = connection.execute(index, (INDEX,)).fetchall()
    rows = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree('api_monitoring')"
    [(of_rows,)] = connection.execute(rows).fetchall()
    return int(of_index), int(of_rows)


def measure(server: PostgresServer, rows: int) -> list[dict[str, Any]]:
    """Fill both and ask both in turn."""
    now = SystemClock().now()
    urls = {kind: asyncio.run(made(server, now, brin=kind == "BRIN")) for kind in ("B-tree", "BRIN")}
    history = TrafficHistory(rows * 90 // RAW_DAYS, 90, now, DEFAULT_TENANT)
    calls = list(history.calls(rows + ROUNDS * BATCH))
    with psycopg.connect(urls["B-tree"]) as tree, psycopg.connect(urls["BRIN"]) as brin:
        sides = (tree, brin)
        kept, batches = calls[: -ROUNDS * BATCH], calls[-ROUNDS * BATCH :]
        for connection in sides:
            for begin in range(0, len(kept), 50_000):
                copy(connection, kept[begin : begin + 50_000])
        spent = [
            [copy(connection, batches[begin : begin + BATCH]) for connection in sides]
            for begin in range(0, len(batches), BATCH)
        ]
        for connection in sides:
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE api_monitoring")
        (tree_index, tree_rows), (brin_index, brin_rows) = (size(connection) for connection in sides)
        found = [
            _row("size of the index on time", tree_index / 2**20, brin_index / 2**20, "MiB"),
            _row("size of the rows with all indexes", tree_rows / 2**20, brin_rows / 2**20, "MiB"),
            _row(f"COPY of {BATCH:,} rows, the server's processor time", *_medians(spent), "ms"),
        ]
        for name, question in questions(now).items():
            times = [[took(connection, question) for connection in sides] for _ in range(ROUNDS)]
            found.append(_row(name, *_medians(times), "ms"))
        return found


def _medians(rounds: list[list[float]]) -> tuple[float, float]:
    tree, brin = (statistics.median(column) for column in zip(*rounds, strict=True))
    return tree, brin


def _row(name: str, tree: float, brin: float, unit: str) -> dict[str, Any]:
    return {
        "name": f"API calls by their time: {name}",
        "ours": tree,
        "peer": brin,
        "peer_name": "BRIN in place of the B-tree",
        "ratio": tree / brin,
        "unit": unit,
        "target": "shown",
        "met": True,
        "command": COMMAND,
    }


def run(rows: int = ROWS) -> list[dict[str, Any]]:
    server = PostgresServer()
    try:
        return measure(server, rows)
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    for row in run(parser.parse_args().rows):
        print(f"{row['name']:75} B-tree {row['ours']:9.2f} {row['unit']}   BRIN {row['peer']:9.2f} {row['unit']}")


if __name__ == "__main__":
    main()
