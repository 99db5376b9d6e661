"""Every real payload, correctly signed, through the door: all accepted, the same bytes in the store, all handled."""

import json
from collections import Counter
from pathlib import Path

import pytest

from custodes import Custodes, WebhookEvent
from custodes.planes.inbound.model import EventFilter, Status
from custodes.testing.asgi import body, converse, http_scope
from custodes.testing.webhooks import signed_webhook

SECRETS = {
    "github": "It's a Secret to Everybody",
    "stripe": "whsec_real_payloads",
    "standard-webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


async def nothing_here(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def deliveries(payloads: Path):
    """Each file with its kind, the name of its source, and the type where a header says it.

    Some Stripe events are there in several versions under one id: each version goes to an endpoint of its own.
    """
    versions: Counter[str] = Counter()
    for file in sorted(payloads.rglob("*.json")):
        kind, *rest = file.relative_to(payloads).parts
        name = kind
        if kind == "stripe":
            event_id = json.loads(file.read_bytes())["id"]
            name = f"stripe-{versions[event_id]}"
            versions[event_id] += 1
        yield file, kind, name, rest[0] if kind == "github" else ""


@pytest.mark.acceptance
async def test_every_real_payload_is_accepted_and_kept_byte_by_byte(sqlite_url: str, shared_data: Path):
    files = list(deliveries(shared_data / "payloads"))
    assert len(files) > 300
    custodes = Custodes(sqlite_url, webhook_ip_limit="")
    for kind, name in sorted({(kind, name) for _, kind, name, _ in files}):
        custodes.source(name, secrets=[SECRETS[kind]], kind=kind)
    handled: dict[str, bytes] = {}

    @custodes.webhook("*")
    async def handler(event: WebhookEvent) -> None:
        event.json()
        handled[event.id] = event.body

    app = custodes.wrap(nothing_here)
    await custodes.open()
    sent: dict[str, bytes] = {}
    for file, kind, name, event_type in files:
        raw = file.read_bytes()
        signed = signed_webhook(kind, raw, SECRETS[kind], event_type=event_type)
        answer = await converse(app, http_scope(f"/hooks/{name}", "POST", headers=signed.headers), body(raw))

        assert answer.status == 200, (file, answer.body)
        # GitHub signs no id, so the same bytes are the same event; the samples hold two pairs of equal files.
        event_id = json.loads(answer.body)["id"]
        assert sent.setdefault(event_id, raw) == raw
        assert (await custodes.inbound.get_payload(event_id)).body == raw

    assert len(sent) == len({(name, file.read_bytes()) for file, _, name, _ in files})
    await custodes.inbound.worker.run_due()
    assert handled == sent
    page = await custodes.inbound.list_events(EventFilter(status=Status.SUCCEEDED), limit=500)
    assert {record.id for record in page.items} == set(sent)
    await custodes.stop()
    await custodes.close()
