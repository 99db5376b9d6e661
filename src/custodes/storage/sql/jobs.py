"""Open jobs in a SQL store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    Executable,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from custodes.runtime.jobs import SUSPECT_AFTER, Backlog, Claim, Lease, NewJob
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import update_those
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.lists import among, in_one_row, not_among
from custodes.storage.sql.tables.jobs import jobs as t

#: Leases of a job that ended without a word.
_LOST = t.c.token - t.c.attempts - t.c.released


class SqlJobs:
    """:class:`custodes.runtime.jobs.Jobs` in the table ``jobs``.

    On SQLite the one writer makes claims exclusive; on PostgreSQL ``FOR UPDATE SKIP LOCKED`` does (SQLAlchemy leaves it
    out where the engine has no such thing).
    """

    def put(self, tx: Transaction, job: NewJob) -> bool:
        """Put a job in unless its subject has one."""
        connection = connection_of(tx)
        if connection.execute(select(t.c.ref).where(t.c.kind == job.kind, t.c.ref == job.ref)).first() is not None:
            return False
        connection.execute(
            insert(t).values(
                tenant_id=job.tenant,
                kind=job.kind,
                ref=job.ref,
                lane=job.lane,
                due_at=job.due_at,
                attempts=0,
                released=0,
                token=0,
                lease_owner=None,
            )
        )
        return True

    def lanes(self, tx: Transaction, kind: str) -> Sequence[str]:
        """Jump from lane to lane through the index: one probe a lane, however long the lanes are."""
        return [lane for (lane,) in connection_of(tx).execute(_LANES, {"kind": kind})]

    def due_lanes(self, tx: Transaction, kind: str, now: int, ended: int) -> Sequence[str]:
        """Jump from lane to lane, and look at the first job of each."""
        connection, wanted = connection_of(tx), {"kind": kind, **_moments(now, ended)}
        if connection.dialect.name == "sqlite":
            return [lane for (lane,) in json.loads(connection.execute(_DUE_LANES_IN_ONE, wanted).scalar_one())]
        return [lane for (lane,) in connection.execute(_DUE_LANES, wanted)]

    def claim(self, tx: Transaction, kind: str, lanes: Mapping[str, int], claim: Claim) -> Sequence[Lease]:
        """Lease due jobs: one statement finds those of all lanes on PostgreSQL, and one leases them."""
        connection = connection_of(tx)
        wanted = {"kind": kind, "busy": list(claim.busy), **_moments(claim.now, claim.ended)}
        due: list[Any] = []
        for lane, limit, rows in _due_of(connection, lanes, wanted):
            suspects = [row for row in rows if row.lost >= SUSPECT_AFTER]
            most = 1 if claim.suspect else 0
            if len(suspects) <= most:
                due += rows
            else:
                # Only now are they passed over in the statement: to look for them in a long lane is to read all of it.
                sound = {**wanted, "lane": lane, "most": limit - len(suspects[:most])}
                due += (*suspects[:most], *connection.execute(_DUE_SOUND, sound))
        if due:
            lease = {"until": claim.until, "owner": claim.owner}
            connection.execute(_LEASE, {"of_kind": kind, "refs": [row.ref for row in due], **lease})
        return [Lease(row.tenant_id, kind, row.ref, row.lane, row.attempts, row.lost, row.token + 1) for row in due]

    def extend(self, tx: Transaction, leases: Sequence[Lease], until: int) -> Sequence[Lease]:
        """Move the end of leases that are still held: one statement for all of a kind.

        What is being settled is passed over. To wait for it would be a deadlock now and then: both take many jobs, each
        in an order of its own.
        """
        held = _of_leases(connection_of(tx), leases, EXTEND, until=until)
        return [lease for lease in leases if _name(lease) in held]

    def finish(self, tx: Transaction, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Delete the jobs whose leases are still held: one statement for all of a kind."""
        gone = _of_leases(connection_of(tx), leases, FINISH)
        return [lease for lease in leases if _name(lease) in gone]

    def again(self, tx: Transaction, back: Sequence[tuple[Lease, int]], *, counted: bool = True) -> Sequence[Lease]:
        """Give back the jobs whose leases are still held: one statement for all."""
        count = "attempts" if counted else "released"
        rows = [
            {
                "kind": lease.kind,
                "ref": lease.ref,
                "token": lease.token,
                "due_at": due_at,
                "lease_owner": None,
                count: 1,
            }
            for lease, due_at in back
        ]
        held = update_those(
            connection_of(tx),
            t,
            ("kind", "ref", "token"),
            rows,
            {count: "{old} + {new}"},
            "custodes_jobs.lease_owner IS NOT NULL",
        )
        return [lease for lease, _ in back if _name(lease) in held]

    def hasten(self, tx: Transaction, kind: str, ref: str, due_at: int) -> bool:
        """Make an open job that nobody holds due earlier."""
        waiting = and_(t.c.kind == kind, t.c.ref == ref, t.c.lease_owner.is_(None), t.c.due_at > due_at)
        return _count(connection_of(tx).execute(update(t).where(waiting).values(due_at=due_at))) == 1

    def is_leased(self, tx: Transaction, kind: str, ref: str, now: int) -> bool:
        """Look whether a job has a lease that has not ended."""
        leased = and_(t.c.kind == kind, t.c.ref == ref, t.c.lease_owner.is_not(None), t.c.due_at > now)
        return connection_of(tx).execute(select(t.c.ref).where(leased)).first() is not None

    def pull_in(self, tx: Transaction, kind: str, horizon: int, due_at: int) -> int:
        """Make jobs from the far future due."""
        return _count(connection_of(tx).execute(_PULL_IN, {"of_kind": kind, "horizon": horizon, "to": due_at}))

    def backlog(self, tx: Transaction, kind: str, now: int, tenant: str | None = None) -> Backlog:
        """Count what is waiting."""
        connection = connection_of(tx)
        of_kind = [t.c.kind == kind] if tenant is None else [t.c.kind == kind, t.c.tenant_id == tenant]
        leased = func.count(t.c.lease_owner)
        row = connection.execute(select(func.count(), leased).select_from(t).where(*of_kind)).one()
        oldest = select(func.min(t.c.due_at)).where(*of_kind, t.c.due_at <= now)
        return Backlog(row[0], row[1], connection.execute(oldest).scalar())


