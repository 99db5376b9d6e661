"""Servers that import the app first and fork their workers then."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

SERVER = Path(__file__).with_name("forking_server.py")


async def test_workers_that_were_forked_after_the_import_are_processes_of_their_own(sqlite_url: str) -> None:
    """Given an app that is mounted at import, in a server that forks two workers then, When each receives three
    webhooks and stands for election twice, Then one leads, and the figures have six."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, SERVER, sqlite_url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await server.communicate()
    assert server.returncode == 0, err.decode()
    found = json.loads(out)
    assert (found["leads"], found["received"]) == ([True, False], 6)
    assert len(set(found["names"])) == 3
