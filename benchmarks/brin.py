"""What is found by its time on PostgreSQL: by a B-tree, or by a BRIN index?

Once for raw rows of API calls, which are listed by their time and have a B-tree, and once for their figures, which are
found by their time in no order and have a BRIN index. Two databases of a throw-away server hold the same rows: one as
it is made, in the other the index is of the other kind. What each index takes, what ``COPY`` of a batch costs with it
(processor time of the server's process), and how long the server takes for what is asked of the rows. Rounds
alternate, medians count (ADR 0008).

    python -m benchmarks brin
    python -m benchmarks.brin --rows 2000000
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.servers.postgresql import PostgresServer

from benchmarks.history.install import make_pieces
from benchmarks.history.traffic import RAW_DAYS, TrafficHistory
from custodes.app import Custodes
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.traffic.rollup import LEVELS
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.traffic import CALL_COLUMNS
from custodes.storage.sql.traffic_rollups import WRITTEN

COMMAND = "python -m benchmarks brin"

#: Rows that are there when it is measured.
ROWS = 500_000

#: Rows of one batch, and rounds of each side.
BATCH = 5_000
ROUNDS = 15

#: Processor time of a process is counted in these, seconds.
TICK = 0.01

#: 32 pages are some 500 raw rows.
_BRIN = "CREATE INDEX {index} ON {table} USING brin ({columns}) WITH (pages_per_range = 32, autosummarize = on)"
_TREE = "CREATE INDEX {index} ON {table} ({columns})"


@dataclass(frozen=True, slots=True)
class Case:
    """Rows, and the index in question."""

    what: str
    table: str
    columns: tuple[str, ...]
    #: Its name, what it is of, whether it is a BRIN one as Custodes makes it.
    index: str
    of: str
    is_brin: bool
    #: Makes the rows, from (moment, how many).
    rows: Callable[[int, int], Iterable[tuple[Any, ...]]]
    #: What is asked of them: name → query, from the moment.
    questions: Callable[[int], dict[str, str]]

    @property
    def other(self) -> str:
        """Write how the index of the other kind is made."""
        return (_TREE if self.is_brin else _BRIN).format(index=self.index, table=self.table, columns=self.of)


def _questions_of_calls(now: int) -> dict[str, str]:
    listed = "SELECT * FROM api_monitoring WHERE started_at < {before} ORDER BY started_at DESC, id DESC LIMIT 50"
    return {
        "newest 50 of all tenants": listed.format(before=now),
        "50 before three days ago": listed.format(before=now - 3 * DAY),
        "count of ten minutes": f"SELECT count(*) FROM api_monitoring WHERE started_at >= {now - DAY}"
        f" AND started_at < {now - DAY + 10 * MINUTE}",
        "calls of an hour slower than 70 ms": f"SELECT count(*) FROM api_monitoring WHERE started_at >= {now - HOUR}"
        f" AND started_at < {now} AND total_us >= 70000",
    }


def _questions_of_figures(now: int) -> dict[str, str]:
    finest = LEVELS[0].value

    def summed(since: int, until: int) -> str:
        return (
            "SELECT keyspace, sum(count), sum(total_sum) FROM api_rollups"
            f" WHERE level = {finest} AND bucket >= {since} AND bucket < {until} GROUP BY keyspace"
        )

    return {
        "sums of ten minutes of all tenants": summed(now - 2 * HOUR, now - 2 * HOUR + 10 * MINUTE),
        "sums of three hours of all tenants": summed(now - 4 * HOUR, now - HOUR),
        "rows from before the oldest": "SELECT count(*) FROM api_rollups"
        f" WHERE level = {finest} AND bucket < {now - 7 * DAY}",
    }


def _figures(now: int, count: int) -> Iterable[tuple[Any, ...]]:
    day = TrafficHistory(1_200_000, 1, now, DEFAULT_TENANT).rollups()
    return [row for row in day if row[2] == LEVELS[0].value][-count:]


CASES = (
    Case(
        "API calls by their time", "api_monitoring", tuple(CALL_COLUMNS), "ix_api_monitoring_started_at",
        "started_at", False,
        lambda now, count: TrafficHistory(count * 90 // RAW_DAYS, 90, now, DEFAULT_TENANT).calls(count),
        _questions_of_calls,
    ),
    Case(
        "figures of API calls by their time", "api_rollups", WRITTEN, "ix_api_rollups_level_brin",
        "level, bucket", True, _figures, _questions_of_figures,
    ),
)  # fmt: skip


async def made(server: PostgresServer, now: int, case: Case, *, as_it_is: bool) -> str:
    """Make an install with pieces of the last days; returns its URL."""
    url = server.url(server.new_database())
    custodes = Custodes(url.replace("postgresql:", "postgresql+psycopg:"), enterprise_monitoring_enabled=False)
    await custodes.open()
    await make_pieces(custodes, now)
    await custodes.close()
    if not as_it_is:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP INDEX {case.index}".encode())
            connection.execute(case.other.encode())
    return url


def copy(connection: psycopg.Connection[Any], case: Case, rows: list[tuple[Any, ...]]) -> float:
    """Write a batch; returns the processor time of the server's process, milliseconds."""
    stat = Path(f"/proc/{connection.info.backend_pid}/stat")
    before = _ticks(stat)
    statement = f"COPY {case.table} ({', '.join(case.columns)}) FROM STDIN".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as sink:
        for row in rows:
            sink.write_row(row)
    connection.commit()
    return (_ticks(stat) - before) * TICK * 1_000