# Statements of the worker's round are put together once: to do so costs as much as to run them.

_KIND = t.c.kind == bindparam("kind")
#: The same in an update, where the name of a column is taken.
_OF_KIND = t.c.kind == bindparam("of_kind")

#: Nobody is at it, and it is due; or somebody was, and the lease has ended. By the later of both an index finds it.
_DUE_NOW = and_(
    t.c.due_at <= bindparam("latest"),
    t.c.due_at
    <= case(
        (t.c.lease_owner.is_(None), bindparam("now", type_=BigInteger)), else_=bindparam("ended", type_=BigInteger)
    ),
)

_DUE = (
    select(t.c.tenant_id, t.c.ref, t.c.lane, t.c.attempts, t.c.token, _LOST.label("lost"))
    .where(
        _KIND,
        t.c.lane == bindparam("lane"),
        _DUE_NOW,
        not_among(t.c.ref, "busy"),
    )
    .order_by(t.c.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)

#: The same of several lanes, so many of each as are named beside it. The lane of a list is compared as its column is.
_DUE_OF_LANES = text("""SELECT due.*
    FROM unnest(CAST(:lanes AS text[]), CAST(:limits AS integer[])) AS asked (lane, most), LATERAL (
        SELECT tenant_id, ref, lane, attempts, token, token - attempts - released AS lost FROM custodes_jobs
        WHERE kind = :kind AND lane = asked.lane COLLATE "C" AND due_at <= :latest
            AND due_at <= CASE WHEN lease_owner IS NULL THEN CAST(:now AS bigint) ELSE CAST(:ended AS bigint) END
            AND ref <> ALL (CAST(:busy AS text[]))
        ORDER BY due_at LIMIT asked.most FOR UPDATE SKIP LOCKED
    ) AS due
""")

_DUE_SOUND = _DUE.where(_LOST < SUSPECT_AFTER)

_LEASE = (
    update(t)
    .where(_OF_KIND, among(t.c.ref, "refs"))
    .values(due_at=bindparam("until"), lease_owner=bindparam("owner"), token=t.c.token + 1)
)

_PULL_IN = update(t).where(_OF_KIND, t.c.due_at > bindparam("horizon")).values(due_at=bindparam("to"))

#: Leases that are held. It names the references alone, too: by them the rows are found through an index, and by a pair
#: they are not.
_HELD = and_(
    _OF_KIND,
    among(t.c.ref, "refs"),
    among(t.c.ref + ":" + cast(t.c.token, Text), "held"),
    t.c.lease_owner.is_not(None),
)

#: Deletes the jobs of leases that are held.
FINISH = delete(t).where(_HELD).returning(t.c.ref, t.c.token)

#: Moves the end of those that nobody is at.
EXTEND = (
    update(t)
    .where(_OF_KIND, t.c.ref.in_(select(t.c.ref).where(_HELD).with_for_update(skip_locked=True)))
    .values(due_at=bindparam("until"))
    .returning(t.c.ref, t.c.token)
)


def _moments(now: int, ended: int) -> dict[str, int]:
    return {"now": now, "ended": ended, "latest": max(now, ended)}


def _due_of(
    connection: Connection, lanes: Mapping[str, int], wanted: Mapping[str, Any]
) -> list[tuple[str, int, list[Any]]]:
    """Find due jobs of lanes: of each its name, how many it may have, and what was found."""
    if connection.dialect.name == "sqlite":
        return [
            (lane, limit, list(connection.execute(_DUE, {**wanted, "lane": lane, "most": limit})))
            for lane, limit in lanes.items()
        ]
    found: dict[str, list[Any]] = {lane: [] for lane in lanes}
    for row in connection.execute(_DUE_OF_LANES, {**wanted, "lanes": [*lanes], "limits": [*lanes.values()]}):
        found[row.lane].append(row)
    return [(lane, limit, found[lane]) for lane, limit in lanes.items()]


def _lanes(*, due: bool = False) -> Select[Any]:
    first = select(func.min(t.c.lane).label("lane")).where(_KIND)
    seen = first.cte("seen", recursive=True)
    following = select(func.min(t.c.lane)).where(_KIND, t.c.lane > seen.c.lane).scalar_subquery()
    walk = seen.union_all(select(following).where(seen.c.lane.is_not(None)))
    found = select(walk.c.lane).where(walk.c.lane.is_not(None))
    if due:
        found = found.where(exists().where(_KIND, t.c.lane == walk.c.lane, _DUE_NOW))
    return found


_LANES = _lanes()
_DUE_LANES = _lanes(due=True)
_DUE_LANES_IN_ONE = in_one_row(_DUE_LANES)


def _of_leases(
    connection: Connection, leases: Sequence[Lease], statement: Executable, **values: Any
) -> set[tuple[str, str, int]]:
    """Run a statement for those that are held, once a kind; returns the names of the leases that it found."""
    found: set[tuple[str, str, int]] = set()
    for kind in {lease.kind for lease in leases}:
        of_kind = [lease for lease in leases if lease.kind == kind]
        held = [f"{lease.ref}:{lease.token}" for lease in of_kind]
        these = {"of_kind": kind, "held": held, "refs": [lease.ref for lease in of_kind], **values}
        found |= {(kind, ref, token) for ref, token in connection.execute(statement, these)}
    return found


def _name(lease: Lease) -> tuple[str, str, int]:
    return lease.kind, lease.ref, lease.token


def _count(result: Any) -> int:
    rows: CursorResult[Any] = result
    return rows.rowcount
