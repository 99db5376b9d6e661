"""A stand-in for Stripe in a process of its own, driven by Stripe's own client, delivers to our Stripe route."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

stripe = pytest.importorskip("stripe")

SECRET = "whsec_localstripe"

SERVED = f"""
import os, uvicorn
from custodes import Custodes

custodes = Custodes(os.environ["SERVED_DATABASE"])
custodes.source("stripe", secrets=[{SECRET!r}])

@custodes.webhook("stripe", "customer.created")
def customer_created(event):
    with open(os.environ["SERVED_OUTPUT"], "a") as output:
        output.write(event.json()["data"]["object"]["email"] + "\\n")

async def host(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 404, "headers": []}})
    await send({{"type": "http.response.body", "body": b""}})

uvicorn.run(custodes.wrap(host), host="127.0.0.1", port=int(os.environ["SERVED_PORT"]), log_level="error")
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(15)


@pytest.mark.acceptance
def test_stripes_client_makes_a_customer_and_our_handler_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    localstripe = Path(sys.executable).with_name("localstripe")
    if not localstripe.exists():
        pytest.skip("localstripe is not installed")
    ours, theirs, output = free_port(), free_port(), tmp_path / "handled.txt"
    output.touch()
    served = {
        "SERVED_DATABASE": f"sqlite:///{tmp_path}/custodes.db",
        "SERVED_OUTPUT": str(output),
        "SERVED_PORT": str(ours),
    }
    with (
        running([str(localstripe), "--from-scratch", "--port", str(theirs)], theirs, TMPDIR=str(tmp_path)),
        running([sys.executable, "-c", SERVED], ours, **served),
    ):
        # Given an endpoint that points at our route
        configure = urllib.request.Request(
            f"http://127.0.0.1:{theirs}/_config/webhooks/custodes",
            data=f"url=http://127.0.0.1:{ours}/api/stripe/webhook-enhanced&secret={SECRET}".encode(),
        )
        urllib.request.urlopen(configure, timeout=10).close()

        # When a customer is made with Stripe's own client
        monkeypatch.setattr(stripe, "api_base", f"http://127.0.0.1:{theirs}")
        monkeypatch.setattr(stripe, "api_key", "sk_test_12345")
        stripe.Customer.create(email="ada@example.com")

        # Then the signed event comes in, and the handler runs
        until = time.monotonic() + 20
        while "ada@example.com" not in output.read_text():
            assert time.monotonic() < until, "the webhook was not handled"
            time.sleep(0.1)
