"""The demo goes on for as long as there is a shop to send to."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from custodes.cli.demo import command
from custodes.cli.demo.driver import Driver
from custodes.errors import CustodesError


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
