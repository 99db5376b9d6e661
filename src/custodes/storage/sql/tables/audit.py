"""Tables of the audit trail (spec T4).

Sections are kept as canonical JSON (RFC 8785): the text that a later commitment is computed over is the text that is
stored. ``seq`` is the order in which the store took the entries: gap-free, never reused, and visible in that order. On
SQLite by AUTOINCREMENT, one writer, and no insert that may conflict; on PostgreSQL, whose sequences have gaps and whose
commits overtake each other, by the row of ``audit_sequence``, which is locked from the first entry to the commit.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import DDL, Boolean, Column, Index, SmallInteger, Table, TextClause, event, text

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Id, Micros, String, Tenant, Text

audit_logs = Table(
    "audit_logs",
    metadata,
    Column("seq", Count, primary_key=True, autoincrement=True),
    Column("id", Id, nullable=False, unique=True),
    Column("tenant_id", Tenant, nullable=False),
    Column("recorded_at", Micros, nullable=False),
    Column("occurred_at", Micros, nullable=False),
    Column("schema_version", SmallInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("action", String(100), nullable=False),
    Column("category", String(40), nullable=False),
    Column("outcome", String(16), nullable=False),
    # "type:id", for the index; names and the others involved are in `people`.
    Column("actor", String(250), nullable=False),
    Column("ip", String(64), nullable=False),
    Column("user_agent", String(256), nullable=False),
    Column("trace_id", String(64), nullable=False),
    Column("reason", Text(), nullable=False),
    Column("observer", String(200), nullable=False),
    Column("idempotency_key", String(200)),
    # Canonical JSON.
    Column("people", Text(), nullable=False),
    Column("targets", Text(), nullable=False),
    Column("changes", Text(), nullable=False),
    Column("context", Text(), nullable=False),
    Column("labels", Text(), nullable=False),
    Column("risk_score", SmallInteger, nullable=False),
    Column("risk_reasons", Text(), nullable=False),
    Column("flagged", Boolean, nullable=False),
    # What an attack repeats, and the entry whose review this one belongs to; NULL when there is none.
    Column("flag_key", String(320)),
    Column("flag_id", Id),
    # The review: what people made of it. NULL state: there is nothing to review.
    Column("review_state", String(16)),
    Column("review_assignee", String(200)),
    Column("review_note", Text()),
    Column("reviewed_by", String(250)),
    Column("reviewed_at", Micros),
    sqlite_autoincrement=True,
)

# An id is a UUIDv7 of `recorded_at`, so the order by id is the order by moment, and one column serves as both.
Index("ix_audit_logs_recent", audit_logs.c.tenant_id, audit_logs.c.id)
Index("ix_audit_logs_actor", audit_logs.c.tenant_id, audit_logs.c.actor, audit_logs.c.id)
Index("ix_audit_logs_action", audit_logs.c.tenant_id, audit_logs.c.action, audit_logs.c.id)


#: 1 for an entry with a review. As a column of the index of flagged entries it makes SQLite prefer that index, which is
#: short, to that of all entries, which has the same other columns.
HAS_REVIEW = "CASE WHEN review_state IS NULL THEN 0 ELSE 1 END"


def _partial(name: str, condition: str, *columns: Column[Any] | TextClause, unique: bool = False) -> None:
    """An index over the rows that a condition holds for."""
    where = text(condition)
    Index(name, audit_logs.c.tenant_id, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


_partial("ix_audit_logs_ip", "ip <> ''", audit_logs.c.ip, audit_logs.c.id)
_partial("ix_audit_logs_trace", "trace_id <> ''", audit_logs.c.trace_id, audit_logs.c.id)
_partial("ix_audit_logs_flagged", "review_state IS NOT NULL", text(f"({HAS_REVIEW})"), audit_logs.c.id)
_partial("ix_audit_logs_review", "review_state IS NOT NULL", audit_logs.c.review_state, audit_logs.c.id)
# All that the time to a verdict is told from, so that no entry is looked up for it.
_VERDICT = (audit_logs.c.id, audit_logs.c.review_state, audit_logs.c.reviewed_at, audit_logs.c.recorded_at)
_partial("ix_audit_logs_verdicts", "reviewed_at IS NOT NULL", *_VERDICT)
_partial("ix_audit_logs_flag_key", "review_state IS NOT NULL", audit_logs.c.flag_key, audit_logs.c.id)
_partial("ix_audit_logs_flag_id", "flag_id IS NOT NULL", audit_logs.c.flag_id, audit_logs.c.id)
_partial("uq_audit_logs_idempotency", "idempotency_key IS NOT NULL", audit_logs.c.idempotency_key, unique=True)

#: One row for each target of each entry: how entries are found by any of their targets.
audit_targets = Table(
    "audit_targets",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("target", String(250), primary_key=True),
    Column("entry_id", Id, primary_key=True),
    sqlite_with_rowid=False,
)

#: One row on PostgreSQL: the last place given. SQLite keeps the same in a table of its own.
audit_sequence = Table(
    "audit_sequence",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("last", Count, nullable=False),
)

#: Open while retention runs, within its transaction: the moment before which rows may be deleted. Otherwise empty.
audit_purge_window = Table(
    "audit_purge_window",
    metadata,
    Column("tenant_id", Tenant, primary_key=True),
    Column("before", Micros, nullable=False),
)

_REVIEW = ("review_state", "review_assignee", "review_note", "reviewed_by", "reviewed_at")
_REVIEWED = ", ".join(_REVIEW)
_RECORDED = ", ".join(column.name for column in audit_logs.columns if column.name not in _REVIEW)

#: An entry that nobody has decided about, or that belongs to such a one. In the guards, ``OLD`` is the entry.
_WAITING = "review_state IN ('open', 'acknowledged')"
_UNDECIDED = f"OLD.{_WAITING} OR EXISTS (SELECT 1 FROM audit_logs f WHERE f.id = OLD.flag_id AND f.{_WAITING})"  # noqa: S608 - words of ours

#: A step that a review may take (``planes/audit/reviews.py``): it names who and when, and what is decided is opened
#: before it is decided anew. In the guards, ``NEW`` is the entry with it.
_STEP = (
    "NEW.reviewed_at IS NOT NULL AND NEW.reviewed_by <> ''"
    " AND (NEW.review_state = 'open' OR OLD.review_state IN ('open', 'acknowledged')"
    " AND NEW.review_state IN ('acknowledged', 'true_positive', 'benign', 'false_positive'))"
)
_NO_STEP = "audit_logs: a review goes on step by step, and says who and when"

#: What an entry is found by goes with the entry, and not before it.
_TARGETS_STAY = "audit_targets: what an entry is found by stays with it, as the trail is append-only"

#: Guards of SQLite: what was recorded cannot be changed, and only retention deletes. They stop mistakes and careless
#: hands, not somebody who may drop triggers.
SQLITE_GUARDS = (
    f"""CREATE TRIGGER audit_logs_recorded_stays BEFORE UPDATE OF {_RECORDED} ON audit_logs
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: what was recorded cannot be changed'); END""",
    f"""CREATE TRIGGER audit_logs_only_retention_deletes BEFORE DELETE ON audit_logs
    WHEN {_UNDECIDED}
      OR NOT EXISTS (SELECT 1 FROM audit_purge_window WHERE before > OLD.recorded_at)
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: only retention deletes, and nothing unreviewed'); END""",  # noqa: S608 - words of ours
    f"""CREATE TRIGGER audit_logs_reviewed_step_by_step BEFORE UPDATE OF {_REVIEWED} ON audit_logs
    WHEN ({_STEP}) IS NOT TRUE BEGIN SELECT RAISE(ABORT, '{_NO_STEP}'); END""",
    # INSERT OR REPLACE takes away what is in its way without a trigger of deletes, unless `recursive_triggers` is on:
    # https://sqlite.org/lang_conflict.html.
    """CREATE TRIGGER audit_logs_nothing_is_replaced BEFORE INSERT ON audit_logs
    WHEN EXISTS (SELECT 1 FROM audit_logs WHERE seq = NEW.seq)
      OR EXISTS (SELECT 1 FROM audit_logs WHERE id = NEW.id)
      OR EXISTS (SELECT 1 FROM audit_logs WHERE tenant_id = NEW.tenant_id
                 AND idempotency_key = NEW.idempotency_key AND idempotency_key IS NOT NULL)
    BEGIN SELECT RAISE(ABORT, 'audit_logs is append-only: what was recorded cannot be replaced'); END""",
    f"""CREATE TRIGGER audit_targets_stay BEFORE UPDATE ON audit_targets
    BEGIN SELECT RAISE(ABORT, '{_TARGETS_STAY}'); END""",
    f"""CREATE TRIGGER audit_targets_go_with_their_entry BEFORE DELETE ON audit_targets
    WHEN EXISTS (SELECT 1 FROM audit_logs WHERE id = OLD.entry_id) BEGIN SELECT RAISE(ABORT, '{_TARGETS_STAY}'); END""",  # noqa: S608 - words of ours
)

