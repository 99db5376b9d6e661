"""Alembic migrations of Custodes' own tables."""
