"""The servers that other tests rely on."""

import psycopg
import pytest
from tests.servers import programs
from tests.servers.postgresql import Databases, PgBouncer, PostgresServer
from tests.servers.programs import NotFound, find
from tests.servers.redis import RedisCluster, RedisServer


def test_a_database_server_comes_back_after_a_crash_with_what_was_committed(postgres_server: PostgresServer):
    # Given a committed row, on a server of our own
    server = programs.required(lambda: PostgresServer(durable=True))
    assert isinstance(server, PostgresServer)
    try:
        with psycopg.connect(server.url("postgres")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

        # When it crashes and starts again
        server.kill()
        server.start()

        # Then the row is there
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    finally:
        server.remove()


def test_each_test_has_a_database_of_its_own(postgres_server: PostgresServer):
    assert postgres_server.new_database() != postgres_server.new_database()


#: What a test may do to a database beside rows.
ALTERED = (
    "ALTER TABLE leader_leases ADD COLUMN more TEXT",
    "ALTER TABLE leader_leases ALTER COLUMN owner SET DEFAULT 'me'",
    "ALTER TABLE leader_leases ALTER COLUMN owner DROP NOT NULL",
    "CREATE INDEX more ON leader_leases (owner)",
    "ALTER TABLE audit_logs DISABLE TRIGGER audit_logs_never_truncated",
    "CREATE OR REPLACE FUNCTION custodes_audit_stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE SCHEMA more",
)


def test_a_database_that_was_given_back_is_as_the_template_and_one_that_was_altered_is_not_used_again(
    postgres_server: PostgresServer, postgres_template: str
):
    databases = Databases(postgres_server, postgres_template)
    rows = "SELECT (SELECT count(*) FROM leader_leases), (SELECT min(version_num) <> 'x' FROM custodes_schema_version)"

    def use(name: str, *statements: str) -> tuple[object, ...] | None:
        with psycopg.connect(postgres_server.url(name)) as connection:
            found = connection.execute(rows.encode()).fetchone()
            for statement in statements:
                connection.execute(statement.encode())
        return found

    # Given rows that a test added and changed
    first = databases.take()
    assert use(
        first,
        "INSERT INTO leader_leases VALUES ('default', 'leader', 'me', 1, 1, 1)",
        "UPDATE custodes_schema_version SET version_num = 'x'",
    ) == (0, True)
    databases.give_back(first)

    # Then the next has none of it; when it alters something, the one after has another database
    second = databases.take()
    assert second == first
    used = {second}
    for altering in ALTERED:
        assert use(second, altering) == (0, True)
        databases.give_back(second)
        second = databases.take()
        assert second not in used, altering
        used.add(second)

    # And one in which somebody stayed is not used again
    with psycopg.connect(postgres_server.url(second)):
        databases.give_back(second)
    assert databases.take() not in used


def test_a_pooler_stands_before_the_server(pgbouncer: PgBouncer):
    with psycopg.connect(pgbouncer.url("postgres"), prepare_threshold=None) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_redis_forgets_when_told_to(redis_server: RedisServer):
    with redis_server.client() as client:
        client.set("a", 1)
        redis_server.flush()

        assert client.get("a") is None


def test_a_cluster_takes_keys_of_every_slot(redis_cluster: RedisCluster):
    from redis.cluster import RedisCluster as Client

    client = Client.from_url(redis_cluster.url, protocol=2)
    for number in range(20):
        client.set(f"key{number}", number)

    assert [int(client.get(f"key{number}")) for number in range(20)] == list(range(20))


def test_what_is_not_there_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch):
    # Given a machine with nothing, on which we may not install
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(programs, "_DEBIAN_POSTGRESQL", programs.Path("/nowhere"))

    with pytest.raises(NotFound, match="apt-get install postgresql"):
        find("postgres", "postgresql")


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_its_absence_is_a_skip_at_home_and_a_failure_in_ci(monkeypatch, ci: str, outcome: type[BaseException]):
    monkeypatch.setenv("CI", ci)

    def absent() -> object:
        raise NotFound("redis-server was not found")

    with pytest.raises(outcome, match="redis-server was not found"):
        programs.required(absent)
