"""The commands with a PostgreSQL URL, and workers that serve on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers.postgresql import PostgresServer
from typer.testing import CliRunner

from custodes.cli.main import app
from custodes.testing.webhooks import signed_webhook

pytestmark = pytest.mark.acceptance

SECRET = "whsec_" + "a" * 32


def test_an_install_is_migrated_served_by_workers_and_examined(
    start: Callable[..., Any], postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = postgres_server.url(postgres_server.new_database())
    settings = {"CUSTODES_DATABASE_URL": url, "CUSTODES_DATABASE_SCHEMA": "custodes", "STRIPE_WEBHOOK_SECRET": SECRET}

    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> str:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def custodes(*words: str) -> Any:
        return json.loads(command(*words, "--json"))

    # Given an empty database: it is migrated once
    assert custodes("migrate")["applied"]
    assert custodes("migrate", "--check") == {"pending": []}

    # When two workers serve it and a webhook arrives twice
    server = start("--workers", "2", **settings)
    client = server.client()
    signed = signed_webhook("stripe", {"id": "evt_1", "type": "invoice.paid"}, SECRET)
    answers = [
        client.post("/api/stripe/webhook-enhanced", content=signed.body, headers=signed.headers) for _ in range(2)
    ]

    # Then both are accepted, as the same event
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    exported = command("export", "webhook-events").splitlines()
    assert [json.loads(line)["event_id"] for line in exported] == ["evt_1"]

    # And the doctor finds the database well, and says what a server needs that a file does not
    findings = {finding["area"]: finding for finding in custodes("doctor")}
    assert findings["database"]["verdict"] == "ok"
    assert findings["health of storage"]["verdict"] != "failure"  # a busy machine is slow
    assert "CUSTODES_SECRET_KEY" in findings["secrets"]["remedy"]
    assert "PostgreSQL, for all instances together" in findings["limits"]["text"]
    assert server.stop() == 0
    assert "Traceback" not in server.said
