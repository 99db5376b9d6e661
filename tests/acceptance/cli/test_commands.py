"""The command line, against a real database."""

import asyncio
import json
import os
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.markup import escape
from typer.testing import CliRunner, Result

from custodes import Custodes
from custodes.cli import console, serve
from custodes.cli.console import write_fields, write_table
from custodes.cli.export import Kind
from custodes.cli.main import COMMANDS, app
from custodes.cli.moments import moment
from custodes.errors import (
    ConfigurationError,
    CustodesError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    SignatureRefused,
)
from custodes.kernel.clock import DAY, HOUR
from custodes.planes.inbound.model import Status
from custodes.planes.inbound.rotation_model import SecretUse
from custodes.runtime.system_clock import SystemClock
from custodes.storage.sql.schema import known_revisions
from custodes.testing.webhooks import signed_webhook


@pytest.fixture
def url(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUSTODES_DATABASE_URL", sqlite_url)
    return sqlite_url


def run(*words: str, expect: int = 0) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == expect, result.output
    return result


def without(monkeypatch: pytest.MonkeyPatch, missing: str, *importers: str) -> None:
    """Have a package be one that is not installed, for whatever imports it from now on."""
    for name in [name for name in sys.modules if name.split(".")[0] == missing or name.startswith(importers)]:
        package, _, module = name.rpartition(".")
        if hasattr(sys.modules.get(package), module):  # importing it anew puts another one there: that is undone, too
            monkeypatch.setattr(sys.modules[package], module, sys.modules[name])
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)


def run_json(*words: str):
    return json.loads(run(*words, "--json").stdout)


def with_custodes(url: str, action):
    async def opened():
        custodes = Custodes(url)
        await custodes.open()
        try:
            return await action(custodes)
        finally:
            await custodes.close()

    return asyncio.run(opened())


def audited(url: str) -> list[tuple[str, str]]:
    path = url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT action, actor FROM audit_logs ORDER BY recorded_at").fetchall()
    connection.close()
    return rows


class TestMigrate:
    def test_check_says_what_is_to_do_and_migrate_does_it(self, url: str):
        Path(url.removeprefix("sqlite:///")).unlink()
        assert run_json_failing("migrate", "--check") != {"pending": []}

        assert run_json("migrate")["applied"]

        assert run_json("migrate", "--check") == {"pending": []}


def run_json_failing(*words: str):
    return json.loads(run(*words, "--json", expect=1).stdout)


#: What only looks, and what changes what is there.
LOOKS = [
    ("status",), ("user", "list"), ("audit", "list"), ("alerts", "list"), ("export", "audit-logs"),
    ("blocks", "add", "203.0.113.7", "--reason", "x"), ("retention", "run"),
]  # fmt: skip