def _ticks(stat: Path) -> int:
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def took(connection: psycopg.Connection[Any], question: str) -> float:
    """Run a query; returns how long the server says it took, planning and all, milliseconds."""
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {question}".encode()
    answer = connection.execute(explain).fetchone()
    assert answer is not None
    [plan] = answer[0]
    return float(plan["Planning Time"]) + float(plan["Execution Time"])


def size(connection: psycopg.Connection[Any], case: Case) -> tuple[int, int]:
    """Tell how many bytes the index on time has, and the rows with all their indexes."""
    index = "SELECT coalesce(sum(pg_relation_size(relid)), 0) FROM pg_partition_tree(%s)"
    [(of_index,)] = connection.execute(index, (case.index,)).fetchall()
    rows = "SELECT coalesce(sum(pg_total_relation_size(relid)), 0) FROM pg_partition_tree(%s)"
    [(of_rows,)] = connection.execute(rows, (case.table,)).fetchall()
    return int(of_index), int(of_rows)


def measure(server: PostgresServer, case: Case, rows: int) -> list[dict[str, Any]]:
    """Fill both and ask both in turn."""
    now = SystemClock().now()
    urls = [asyncio.run(made(server, now, case, as_it_is=as_it_is)) for as_it_is in (True, False)]
    written = list(case.rows(now, rows + ROUNDS * BATCH))
    with psycopg.connect(urls[0]) as ours, psycopg.connect(urls[1]) as other:
        sides = (ours, other)
        kept, batches = written[: -ROUNDS * BATCH], written[-ROUNDS * BATCH :]
        for connection in sides:
            for begin in range(0, len(kept), 50_000):
                copy(connection, case, kept[begin : begin + 50_000])
        spent = [
            [copy(connection, case, batches[begin : begin + BATCH]) for connection in sides]
            for begin in range(0, len(batches), BATCH)
        ]
        for connection in sides:
            connection.autocommit = True
            connection.execute(f"VACUUM ANALYZE {case.table}".encode())
        (our_index, our_rows), (other_index, other_rows) = (size(connection, case) for connection in sides)
        copied_ours, copied_other = sum(pair[0] for pair in spent), sum(pair[1] for pair in spent)
        found = [
            _row(case, "size of the index on time", our_index / 2**20, other_index / 2**20, "MiB"),
            _row(case, "size of the rows with all indexes", our_rows / 2**20, other_rows / 2**20, "MiB"),
            _row(
                case, f"COPY of {ROUNDS} x {BATCH:,} rows, the server's processor time", copied_ours, copied_other, "ms"
            ),
        ]
        for name, question in case.questions(now).items():
            times = [[took(connection, question) for connection in sides] for _ in range(ROUNDS)]
            found.append(_row(case, name, *_medians(times), "ms"))
        return found


def _medians(rounds: list[list[float]]) -> tuple[float, float]:
    ours, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    return ours, other


def _row(case: Case, name: str, ours: float, other: float, unit: str) -> dict[str, Any]:
    return {
        "name": f"{case.what}: {name}",
        "ours": ours,
        "peer": other,
        "peer_name": "B-tree in place of the BRIN index" if case.is_brin else "BRIN in place of the B-tree",
        "ratio": ours / other,
        "unit": unit,
        "target": "shown",
        "met": True,
        "command": COMMAND,
    }


def run(rows: int = ROWS) -> list[dict[str, Any]]:
    server = PostgresServer()
    try:
        return [row for case in CASES for row in measure(server, case, rows)]
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    for row in run(parser.parse_args().rows):
        ours, other = f"{row['ours']:9.2f} {row['unit']}", f"{row['peer']:9.2f} {row['unit']}"
        print(f"{row['name']:85} as it is {ours}   {row['peer_name']} {other}")


if __name__ == "__main__":
    main()
