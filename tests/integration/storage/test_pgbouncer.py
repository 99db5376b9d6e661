"""A whole install behind PgBouncer in transaction mode, with fewer server connections than it opens itself."""

from tests.servers.postgresql import PgBouncer, PostgresServer

from custodes import Custodes


async def test_every_plane_works_through_a_pooler(pgbouncer: PgBouncer, postgres_server: PostgresServer, exercise):
    custodes = Custodes(
        pgbouncer.url(postgres_server.new_database()),
        database_readers=6,
        database_writers=6,
        database_schema="watch",
        secret_key="k" * 32,
    )

    await exercise(custodes)
