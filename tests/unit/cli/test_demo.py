"""The demo goes on for as long as there is a shop to send to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from random import Random

import aiohttp
import pytest
from aiohttp import web

from custodes.cli.demo import bodies, command, driver, receiver
from custodes.cli.demo.driver import Driver
from custodes.errors import CustodesError
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing.webhooks import signed_webhook


@pytest.mark.parametrize(("end", "said"), [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), 9)", "signal 9")])
async def test_a_demo_whose_shop_has_ended_ends_and_says_so(end: str, said: str, monkeypatch: pytest.MonkeyPatch):
    """Given a shop that has ended by itself, When the demo sends or waits, Then it does not go on without a shop."""
    monkeypatch.setattr(command, "LOOK_SECONDS", 0.01)
    url = "http://127.0.0.1:1"
    shop_of_its_own = [sys.executable, "-Ssc", f"import os, sys; {end}"]
    with subprocess.Popen(shop_of_its_own) as shop:  # noqa: ASYNC220 - it starts at once
        driver = Driver(url, {}, api_key="", rate=1, seed=1)
        with pytest.raises(CustodesError, match=said):
            async with asyncio.timeout(50):
                await command._drive(driver, url, 0, server=shop)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("source", ["stripe", "github"])
def test_a_second_run_with_the_same_seed_sends_new_events(source: str):
    """Given the same seed at another time, Then an event is another one, and all else is as it was."""
    runs: list[list[tuple[str, str]]] = []
    for start in (1_800_000_000_000_000, 1_800_000_060_000_000):
        random = Random(1)
        made = [bodies.MAKERS[source](random, start + number * 50_000) for number in range(50)]
        keys: list[tuple[str, str]] = []
        for number, (kind, body) in enumerate(made):
            moment = start + number * 50_000
            signed = signed_webhook(source, body, "secret", event_type=kind, now=moment)
            verified = make_source(source, ["secret"]).verify(signed.request, moment)
            keys.append((verified.dedupe_key, verified.event_type))
        runs.append(keys)

    first, second = ([key for key, _ in keys] for keys in runs)
    assert len({*first, *second}) == 100
    assert [kind for _, kind in runs[0]] == [kind for _, kind in runs[1]]


def test_a_program_reads_json_and_nothing_else(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    async def up(_url: str) -> bool:
        return True

    async def run(self: Driver, *_: object) -> None:
        self.tally.answers["shopper 2xx"] += 1

    monkeypatch.setattr(driver, "wait_until_up", up)
    monkeypatch.setattr(Driver, "run", run)

    command.demo(url="http://127.0.0.1:1", rate=1, seconds=1, seed=1, api_key="", as_json=True)

    said = capsys.readouterr()
    assert json.loads(said.out) == {"answers": {"shopper 2xx": 1}, "lost": 0}
    assert "Dashboard:" in said.err


async def test_who_is_still_thinking_answers_when_the_demo_ends(monkeypatch: pytest.MonkeyPatch):
    """Given a receiver that thinks for an hour about a webhook, when the demo ends, then it answers at once."""
    monkeypatch.setattr(receiver, "SLOW_SECONDS", (3_600, 3_600))
    taken, customers = asyncio.Event(), receiver.Receiver(Random(1))

    async def take(request: web.Request) -> web.Response:
        taken.set()
        return await customers.take(request)

    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/analytics"
        asked = asyncio.create_task(session.post(url, json={"order": 1}))
        await taken.wait()
        customers.close()
        answer = await asked
    await runner.cleanup()

    assert answer.status == 202
