"""The migrations are one line: each follows the one before, and their numbers count on."""

import re

from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from custodes.storage.sql.schema import alembic_config, known_revisions


def script() -> ScriptDirectory:
    with create_engine("sqlite://").connect() as connection:
        return ScriptDirectory.from_config(alembic_config(connection))


def test_there_is_exactly_one_head():
    assert len(script().get_heads()) == 1


def test_numbers_are_consecutive_in_the_order_of_the_line():
    names = [revision.revision for revision in script().walk_revisions()][::-1]
    numbers = [int(re.match(r"\d{4}", name).group()) for name in names]  # type: ignore[union-attr]

    assert numbers == list(range(1, len(names) + 1))


def test_the_versions_that_are_read_off_the_files_are_those_that_alembic_finds():
    assert list(known_revisions()) == [revision.revision for revision in script().walk_revisions()][::-1]
