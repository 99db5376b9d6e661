"""Every example is run: by a test of its own or by the hosts' tests under a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

#: What is asked of each example, in a process of its own: Django can be set up once in a process.
ASK = """
import asyncio, importlib, sys
from custodes.testing.asgi import converse, http_scope

module = importlib.import_module(sys.argv[1])

async def ask():
    answer = await converse(module.app, http_scope("/hello/world", headers={"host": "localhost"}))
    assert answer.error is None, answer.error
    refused = await converse(module.app, http_scope("/api/admin/enterprise/api-health"))
    await module.custodes.stop()
    print(answer.status, refused.status, len(module.custodes.inbound.list_sources()))

asyncio.run(ask())
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_answers_refuses_strangers_and_takes_webhooks(example: Path, tmp_path: Path):
    env = {**os.environ, "CUSTODES_DATABASE_URL": f"sqlite:///{tmp_path}/custodes.db"}

    done = subprocess.run(
        [sys.executable, "-c", ASK, f"examples.{example.stem}"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    status, refused, sources = done.stdout.split()
    assert status == "200"
    assert refused in {"401", "503"}  # 503 while it starts: there is no lifespan here
    assert int(sources) >= 1


def test_each_example_says_how_to_run_it():
    for example in EXAMPLES:
        assert f"uvicorn examples.{example.stem}:app" in example.read_text(), example.name