#: The same guards on PostgreSQL.
POSTGRESQL_GUARDS = (
    """CREATE FUNCTION custodes_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit_logs is append-only: what was recorded cannot be changed'; END $$""",
    f"""CREATE TRIGGER audit_logs_recorded_stays BEFORE UPDATE OF {_RECORDED} ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_stays()""",
    f"""CREATE FUNCTION custodes_audit_retention() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF {_UNDECIDED}
        OR NOT EXISTS (SELECT 1 FROM audit_purge_window WHERE before > OLD.recorded_at)
      THEN RAISE EXCEPTION 'audit_logs is append-only: only retention deletes, and nothing unreviewed'; END IF;
      RETURN OLD;
    END $$""",  # noqa: S608 - words of ours
    """CREATE TRIGGER audit_logs_only_retention_deletes BEFORE DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_retention()""",
    """CREATE TRIGGER audit_logs_never_truncated BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION custodes_audit_stays()""",
    f"""CREATE FUNCTION custodes_audit_review() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_NO_STEP}'; END $$""",
    f"""CREATE TRIGGER audit_logs_reviewed_step_by_step BEFORE UPDATE OF {_REVIEWED} ON audit_logs
    FOR EACH ROW WHEN (({_STEP}) IS NOT TRUE) EXECUTE FUNCTION custodes_audit_review()""",
    f"""CREATE FUNCTION custodes_audit_targets_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_TARGETS_STAY}'; END $$""",
    """CREATE TRIGGER audit_targets_stay BEFORE UPDATE OR TRUNCATE ON audit_targets
    FOR EACH STATEMENT EXECUTE FUNCTION custodes_audit_targets_stay()""",
    # In its own schema: the first ``audit_logs`` of the session's search_path may be the host's, without that entry.
    f"""CREATE FUNCTION custodes_audit_targets_go() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE is_there boolean;
    BEGIN
      EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.audit_logs WHERE id = $1)', TG_TABLE_SCHEMA)
        INTO is_there USING OLD.entry_id;
      IF is_there THEN RAISE EXCEPTION '{_TARGETS_STAY}'; END IF;
      RETURN OLD;
    END $$""",  # noqa: S608 - words of ours
    """CREATE TRIGGER audit_targets_go_with_their_entry BEFORE DELETE ON audit_targets
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_targets_go()""",
)

for _dialect, _guards in (("sqlite", SQLITE_GUARDS), ("postgresql", POSTGRESQL_GUARDS)):
    for _guard in _guards:
        # After both: some are on the one, and ask the other.
        event.listen(audit_targets, "after_create", DDL(_guard.replace("%", "%%")).execute_if(dialect=_dialect))
