"""The migrations are one line: each follows the one before, and their numbers count on."""

import re
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from custodes.storage.sql.schema import alembic_config, known_revisions


def script() -> ScriptDirectory:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        found = ScriptDirectory.from_config(alembic_config(connection))
    engine.dispose()
    return found


def test_there_is_exactly_one_head():
    assert len(script().get_heads()) == 1


def test_numbers_are_consecutive_in_the_order_of_the_line():
    names = [revision.revision for revision in script().walk_revisions()][::-1]
    numbers = [int(re.match(r"\d{4}", name).group()) for name in names]  # type: ignore[union-attr]

    assert numbers == list(range(1, len(names) + 1))


def test_the_versions_that_are_read_off_the_files_are_those_that_alembic_finds():
    assert list(known_revisions()) == [revision.revision for revision in script().walk_revisions()][::-1]


#: The last migration before installs had rows in their tables.
LAST_WITH_EMPTY_TABLES = 13


def test_an_index_of_a_table_that_is_full_already_is_built_beside_those_who_write_it():
    """On PostgreSQL ``op.create_index`` keeps them all waiting: ``INDEXES`` and ``add`` do not."""
    for revision in script().walk_revisions():
        if int(revision.revision[:4]) > LAST_WITH_EMPTY_TABLES:
            text = Path(revision.path).read_text("utf-8")
            made = set(re.findall(r'op\.create_table\(\s*"(\w+)"', text))
            indexed = re.findall(r"op\.create_index\(\s*[^,]+,\s*(?:table_name=)?\"?(\w+)", text)
            assert set(indexed) <= made, revision.revision
            assert ("INDEXES" in text) == ("add(INDEXES)" in text), revision.revision
