"""Every example is run: by a test of its own or by the hosts' tests under a real server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.servers.warm import Warm

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
    print("answered:", answer.status, refused.status, len(module.custodes.inbound.list_sources()))

asyncio.run(ask())
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_answers_refuses_strangers_and_takes_webhooks(example: Path, tmp_path: Path):
    env = {**os.environ, "CUSTODES_DATABASE_URL": f"sqlite:///{tmp_path}/custodes.db"}

    asked = Warm(["python", "-c", ASK, f"examples.{example.stem}"], tmp_path / "log", env, ROOT)

    assert asked.wait(60) == 0, (tmp_path / "log").read_text()
    said = (tmp_path / "log").read_text()  # also what is logged when a start that is under way is broken off
    (told,) = [line for line in said.splitlines() if line.startswith("answered: ")]
    _, status, refused, sources = told.split()
    assert status == "200"
    assert refused in {"401", "503"}  # 503 while it starts: there is no lifespan here
    assert int(sources) >= 1


def test_each_example_says_how_to_run_it():
    for example in EXAMPLES:
        assert f"uvicorn examples.{example.stem}:app" in example.read_text(), example.name
