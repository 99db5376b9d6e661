"""The pytest plugin that users get: its fixtures, used as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import MINUTE
from custodes.planes.inbound.model import Status
from custodes.testing import FakeClock, signed_webhook

SECRET = "whsec_test"


async def host(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def client_of(custodes: Custodes) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(custodes.wrap(host)), base_url="http://test")


async def test_a_handler_runs_when_the_test_says_so_and_its_retry_when_the_clock_is_moved(
    custodes: Custodes, custodes_clock: FakeClock
):
    # Given a handler that fails at first
    attempts: list[int] = []
    custodes.source("stripe", secrets=[SECRET])

    @custodes.webhook("stripe", "invoice.paid")
    async def paid(event):
        attempts.append(event.attempt)
        if event.attempt == 1:
            raise ConnectionError

    webhook = signed_webhook("stripe", {"id": "evt_1", "type": "invoice.paid"}, SECRET, now=custodes_clock.now())
    async with client_of(custodes) as client:
        assert (await client.post("/hooks/stripe", content=webhook.body, headers=webhook.headers)).status_code == 200

    # Then nothing happens by itself
    assert attempts == []
    assert await custodes.inbound.worker.run_due() == 1
    assert await custodes.inbound.worker.run_due() == 0

    # And the second attempt comes when its time has come
    custodes_clock.advance(MINUTE)
    assert await custodes.inbound.worker.run_due() == 1
    assert attempts == [1, 2]
    assert [event.status for event in (await custodes.inbound.list_events()).items] == [Status.SUCCEEDED]


class TestSettings:
    @pytest.fixture
    def custodes_settings(self) -> dict[str, Any]:
        return {"default_tenant": "acme"}

    async def test_are_those_of_the_fixture(self, custodes: Custodes):
        entry = await custodes.audit.log_audit_event("member.removed", actor="user:1")

        assert entry.tenant == "acme"


async def test_a_limit_is_over_when_the_clock_says_so(custodes: Custodes, custodes_clock: FakeClock):
    custodes.limit("2/minute", by="ip")
    async with client_of(custodes) as client:
        codes = [(await client.get("/")).status_code for _ in range(3)]
        custodes_clock.advance(MINUTE)
        codes.append((await client.get("/")).status_code)

    assert codes == [200, 200, 429, 200]


def test_it_works_in_a_project_that_marks_its_async_tests(tmp_path: Path):
    (tmp_path / "test_theirs.py").write_text(
        "import pytest\n@pytest.mark.asyncio\nasync def test_theirs(custodes):\n    assert await custodes.is_ready()\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    words += ["-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"]
    # Theirs has ours and the one that it needs, by the names of their entry points; ours have many more.
    words += ["-p", "asyncio", "-p", "custodes"]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    done = subprocess.run(
        [*words, str(tmp_path)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
