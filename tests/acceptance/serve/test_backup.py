"""The backup that docs/howto/back-up-and-restore.md describes, taken under load, holds all that was answered before."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance import plain

from custodes.testing import signed_webhook

pytestmark = pytest.mark.acceptance

SECRET = "whsec_of_these_tests"


def test_a_backup_taken_while_webhooks_arrive_holds_every_one_answered_before_and_serves(
    start: Callable[..., Any], tmp_path: Path, until: Callable[..., Any]
):
    # Given a server under load
    server = start("--app", "mounted_host:app", HANDLED=str(tmp_path / "handled.txt"))
    server.client()
    accepted: list[str] = []
    enough = threading.Event()

    def deliver(writer: int) -> None:
        with plain.Client(base_url=server.url) as client:
            number = 0
            while not enough.is_set() and number < 2_000:
                name = f"evt_{writer}_{number}"
                webhook = signed_webhook("stripe", {"id": name, "type": "invoice.paid"}, SECRET)
                if client.post("/hooks/stripe", content=webhook.body, headers=webhook.headers).is_success:
                    accepted.append(name)
                number += 1

    writers = [threading.Thread(target=deliver, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    try:
        until(lambda: len(accepted) >= 50, "webhooks are accepted")

        # When a backup is taken meanwhile
        before = list(accepted)
        back_up(tmp_path / "custodes.db", tmp_path / "backup.db")
    finally:
        enough.set()
        for writer in writers:
            writer.join()
    assert server.stop() == 0

    # Then the copy is whole, and has each that was answered before
    copy = sqlite3.connect(tmp_path / "backup.db")
    kept = {name for (name,) in copy.execute("SELECT event_id FROM webhook_events")}
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    assert set(before) <= kept

    # And a server starts on it
    restored = start("--database", f"sqlite:///{tmp_path}/backup.db")
    assert restored.client().get("/readyz").status_code == 200
    assert restored.logins == []


def back_up(database: Path, to: Path) -> None:
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    copy = sqlite3.connect(to)
    with copy:
        source.backup(copy)
    copy.close()
    source.close()