class TestWithoutAnInstall:
    """Given the wrong folder, as at 3 a.m.; when a command is run there; then it says so and leaves nothing behind."""

    @pytest.fixture
    def nowhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "wrong"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    @pytest.mark.parametrize("words", LOOKS, ids=" ".join)
    def test_it_names_the_full_path_and_makes_none(self, nowhere: Path, words: tuple[str, ...]):
        with pytest.raises(ConfigurationError, match=f"no install of Custodes at {nowhere}/custodes.db"):
            CliRunner().invoke(app, words, catch_exceptions=False)

        assert list(nowhere.iterdir()) == []

    def test_nor_in_a_file_of_another_program(self, nowhere: Path):
        theirs = nowhere / "theirs.db"
        connection = sqlite3.connect(theirs)
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.close()
        before = theirs.read_bytes()

        with pytest.raises(ConfigurationError, match="no install"):
            CliRunner().invoke(app, ["status", "--database", "sqlite:///theirs.db"], catch_exceptions=False)
        run("doctor", "--database", "sqlite:///theirs.db")

        assert theirs.read_bytes() == before
        assert list(nowhere.iterdir()) == [theirs]

    def test_nor_in_a_file_that_is_no_database(self, nowhere: Path):
        """When it is looked at, and migrated, then each says so in a sentence; the doctor goes on with what it can."""
        notes = nowhere / "notes.txt"
        notes.write_text("no database, and longer than the header of one would be: " * 4)
        before = notes.read_bytes()

        for words in (["status"], ["migrate"]):
            with pytest.raises(ConfigurationError, match="is not an SQLite database"):
                CliRunner().invoke(app, [*words, "--database", "sqlite:///notes.txt"], catch_exceptions=False)
        found = {row["area"]: row["verdict"] for row in run_json_failing("doctor", "--database", "sqlite:///notes.txt")}

        assert (found["database"], found["webhooks"]) == ("failure", "ok")
        assert notes.read_bytes() == before

    def test_nor_where_none_can_be(self, nowhere: Path):
        """Given a folder of the name, or a file where a folder would be, Then the doctor says why there can be none."""
        (nowhere / "folder.db").mkdir()
        (nowhere / "file").touch()
        with pytest.raises(ConfigurationError, match="is a folder"):
            CliRunner().invoke(app, ["migrate", "--database", "sqlite:///folder.db"], catch_exceptions=False)

        for url, why in (("sqlite:///folder.db", "it is a folder"), ("sqlite:///file/x.db", "file is no folder")):
            found = {row["area"]: row for row in run_json_failing("doctor", "--database", url)}
            assert found["database"]["verdict"] == "failure"
            assert why in found["database"]["text"]

    def test_a_migration_makes_the_folder_and_a_file_that_only_its_owner_reads(self, nowhere: Path):
        assert run_json("migrate", "--database", "sqlite:///deep/down/custodes.db")["applied"]

        assert (nowhere / "deep/down/custodes.db").stat().st_mode & 0o077 == 0

    def test_the_doctor_and_a_check_look_and_make_none(self, nowhere: Path):
        found = {row["area"]: row for row in run_json("doctor")}
        assert run_json_failing("migrate", "--check")["pending"]

        assert found["database"]["verdict"] == "warning"
        assert str(nowhere / "custodes.db") in found["database"]["text"]
        assert list(nowhere.iterdir()) == []

    def test_the_first_user_makes_one(self, nowhere: Path):
        run("user", "add", "ada", "--role", "owner")

        assert [user["subject"] for user in run_json("user", "list")] == ["ada"]

    def test_what_only_looks_does_not_migrate(self, url: str):
        """Given the database of an older version, which serves; when a newer command looks; then it stays as it is."""
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("UPDATE custodes_schema_version SET version_num = ?", known_revisions()[:1])
        connection.commit()

        with pytest.raises(ConfigurationError, match=r"older than this version.*Run custodes migrate"):
            CliRunner().invoke(app, ["status"], catch_exceptions=False)

        assert connection.execute("SELECT version_num FROM custodes_schema_version").fetchone() == known_revisions()[:1]
        connection.close()


class TestKeys:
    def test_a_key_for_a_program_is_made_shown_once_and_withdrawn(self, url: str):
        # Given a profile for a program of one tenant
        run("user", "add", "shop", "--issuer", "host", "--role", "member", "--tenant", "acme")

        # When a key of it is made
        made = run_json("user", "key", "create", "shop", "--issuer", "host", "--name", "backend", "--days", "30")

        # Then it is that profile's, and is listed without the secret
        who = with_custodes(url, lambda custodes: custodes.identity.principal_of_key(made["key"]))
        assert (who.subject, who.role, who.tenant) == ("shop", "member", "acme")
        [listed] = run_json("user", "key", "list")
        assert (listed["id"], listed["name"], listed["revoked_at"]) == (made["id"], "backend", None)
        assert made["key"] not in run("user", "key", "list", "shop", "--issuer", "host").stdout
        assert "key_hash" not in listed

        # And once withdrawn it opens nothing, and the trail knows of both
        run("user", "key", "revoke", made["id"], "--reason", "left")
        assert with_custodes(url, lambda custodes: custodes.identity.principal_of_key(made["key"])) is None
        assert "revoked" in run("user", "key", "list").stdout
        actions = dict(audited(url))
        assert actions["api_key.created"] == actions["api_key.revoked"]
        assert actions["api_key.created"].startswith("cli:")
        kept = run_json("audit", "list", "--tenant", "acme", "--target", f"api_key:{made['id']}")
        assert [entry["action"] for entry in kept] == ["api_key.revoked", "api_key.created"]

    def test_a_key_does_no_more_than_its_profile(self, url: str):
        run("user", "add", "shop", "--issuer", "host", "--role", "member")

        words = ["user", "key", "create", "shop", "--issuer", "host", "--role", "owner"]
        with pytest.raises(PermissionDenied):
            CliRunner().invoke(app, words, catch_exceptions=False)


