"""Write the migration from the newest schema version to the tables in the code.

    .venv/bin/python scripts/migration.py 0002 "What it does"

Read what it wrote: triggers and data are not found by comparing tables. The test
``tests/integration/storage/test_migrations.py`` fails until migrations and tables say the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import warnings
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from custodes.storage.sql import schema

VERSIONS = Path(schema.__file__).parent / "migrations" / "versions"


def main() -> int:
    """Compare, write, format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", help="four digits, the next in line")
    parser.add_argument("message", help="what it does, in a few words")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # SQLite cannot reflect indexes of expressions; read what was written
    with create_engine("sqlite://").connect() as connection:
        config = schema.alembic_config(connection)
        if any(VERSIONS.glob("[0-9]*.py")):
            command.upgrade(config, "head")
        command.revision(config, arguments.message, autogenerate=True, rev_id=arguments.revision)
    written = next(VERSIONS.glob(f"{arguments.revision}_*.py"))
    for tool in (["ruff", "check", "--fix-only", "--quiet"], ["ruff", "format", "--quiet"]):
        subprocess.run([Path(sys.executable).parent / tool[0], *tool[1:], written], check=False)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
