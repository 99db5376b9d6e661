"""A guard of reviews: they go on step by step, and each step says who took it and when.

Processes of the version before take such steps only. The trigger is made in an instant; what was reviewed before stays as
it is.

Revision ID: 0015_reviews_step_by_step
Revises: 0014_sums_and_ages
"""

from __future__ import annotations

from alembic import op

revision = "0015_reviews_step_by_step"
down_revision = "0014_sums_and_ages"
branch_labels = None
depends_on = None

_SQLITE = """CREATE TRIGGER audit_logs_reviewed_step_by_step BEFORE UPDATE OF review_state, review_assignee, review_note, reviewed_by, reviewed_at ON audit_logs
    WHEN (NEW.reviewed_at IS NOT NULL AND NEW.reviewed_by <> '' AND (NEW.review_state = 'open' OR OLD.review_state IN ('open', 'acknowledged') AND NEW.review_state IN ('acknowledged', 'true_positive', 'benign', 'false_positive'))) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'audit_logs: a review goes on step by step, and says who and when'); END"""

_POSTGRESQL = (
    """CREATE FUNCTION custodes_audit_review() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'audit_logs: a review goes on step by step, and says who and when'; END $$""",
    """CREATE TRIGGER audit_logs_reviewed_step_by_step BEFORE UPDATE OF review_state, review_assignee, review_note, reviewed_by, reviewed_at ON audit_logs
    FOR EACH ROW WHEN ((NEW.reviewed_at IS NOT NULL AND NEW.reviewed_by <> '' AND (NEW.review_state = 'open' OR OLD.review_state IN ('open', 'acknowledged') AND NEW.review_state IN ('acknowledged', 'true_positive', 'benign', 'false_positive'))) IS NOT TRUE) EXECUTE FUNCTION custodes_audit_review()""",
)


def upgrade() -> None:
    for statement in _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else (_SQLITE,):
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_logs_reviewed_step_by_step ON audit_logs")
        op.execute("DROP FUNCTION custodes_audit_review()")
    else:
        op.execute("DROP TRIGGER audit_logs_reviewed_step_by_step")