class TestUser:
    def test_a_new_owner_gets_a_one_time_password(self, url: str):
        made = run_json("user", "add", "ada", "--role", "owner")

        assert len(made["one_time_password"]) >= 16
        assert [user["subject"] for user in run_json("user", "list")] == ["ada"]

    def test_somebody_of_an_issuer_has_no_password_here(self, url: str):
        made = run_json("user", "add", "user_2abc", "--issuer", "https://clerk.example.com")

        assert made["one_time_password"] is None

    def test_a_change_of_role_is_audited_with_who_did_it(self, url: str):
        run("user", "add", "ada", "--role", "owner")
        run("user", "add", "bob")

        run("user", "role", "bob", "owner")

        assert {user["subject"]: user["role"] for user in run_json("user", "list")} == {"ada": "owner", "bob": "owner"}
        actions = audited(url)
        assert [action for action, _ in actions] == [
            "user_profile.created",
            "user_profile.created",
            "role.changed",
        ]
        assert all(actor.startswith("cli:") for _, actor in actions)

    def test_the_last_owner_stays_owner(self, url: str):
        run("user", "add", "ada", "--role", "owner")

        with pytest.raises(CustodesError, match="last owner"):
            CliRunner().invoke(app, ["user", "role", "ada", "member"], catch_exceptions=False)

    def test_somebody_is_kept_out_and_let_in_again(self, url: str):
        run("user", "add", "ada", "--role", "owner")
        run("user", "add", "bob")

        kept_out = run_json("user", "disable", "bob", "--reason", "has left")
        assert kept_out["state"] == "disabled"
        assert {user["subject"]: user["state"] for user in run_json("user", "list")}["bob"] == "disabled"
        assert run_json("user", "enable", "bob")["state"] == "active"

        assert [action for action, _ in audited(url)][-2:] == ["user.disabled", "user.enabled"]
        [entry] = run_json("audit", "list", "--action", "user.disabled")
        assert entry["reason"] == "has left"

    def test_the_last_owner_is_not_kept_out(self, url: str):
        run("user", "add", "ada", "--role", "owner")

        with pytest.raises(CustodesError, match="last owner"):
            CliRunner().invoke(app, ["user", "disable", "ada"], catch_exceptions=False)

    def test_a_lost_password_is_replaced(self, url: str):
        first = run_json("user", "add", "ada", "--role", "owner")["one_time_password"]

        assert run_json("user", "reset-password", "ada")["one_time_password"] != first


class TestReplay:
    @staticmethod
    def dead_events(url: str, count: int) -> list[str]:
        async def action(custodes: Custodes) -> list[str]:
            events = [
                await custodes.inbound.log_webhook_event(
                    "stripe", "invoice.paid", b"{}", event_id=f"evt_{number}", status=Status.DEAD
                )
                for number in range(count)
            ]
            return [event.id for event in events]

        return with_custodes(url, action)

    @staticmethod
    def states(url: str) -> list[str]:
        async def action(custodes: Custodes) -> list[str]:
            return [str(event.status) for event in (await custodes.inbound.list_events()).items]

        return with_custodes(url, action)

    def test_one_event(self, url: str):
        event, other = self.dead_events(url, 2)

        assert run_json("replay", event) == {"events": 1, "skipped": 0, "dry_run": False}

        assert sorted(self.states(url)) == ["dead", "received"]
        del other

    def test_a_selection_dry_and_for_real(self, url: str):
        self.dead_events(url, 3)

        assert run_json("replay", "--status", "dead", "--dry-run")["events"] == 3
        assert self.states(url) == ["dead"] * 3

        assert run_json("replay", "--status", "dead", "--since", "1h")["events"] == 3
        assert self.states(url) == ["received"] * 3

    def test_nothing_named_is_refused_instead_of_replaying_everything(self, url: str):
        with pytest.raises(InvalidInput, match="which events"):
            CliRunner().invoke(app, ["replay"], catch_exceptions=False)


