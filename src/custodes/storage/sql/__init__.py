"""SQLAlchemy Core on SQLite and PostgreSQL: one text for both, dialect fast paths beside it."""
