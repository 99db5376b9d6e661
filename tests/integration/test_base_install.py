"""``pip install custodes`` is enough: with none of the extras, it mounts, serves its host and examines itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

#: What the extras of pyproject.toml bring, by the names that are imported.
OF_EXTRAS = ("psycopg", "redis", "hiredis", "uvicorn", "httptools", "uvloop", "apprise", "mcp")

HOST = """
import asyncio, json, sys

for name in sys.argv[1].split(","):
    sys.modules[name] = None  # as if it were not installed

from custodes import Custodes
from fastapi import FastAPI
from typer.testing import CliRunner

from custodes.cli.main import app as commands

app = FastAPI()

@app.get("/orders")
def orders():
    return {"orders": []}

Custodes().install(app)

async def main():
    told = []
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}
    async def send(message):
        told.append(message)
    async with app.router.lifespan_context(app):
        for path in ("/orders", "/dashboard/admin/enterprise/login"):
            scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
                     "raw_path": path.encode(), "root_path": "", "scheme": "http", "query_string": b"", "headers": [],
                     "client": ("203.0.113.5", 1), "server": ("127.0.0.1", 80), "state": {}}
            await app(scope, receive, send)
    return [message["status"] for message in told if message["type"] == "http.response.start"]

statuses = asyncio.run(main())
examined = CliRunner().invoke(commands, ["doctor"])
print(json.dumps({"statuses": statuses, "raised": repr(examined.exception), "doctor": examined.output}))
"""


def test_no_extra_is_needed_to_mount_and_to_examine(tmp_path: Path):
    # Given an environment without any of the extras; When it is mounted, and doctor is run
    ran = subprocess.run(
        [sys.executable, "-c", HOST, ",".join(OF_EXTRAS)],
        cwd=tmp_path,
        env={**os.environ, "CUSTODES_DATABASE_URL": f"sqlite:///{tmp_path}/custodes.db"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    # Then the host answers, so does the dashboard, and doctor comes to its end
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    assert told["statuses"] == [200, 200]
    assert told["raised"] in ("None", "SystemExit(0)", "SystemExit(1)"), told["doctor"]
    assert "is reachable" in told["doctor"]