class TestExport:
    def test_the_trail_as_ndjson_and_csv_and_the_export_itself_is_in_it(self, url: str, tmp_path: Path):
        run("user", "add", "ada", "--role", "owner")

        lines = run("export", "audit-logs", "--output", str(tmp_path / "out.ndjson"))
        del lines

        rows = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
        assert {row["action"] for row in rows} >= {"user_profile.created"}
        run("export", "audit-logs", "--format", "csv", "--output", str(tmp_path / "out.csv"))
        assert "data.exported" in (tmp_path / "out.csv").read_text()

    def test_a_file_that_cannot_be_written_is_said_before_anything_is_exported(self, url: str, tmp_path: Path):
        with pytest.raises(InvalidInput, match="cannot be written: No such file"):
            CliRunner().invoke(
                app, ["export", "audit-logs", "--output", str(tmp_path / "no" / "out")], catch_exceptions=False
            )

        assert len(run("export", "audit-logs").stdout.splitlines()) == 1  # of this export

    def test_a_value_that_a_spreadsheet_would_run_is_disarmed(self, url: str, tmp_path: Path):
        async def action(custodes: Custodes) -> None:
            await custodes.inbound.log_webhook_event("stripe", "=HYPERLINK(1)", b"{}", event_id="evt_1")

        with_custodes(url, action)

        run("export", "webhook-events", "--format", "csv", "--output", str(tmp_path / "out.csv"))

        assert "'=HYPERLINK(1)" in (tmp_path / "out.csv").read_text()

    def test_each_kind_is_exported_and_the_trail_says_what_was_asked_for(self, url: str):
        async def action(custodes: Custodes) -> None:
            custodes.metrics.count("orders.created", 2, labels={"plan": "pro"})
            await custodes.metrics.flush()
            await custodes.ratelimit.block_identifier("bob", "user", reason="abuse", actor="user:1")
            await custodes.ratelimit.add_to_list("deny", "mallory", "user", reason="abuse", actor="user:1")
            await custodes.outbound.emit("order.shipped", {"card": "4242"})
            forged = signed_webhook("stripe", b'{"card": "4242"}', "whsec_of_nobody", now=custodes.clock.now())
            custodes.source("stripe", ["whsec_" + "a" * 32])
            with pytest.raises(SignatureRefused):
                await custodes.inbound.receive(
                    custodes.inbound.source("stripe"),
                    forged.request,
                    trace_id="b" * 32,
                    client_ip="203.0.113.9",
                )
            await custodes.inbound.flush()

        with_custodes(url, action)

        whole = {Kind.BLOCKS, Kind.RATE_LIMIT_LISTS, Kind.USER_PROFILES, Kind.WEBHOOK_MESSAGES}
        since = {kind: [] if kind in whole else ["--since", "2h"] for kind in Kind}
        found = {kind: run("export", kind, *since[kind]).stdout.splitlines() for kind in Kind}

        [metric] = [json.loads(line) for line in found[Kind.SYSTEM_METRICS]]
        assert (metric["name"], metric["count"], metric["total"]) == ("orders.created", 1, 2)
        assert [json.loads(line)["identifier"] for line in found[Kind.BLOCKS]] == ["bob"]
        assert [json.loads(line)["identifier"] for line in found[Kind.RATE_LIMIT_LISTS]] == ["mallory"]
        [emitted] = [json.loads(line) for line in found[Kind.WEBHOOK_MESSAGES]]
        assert emitted["event_type"] == "order.shipped"
        assert "headers" not in emitted
        [refused] = [json.loads(line) for line in found[Kind.WEBHOOK_REFUSALS]]
        assert refused["source"] == "stripe"
        assert not {"headers", "body_head"} & refused.keys()
        told = [json.loads(line) for line in run("export", "audit-logs").stdout.splitlines()]
        exports = [entry for entry in told if entry["action"] == "data.exported"][1:]
        assert {entry["targets"][0]["id"] for entry in exports} == set(Kind)
        for entry in exports:
            asked = entry["context"]["extra"]
            assert asked["format"] == "ndjson"
            kind = entry["targets"][0]["id"]
            assert set(asked["filters"]) == ({"tenant"} if kind in whole else {"since", "tenant"})
        for kind, rows in found.items():
            head = run("export", kind, *since[kind], "--format", "csv").stdout.splitlines()[0].split(",")
            assert all(list(json.loads(row)) == head for row in rows), kind

    def test_a_table_of_nothing_has_its_head(self, url: str):
        run("migrate")

        [head] = run("export", "webhook-refusals", "--format", "csv").stdout.splitlines()

        assert {"id", "source", "reason"} < set(head.split(","))

    def test_what_would_not_be_applied_is_refused_before_anything_is_written(self, url: str, tmp_path: Path):
        kept = tmp_path / "kept.ndjson"
        kept.write_text("what was there")
        for words in (["blocks", "--since", "2h"], ["api-errors", "--until", "2h"], ["alerts", "--tenant", "b b"]):
            with pytest.raises(InvalidInput):
                CliRunner().invoke(app, ["export", *words, "--output", str(kept)], catch_exceptions=False)

        assert kept.read_text() == "what was there"


