"""What is wrong with a URL of PostgreSQL is said with how to mend it, and never with the password."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from tests.servers.postgresql import PostgresServer

from custodes import Custodes
from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.storage.sql.postgresql import checked


@pytest.fixture
def weak_url(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """URL of a database whose role owns nothing in it."""
    role = f"weak_{postgres_url.rpartition('_')[2]}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        yield postgres_url.replace("custodes@", f"{role}@")
        connection.execute(f"DROP ROLE {role}".encode())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://me:hunter2@host/db", "not one of PostgreSQL"),
        ("postgresql:/me:hunter2@host/db", "not one of PostgreSQL"),
        ("postgresql://me:hunter2@host:port/db", "not one of PostgreSQL"),
        ("postgresql://me:hunter2@host/db?sslmod=require", "options that PostgreSQL does not know: sslmod"),
    ],
)
def test_an_url_that_cannot_be_read_is_refused_before_anybody_connects(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        checked(url)

    assert caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_what_libpq_knows_may_be_in_it() -> None:
    assert checked("postgres://me@host/db?sslmode=require&options=-cwork_mem%3D8MB").query["sslmode"] == "require"


async def test_a_role_without_rights_is_told_what_it_needs(weak_url: str) -> None:
    """Given a role that may not read the tables; then what is asked says so, as of a store that cannot be had."""
    custodes = Custodes(weak_url, secret_key="k" * 32)
    try:
        with pytest.raises(StorageUnavailable, match="permission denied") as caught:
            await custodes.open()
        assert "own the tables" in caught.value.remedy
    finally:
        await custodes.close()
