"""A stand-in for Stripe in a process of its own, driven by Stripe's own client, delivers to our Stripe route."""

import json
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
from tests.servers.programs import free_port

from custodes import Custodes, WebhookEvent
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.planes.inbound.origins import StripeEvents
from custodes.runtime.system_clock import SystemClock
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

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


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        for _ in range(900):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


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
        urllib.request.urlopen(configure, timeout=60).close()

        # When a customer is made with Stripe's own client
        monkeypatch.setattr(stripe, "api_base", f"http://127.0.0.1:{theirs}")
        monkeypatch.setattr(stripe, "api_key", "sk_test_12345")
        stripe.Customer.create(email="ada@example.com")

        # Then the signed event comes in, and the handler runs
        until = time.monotonic() + 60
        while "ada@example.com" not in output.read_text():
            assert time.monotonic() < until, "the webhook was not handled"
            time.sleep(0.1)


@pytest.mark.acceptance
async def test_events_that_never_arrived_are_fetched_from_stripes_own_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    localstripe = Path(sys.executable).with_name("localstripe")
    if not localstripe.exists():
        pytest.skip("localstripe is not installed")
    theirs, seen = free_port(), list[str]()
    api = f"http://127.0.0.1:{theirs}"
    with running([str(localstripe), "--from-scratch", "--port", str(theirs)], theirs, TMPDIR=str(tmp_path)):
        # Given three customers, of whom no webhook ever told us, and one event that did arrive
        monkeypatch.setattr(stripe, "api_base", api)
        monkeypatch.setattr(stripe, "api_key", "sk_test_12345")
        for name in ("ada", "grace", "joan"):
            stripe.Customer.create(email=f"{name}@example.com")
        clock = FakeClock(SystemClock().now() + HOUR)  # what is younger than five minutes may still be on its way
        custodes = Custodes(
            f"sqlite:///{tmp_path}/c.db", clock=clock, outbound_allow_http=True, outgoing_allow_networks="127.0.0.0/8"
        )
        custodes.source("stripe", [SECRET])
        origin = StripeEvents("sk_test_12345", event_types=["customer.*"], api=api)
        custodes.reconcile("stripe", origin, look_back=DAY)

        @custodes.webhook("stripe", "customer.created", name="books")
        def created(event: WebhookEvent) -> None:
            assert event.verified
            seen.append(event.json()["data"]["object"]["email"])

        await custodes.open()
        listed = stripe.Event.list(limit=1).data[0]
        body = json.dumps({"id": listed["id"], "type": "customer.created", "data": {"object": {"email": "here"}}})
        signed = signed_webhook("stripe", body.encode(), SECRET, now=clock.now())
        registration = custodes.inbound.source("stripe")
        assert registration is not None
        await custodes.inbound.receive(registration, signed.request, trace_id="a" * 32, client_ip="")

        # When the source is compared, twice
        proof = await custodes.completeness.reconcile("stripe")
        clock.advance(HOUR)
        again = await custodes.completeness.reconcile("stripe")
        while await custodes.inbound.worker.run_due():
            pass

        # Then the two that never came are there, once, and are handled as the one that did
        assert (proof.fetched, again.fetched, again.error) == (2, 2, "")
        assert again.proven_until == clock.now() - 5 * MINUTE
        assert len(seen) == 3
        assert "here" in seen
        await custodes.outgoing.close()
        await custodes.close()
