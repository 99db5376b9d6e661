"""Guards of what audit entries are found by: it goes with its entry, and not before it.

Revision ID: 0026_targets_stay
Revises: 0025_figures_by_time
"""

from __future__ import annotations

from alembic import op

revision = "0026_targets_stay"
down_revision = "0025_figures_by_time"
branch_labels = None
depends_on = None

_STAY = "audit_targets: what an entry is found by stays with it, as the trail is append-only"

SQLITE = (
    f"""CREATE TRIGGER audit_targets_stay BEFORE UPDATE ON audit_targets
    BEGIN SELECT RAISE(ABORT, '{_STAY}'); END""",
    f"""CREATE TRIGGER audit_targets_go_with_their_entry BEFORE DELETE ON audit_targets
    WHEN EXISTS (SELECT 1 FROM audit_logs WHERE id = OLD.entry_id) BEGIN SELECT RAISE(ABORT, '{_STAY}'); END""",  # noqa: S608 - words of ours
)

POSTGRESQL = (
    f"""CREATE FUNCTION custodes_audit_targets_stay() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_STAY}'; END $$""",
    """CREATE TRIGGER audit_targets_stay BEFORE UPDATE OR TRUNCATE ON audit_targets
    FOR EACH STATEMENT EXECUTE FUNCTION custodes_audit_targets_stay()""",
    f"""CREATE FUNCTION custodes_audit_targets_go() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM audit_logs WHERE id = OLD.entry_id) THEN RAISE EXCEPTION '{_STAY}'; END IF;
      RETURN OLD;
    END $$""",  # noqa: S608 - words of ours
    """CREATE TRIGGER audit_targets_go_with_their_entry BEFORE DELETE ON audit_targets
    FOR EACH ROW EXECUTE FUNCTION custodes_audit_targets_go()""",
)


def upgrade() -> None:
    for guard in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(guard)


def downgrade() -> None:
    on = "" if op.get_bind().dialect.name == "sqlite" else " ON audit_targets"
    for name in ("audit_targets_stay", "audit_targets_go_with_their_entry"):
        op.execute(f"DROP TRIGGER {name}{on}")
    if on:
        op.execute("DROP FUNCTION custodes_audit_targets_stay")
        op.execute("DROP FUNCTION custodes_audit_targets_go")