class TestRetention:
    def test_a_dry_run_counts_and_deletes_nothing(self, url: str):
        runs = run_json("retention", "run", "--dry-run")

        assert {done["policy"] for done in runs} >= {"inbound.events", "traffic.calls"}
        assert all(done["dry_run"] and done["removed"] == 0 for done in runs)
        assert all(done["before"].endswith("Z") for done in runs), "moments are written as the admin API writes them"

    def test_a_run_is_audited(self, url: str):
        run("retention", "run")

        assert "retention.run" in [action for action, _ in audited(url)]

    def test_a_run_shows_who_waits_how_far_it_is_and_programs_nothing_of_it(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(console.err, "_force_terminal", True)
        monkeypatch.setattr(console.err, "is_interactive", True)

        result = run("retention", "run", "--json")

        assert "retention.runs" in result.stderr
        assert {done["policy"] for done in json.loads(result.stdout)} >= {"inbound.events", "retention.runs"}

    def test_the_policies_are_listed_with_how_long_they_keep(self, url: str):
        policies = {row["policy"]: row["keep"] for row in run_json("retention", "list")}

        assert policies["inbound.events"] == "30 days"
        assert policies["traffic.calls"] == "7 days"


class TestDoctor:
    def test_a_fresh_install_works_and_has_things_to_look_at(self, url: str):
        run("migrate")

        findings = {row["area"]: row for row in run_json("doctor")}

        assert findings["database"]["verdict"] in {"ok", "warning"}
        assert findings["sign-in"]["verdict"] == "warning"

    def test_a_proxy_setting_that_trusts_everybody_is_a_failure(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("CUSTODES_TRUSTED_PROXIES", "0.0.0.0/0")
        run("migrate")

        findings = run_json_failing("doctor")

        assert any(row["area"] == "proxies" and row["verdict"] == "failure" for row in findings)

    def test_a_source_that_no_process_handles_is_a_warning(self, url: str, monkeypatch: pytest.MonkeyPatch):
        """Given a process with a handler for one of two sources, then the other one's webhooks are only kept."""
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_canary")
        monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "canary")
        custodes = Custodes(url)
        custodes.webhook("stripe")(lambda _event: None)

        async def live() -> None:
            await custodes.open()
            await custodes.inbound.roster.beat()
            await custodes.close()

        asyncio.run(live())

        found = [(row["verdict"], row["text"]) for row in run_json("doctor") if row["area"] == "handlers"]

        assert found == [
            ("warning", "no process has a handler for github: its webhooks are kept, and not handled"),
            ("ok", "processes handle webhooks of stripe"),
        ]

    def test_secrets_in_rotation_are_told(self, url: str, monkeypatch: pytest.MonkeyPatch):
        """Given processes whose senders have changed over, or have not: one secret can go, one is waited for."""
        at = SystemClock().now()
        uses = [
            SecretUse("default", "github", "00000001", 0, at - 3 * DAY, at, None),
            SecretUse("default", "github", "00000002", 1, at - 3 * DAY, at, at - HOUR * 5),
            SecretUse("default", "stripe", "00000003", 0, at - 30 * DAY, at, at - HOUR * 5),
            SecretUse("default", "stripe", "00000004", 1, at - 30 * DAY, at, at - 9 * DAY - HOUR),
            SecretUse("default", "stripe", "00000005", 2, at - 30 * DAY, at - DAY, at - 9 * DAY),
        ]

        async def said() -> None:
            custodes = Custodes(url)
            await custodes.open()
            await custodes.database.write(lambda tx: custodes.inbound.rotation.put(tx, uses))
            await custodes.close()

        asyncio.run(said())

        found = [
            (row["verdict"], row["text"], row["remedy"])
            for row in run_json("doctor")
            if row["area"] == "webhook secrets"
        ]

        assert found == [
            (
                "warning",
                (
                    "github: secret 1 of 2 (00000001) has signed nothing since it was first seen, 3 d ago: "
                    "the sender still signs with an older one"
                ),
                "Have the sender sign webhooks of github with the newest secret",
            ),
            (
                "ok",
                "stripe: secret 2 of 2 (00000004) last signed 9 d ago: can be removed",
                "Take it from the secrets of stripe",
            ),
        ]

    def test_forwarding_to_where_it_may_not_is_a_failure(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_canary")
        monkeypatch.setenv("CUSTODES_FORWARD_TO", "stripe=http://localhost:8000/hooks,github=https://127.0.0.1/hooks")
        run("migrate")

        refused = [row["text"] for row in run_json_failing("doctor") if row["area"] == "forwarding"]
        monkeypatch.setenv("CUSTODES_OUTGOING_ALLOW_NETWORKS", "127.0.0.1/32,::1/128")
        allowed = [row["verdict"] for row in run_json_failing("doctor") if row["area"] == "forwarding"]

        assert [("not allowed" in text, "no source github" in text) for text in refused] == [
            (True, False),
            (False, True),
        ]
        assert allowed == ["ok", "failure"]

    def test_an_alert_sink_that_may_not_be_reached_is_a_failure(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("CUSTODES_ALERT_URLS", "http://10.0.0.5/canary-token, https://93.184.216.34/alerts")

        refused, other = (row for row in run_json_failing("doctor") if row["area"] == "alerts")

        assert (refused["verdict"], other["verdict"]) == ("failure", "ok")
        assert "webhook:10.0.0.5" in refused["text"]
        assert "canary" not in refused["text"]
        assert "CUSTODES_OUTGOING_ALLOW_NETWORKS" in refused["remedy"]

    # On Python below 3.13 apprise itself imports a deprecated module of the standard library.
    @pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
    def test_only_places_that_alerts_reach_are_counted(self, url: str, monkeypatch: pytest.MonkeyPatch):
        """Given one that may not be reached and one with a password; when one is left, and none, then so it says."""
        with_password = "https://user:canary@93.184.216.34/alerts"

        monkeypatch.setenv("CUSTODES_ALERT_URLS", f"http://10.0.0.5/x,{with_password}")
        some = run_json_failing("doctor")
        monkeypatch.setenv("CUSTODES_ALERT_URLS", "http://10.0.0.5/x")
        none = run_json_failing("doctor")
        monkeypatch.setenv("CUSTODES_ALERT_URLS", f"{with_password},nosuch://canary")
        unusable = run_json_failing("doctor")

        def told(rows: list[dict[str, str]]) -> list[tuple[str, str]]:
            return [(row["verdict"], row["text"]) for row in rows if "alerts" in row["area"]]

        assert [verdict for verdict, _ in told(some)] == ["failure", "ok"]
        assert "they go to 1 place and to the log" in told(some)[1]
        assert [verdict for verdict, _ in told(none)] == ["failure"]
        assert told(unusable) == []
        assert ["apprise:nosuch" in row["text"] for row in unusable if row["verdict"] == "failure"] == [True]

    def test_misspelt_variables_and_figures_are_named_with_the_nearest(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("CUSTODES_TRUSTED_PROXYS", "10.0.0.0/8")
        monkeypatch.setenv("CUSTODES_HEALTH_THRESHOLDS", "api.eror_rate=0.1:0.2")

        found = {row["area"]: (row["verdict"], row["text"]) for row in run_json("doctor")}

        assert found["environment"][0] == found["health thresholds"][0] == "warning"
        assert "did you mean CUSTODES_TRUSTED_PROXIES" in found["environment"][1]
        assert "did you mean error_rate" in found["health thresholds"][1]

    def test_what_is_forwarded_by_another_process_only_is_a_warning(self, url: str, monkeypatch: pytest.MonkeyPatch):
        with_custodes(url, lambda custodes: custodes.outbound.forward_to("stripe", "https://app.example.com/hooks"))

        [found] = [row for row in run_json("doctor") if row["area"] == "forwarding"]

        assert found["verdict"] == "warning"
        assert "webhooks of stripe are forwarded by another process" in found["text"]
        assert "CUSTODES_FORWARD_TO" in found["remedy"]

    def test_where_limits_count_is_said_and_a_redis_that_is_gone_is_a_failure(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ):
        run("migrate")
        in_memory = {row["area"]: row for row in run_json("doctor")}["limits"]
        monkeypatch.setenv("CUSTODES_REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setenv("CUSTODES_SECRET_KEY", "s" * 32)
        areas = {row["area"]: row for row in run_json_failing("doctor")}
        gone = areas["limits"]

        assert (in_memory["verdict"], gone["verdict"]) == ("ok", "failure")
        assert "each worker" in in_memory["text"]
        assert gone["text"] == "count in Redis, which cannot: nobody listens at its address"
        assert "health of rate_limits" not in areas, "of which this process has seen nothing"
        assert "CUSTODES_REDIS_URL" in gone["remedy"]

    @pytest.mark.parametrize(
        ("variable", "value", "area", "words"),
        [
            ("CUSTODES_TRUSTED_PROXIES", "foo", "proxies", "foo"),
            ("CUSTODES_WEBHOOK_IP_LIMIT", "6000/fortnight", "limits", "CUSTODES_WEBHOOK_IP_LIMIT"),
        ],
    )
    def test_a_setting_that_cannot_be_read_is_a_failure(
        self, url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, area: str, words: str
    ):
        run("migrate")
        monkeypatch.setenv(variable, value)

        found = [row for row in run_json_failing("doctor") if row["area"] == area and row["verdict"] == "failure"]

        assert words in found[0]["text"]
        assert found[0]["remedy"]

    @pytest.mark.parametrize(
        ("variable", "value", "area"),
        [
            ("CUSTODES_SECRET_KEY", "short", "secrets"),
            ("CUSTODES_OUTGOING_PORTS", "443,abc", "settings"),
            ("CUSTODES_ALERT_WEBHOOK_SECRET", "short", "settings"),
        ],
    )
    def test_a_setting_that_keeps_several_parts_from_being_made_is_said_once(
        self, url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, area: str
    ):
        run("migrate")
        monkeypatch.setenv(variable, value)

        failures = [row for row in run_json_failing("doctor") if row["verdict"] == "failure"]

        assert [row["area"] for row in failures] == [area]
        assert failures[0]["remedy"]

    def test_redis_without_its_extra_is_a_failure_that_says_what_to_install(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ):
        run("migrate")
        monkeypatch.setenv("CUSTODES_REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setenv("CUSTODES_SECRET_KEY", "s" * 32)
        without(monkeypatch, "hiredis", "custodes.storage.redis")

        remedies = {row["remedy"] for row in run_json_failing("doctor") if row["verdict"] == "failure"}

        assert 'pip install "custodes[redis]"' in remedies

    def test_no_secret_is_shown(self, url: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_canary")
        monkeypatch.setenv("CUSTODES_ALERT_URLS", "https://canary@example.com/hook")
        run("migrate")

        assert "canary" not in CliRunner().invoke(app, ["doctor"]).output


@pytest.mark.parametrize(("text", "ago"), [("1h", HOUR), ("90m", HOUR + HOUR // 2), ("2d", 48 * HOUR)])
def test_how_long_ago(text: str, ago: int):
    assert moment(text, 10**15) == 10**15 - ago


@pytest.mark.parametrize("text", ["999999d", "0001-01-01T00:00:00Z"])
def test_longer_ago_than_moments_are_counted_is_their_beginning(text: str):
    assert moment(text, 10**15) == 0


def test_what_is_no_moment_is_refused_with_the_way_to_write_one():
    with pytest.raises(InvalidInput, match="45m"):
        moment("yesterday", 0)


@pytest.mark.parametrize("name", ["[/x]", "[red]ann[/red]", "[link=https://evil.example]ann"])
def test_a_name_with_brackets_is_shown_as_it_is(url: str, name: str):
    """Given somebody whose name looks like markup, Then no command breaks on it, and no password is lost."""
    added = run("user", "add", name)

    assert f"Added {name} as admin." in added.stdout
    assert "One-time password:" in added.stdout
    assert name in run("user", "list").stdout.replace("\n", "")
    assert f"{name} is owner now." in run("user", "role", name, "owner").stdout
    assert "One-time password of" in run("user", "reset-password", name).stdout
    run("user", "role", f"{name}nobody", "owner", expect=1)


@pytest.mark.parametrize("on_terminal", [False, True])
def test_nothing_that_is_said_in_a_line_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, on_terminal: bool
):
    """Given what strangers write, when a command says it, however it is put, then no control of theirs gets through."""
    hostile = "a\x1b]0;x\x07\x9b31m\u202eb\rc"
    monkeypatch.setattr(console.out, "_force_terminal", on_terminal)
    monkeypatch.setattr(console.err, "_force_terminal", on_terminal)
    monkeypatch.setattr("sys.stdout.isatty", lambda: on_terminal)
    error = NotFound(hostile, remedy=f"[bold]{hostile}[/]")

    console.out.print(f"[bold]{escape(hostile)}[/]", soft_wrap=True)
    console.out.print(hostile, markup=False)
    console.write_json({hostile: hostile})
    if on_terminal:
        console.write_bytes(hostile.encode())
    with pytest.raises(SystemExit):
        console.fail(error)
    with pytest.raises(SystemExit):
        console.fail(error, as_json=True)

    said = capsys.readouterr()
    written = re.sub(r"\x1b\[[0-9;]*m", "", said.out + said.err)  # rich's own colours
    assert "x1b]0" in written
    assert [char for char in written if not char.isprintable() and char != "\n"] == []


def test_what_strangers_write_is_shown_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]):
    """Given a path, an agent and names with ESC, line ends and markup, Then they are to be seen, and do nothing."""
    write_table(("path [/oops]", "agent\x1b[2J"), [("/a\x1b]0;x\x07", "b\nforged\x9b\u202e :bomb: [red]c[/red]")])
    write_fields("user:1 Bob [/oops]\x1b[8m", [("name\r", "\x1b[31mé")])

    told = capsys.readouterr().out
    assert all(character.isprintable() for character in told.replace("\n", ""))
    assert [line.split() for line in told.splitlines()] == [
        ["path", "[/oops]", r"agent\x1b[2J"],
        [r"/a\x1b]0;x\x07", r"b\nforged\x9b\u202e", ":bomb:", "[red]c[/red]"],
        ["user:1", "Bob", r"[/oops]\x1b[8m"],
        [r"name\r", r"\x1b[31mé"],
    ]


def test_status_tells_what_the_overview_shows(url: str):
    """Given a block, then it is told with the figures of the last hour, to people and to programs."""
    run("migrate")
    block = {"reason": "scans [since] midnight", "actor": "user:ada"}
    with_custodes(url, lambda custodes: custodes.ratelimit.block_identifier("203.0.113.9", **block))

    told = run_json("status")
    assert (told["requests"], told["error_rate"], told["alerts"]) == (0, None, [])
    assert [(each["identifier"], each["reason"]) for each in told["blocks"]] == [("203.0.113.9", block["reason"])]
    shown = run("status", "--since", "2h").stdout
    assert "203.0.113.9" in shown
    assert block["reason"] in shown
    assert "Open errors: none" in shown
    assert told["more"] == []

    for number in range(5):  # and what does not fit is not passed over in silence
        with_custodes(
            url, lambda custodes, n=number: custodes.ratelimit.block_identifier(f"203.0.113.{20 + n}", **block)
        )
    assert run_json("status")["more"] == ["blocks"]
    assert "and more" in run("status").stdout


def test_a_port_that_there_is_not_is_refused():
    refused = CliRunner().invoke(app, ["serve", "--port", "99999"])

    assert refused.exit_code == 2
    assert "--port" in refused.output


def test_a_demo_with_a_wrong_port_says_which_setting_is_wrong(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUSTODES_PORT", "abc")

    with pytest.raises(CustodesError, match="CUSTODES_PORT"):
        CliRunner().invoke(app, ["demo", "--seconds", "1"], catch_exceptions=False)


def test_a_demo_at_a_port_that_somebody_has_makes_and_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Given a stranger at the port, then that is said, no database is made, and the stranger is sent nothing."""
    monkeypatch.chdir(tmp_path)
    with serve.listen("127.0.0.1", 0) as stranger:
        stranger.settimeout(0)
        monkeypatch.setenv("CUSTODES_PORT", str(stranger.getsockname()[1]))

        with pytest.raises(ConfigurationError, match="Cannot listen") as told:
            CliRunner().invoke(app, ["demo", "--serve", "--seconds", "1"], catch_exceptions=False)

        assert "CUSTODES_PORT" in told.value.remedy
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("demo", "--serve", "--seconds", "1")])
def test_without_a_server_nothing_is_made_and_no_login_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    monkeypatch.chdir(tmp_path)
    without(monkeypatch, "uvicorn")

    with pytest.raises(ConfigurationError, match="needs a server") as told:
        CliRunner().invoke(app, command, catch_exceptions=False)

    assert "custodes[server]" in told.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_move_without_the_driver_says_what_to_install(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run("migrate")
    without(monkeypatch, "psycopg", "custodes.storage.sql.move", "custodes.storage.sql.postgresql")

    with pytest.raises(ConfigurationError) as told:
        CliRunner().invoke(
            app,
            ["migrate", "sqlite-to-postgres", "--from", url, "--to", "postgresql://nobody@127.0.0.1:1/none"],
            catch_exceptions=False,
        )

    assert "custodes[postgres]" in told.value.remedy


def test_what_a_server_sets_for_its_workers_is_gone_when_it_ends(url: str, monkeypatch: pytest.MonkeyPatch):
    workers: dict[str, str] = {}
    monkeypatch.setattr(serve, "serve_on", lambda *_: workers.update(os.environ))
    monkeypatch.delenv("CUSTODES_DATABASE_URL")
    before = dict(os.environ)

    run("serve", "--database", url, "--port", "0", "--workers", "2")

    assert (workers["CUSTODES_DATABASE_URL"], workers["CUSTODES_RATE_LIMIT_STORE"]) == (url, "sqlite")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("own", "around", "engine"),
    [
        ("sqlite", "postgresql+psycopg://nobody@127.0.0.1:1/none", "sqlite"),
        ("postgresql", "sqlite:///elsewhere.db", "postgresql"),
    ],
)
def test_workers_share_their_limits_whatever_database_the_app_names_itself(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, around: str, engine: str
):
    """Given an app with a database of its own, when the environment names another, then workers count together."""
    url = request.getfixturevalue("sqlite_url" if own == "sqlite" else "postgres_url")
    url = url.replace("postgresql:", "postgresql+psycopg:")
    module = f"own_database_{own}"
    (tmp_path / f"{module}.py").write_text(
        "from custodes import Custodes\nfrom custodes.asgi.standalone import nothing_here\n"
        f"app = Custodes({url!r}).wrap(nothing_here)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("CUSTODES_DATABASE_URL", around)
    engines: list[str] = []
    # A worker reads the environment that is there when it starts.
    monkeypatch.setattr(serve, "serve_on", lambda *_: engines.append(Custodes(url).ratelimit.engine().name))

    run("serve", "--app", f"{module}:app", "--port", "0", "--workers", "2")

    assert engines == [engine]


#: Commands that write something else than an answer: a server, a protocol, a stream of rows, exact bytes.
STREAMS = {"serve", "mcp", "export", "events body"}


def test_the_list_of_commands_says_of_each_what_it_says_itself():
    group: Any = typer.main.get_command(app)

    said = {name: " ".join(command.help.split("\n\n")[0].split()) for name, command in group.commands.items()}

    assert said == {name: place.help for name, place in COMMANDS.items()}


def test_every_command_answers_programs_in_json():
    def commands(group, path: str = ""):
        for name, command in group.commands.items():
            yield from commands(command, f"{path}{name} ") if hasattr(command, "commands") else [(path + name, command)]

    named = dict(commands(typer.main.get_command(app)))
    without = {name for name, command in named.items() if not any("--json" in one.opts for one in command.params)}

    assert len(named) > 50
    assert without == STREAMS
