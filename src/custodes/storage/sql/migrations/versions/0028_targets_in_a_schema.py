"""On PostgreSQL the guard of what audit entries are found by asks for the entry in the schema that its own table is in.

It asked the first ``audit_logs`` of the session's ``search_path``: the host's, if that has one, where Custodes has a
schema of its own.

Revision ID: 0028_targets_in_a_schema
Revises: 0027_verdicts
"""

from __future__ import annotations

from alembic import op

revision = "0028_targets_in_a_schema"
down_revision = "0027_verdicts"
branch_labels = None
depends_on = None

_STAY = "audit_targets: what an entry is found by stays with it, as the trail is append-only"

_AFTER = f"""CREATE OR REPLACE FUNCTION custodes_audit_targets_go() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE is_there boolean;
    BEGIN
      EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I.audit_logs WHERE id = $1)', TG_TABLE_SCHEMA)
        INTO is_there USING OLD.entry_id;
      IF is_there THEN RAISE EXCEPTION '{_STAY}'; END IF;
      RETURN OLD;
    END $$"""  # noqa: S608 - words of ours

_BEFORE = f"""CREATE OR REPLACE FUNCTION custodes_audit_targets_go() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM audit_logs WHERE id = OLD.entry_id) THEN RAISE EXCEPTION '{_STAY}'; END IF;
      RETURN OLD;
    END $$"""  # noqa: S608 - words of ours


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_AFTER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_BEFORE)
