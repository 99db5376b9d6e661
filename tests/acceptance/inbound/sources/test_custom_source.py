"""The example of a source of one's own does what the page about it says."""

import importlib.util
from pathlib import Path

import pytest

from custodes.errors import MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.sources import Headers, WebhookRequest

EXAMPLE = Path(__file__).parents[4] / "examples" / "custom_source.py"

MOMENT = 1_790_000_000
BODY = b'{"id": "parcel-7", "type": "parcel.delivered"}'


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.setenv("CUSTODES_DATABASE_URL", f"sqlite:///{tmp_path}/custodes.db")
    monkeypatch.setenv("RATE_LIMITING_ENABLED", "false")
    spec = importlib.util.spec_from_file_location("custom_source", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def request(example, body=BODY, moment=MOMENT):
    raw = [(name.encode(), value.encode()) for name, value in example.delivery(body, moment).items()]
    return WebhookRequest(Headers(raw), body)


def test_it_accepts_what_the_sender_signs(example):
    source = example.custodes.inbound.source("parcels").source

    verified = source.verify(request(example), MOMENT * SECOND)

    assert (verified.event_id, verified.event_type, verified.dedupe_key) == (
        "parcel-7",
        "parcel.delivered",
        "id:parcel-7",
    )
    assert source.is_fraud("parcel.intercepted")
    assert not source.is_known("train.delivered")


@pytest.mark.parametrize(
    ("seconds", "reason"), [(-301, "timestamp-in-future"), (301, "timestamp-too-old")], ids=["future", "past"]
)
def test_it_refuses_other_moments(example, seconds, reason):
    with pytest.raises(SignatureRefused) as caught:
        example.Parcels([example.SECRET]).verify(request(example), (MOMENT + seconds) * SECOND)

    assert caught.value.reason == reason


def test_it_tells_a_forgery_from_a_body_that_is_none(example):
    source = example.Parcels([example.SECRET])

    with pytest.raises(SignatureRefused):
        source.verify(WebhookRequest(request(example).headers, BODY + b" "), MOMENT * SECOND)
    for body in (b"", b"[]", b"{}", b'{"id": "\x00"}', b"[" * 100_000):
        with pytest.raises(MalformedPayload):
            source.verify(request(example, body), MOMENT * SECOND)
