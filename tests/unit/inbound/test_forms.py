"""JSON in a form: read where nothing else is there, and in no other way than it was signed."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import MalformedPayload, PayloadTooLarge
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.forms import forms_of, json_text
from custodes.planes.inbound.model import WebhookEvent
from custodes.planes.inbound.sources.registry import make_source
from custodes.testing import signed_webhook

NOW = 1_790_000_000 * SECOND


def event(body: bytes, content_type: str = "application/json") -> WebhookEvent:
    return WebhookEvent(
        id="1", tenant="default", source="github", event_id="guid", type="push", body=body,
        headers={"content-type": content_type}, verified=True, attempt=1, trace_id="0" * 32, received_at=NOW,
    )  # fmt: skip


@given(st.binary())
def test_whatever_is_written_as_a_form_is_read_back(text: bytes):
    for form in forms_of(text):
        assert json_text(form) == text


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_body_that_is_json_is_never_taken_for_a_form(value: object):
    body = json.dumps(value).encode()
    assert json_text(body) is body


def test_a_signed_form_holds_over_its_raw_bytes_and_gives_its_event():
    """Given a webhook of GitHub in a form, then the signature holds over the form, and over nothing that is in it."""
    told = {"action": "opened", "title": "1 + 1 = 2 & Zoë ~*"}
    text = json.dumps(told, ensure_ascii=False).encode()
    source = make_source("github", ["secret"])
    for form in forms_of(text):
        signed = signed_webhook("github", form, "secret", now=NOW, event_type="issues", event_id="guid")
        verified = source.verify(signed.request, NOW)

        assert verified.content_type == "application/x-www-form-urlencoded"
        assert (verified.event_type, verified.event_id) == ("issues", "guid")
        assert event(form).json() == told
    apart = {signed_webhook("github", body, "secret", now=NOW).headers["x-hub-signature-256"] for body in (text, form)}
    assert len(apart) == 2


@pytest.mark.parametrize(
    "hostile",
    [
        b"payload=%7B%7D&payload=%7B%22admin%22%3Atrue%7D",
        b"payload=%7B%7D&x=1",
        b"payload=%7B%7D;x=1",
        b"payload=%7B%7D&",
        b"payload=%7",
        b"payload=%zz",
        b"payload=%%7B%7D",
        b"payload={}\n",
        b"payload= {}",
        b"payload=\xc3\xab",
        b"payload=\x00{}",
        b"payload=",
        b"payload=%7B",
        b"payload=%FF",
        b"payload=NaN",
        b"payload=" + b"%5B" * 65 + b"%5D" * 65,
        b"payload=payload%3D%7B%7D",
        b"Payload=%7B%7D",
        b"x=1&payload=%7B%7D",
        b" payload=%7B%7D",
        b"payload[]=%7B%7D",
        b"payload",
    ],
)
def test_a_form_that_is_anything_else_is_refused(hostile: bytes):
    """Given a form with more, less or something else in it, then only our own refusal comes out, without its text."""
    with pytest.raises(MalformedPayload) as refused:
        event(hostile, "application/x-www-form-urlencoded").json()
    assert "admin" not in str(refused.value)


def test_the_content_type_which_nobody_signed_decides_nothing():
    """Given a signed JSON text with words of a stranger in it; when a copy says that it is a form; then it is none."""
    text = b'{"title": "&payload=%7B%22admin%22%3Atrue%7D"}'
    assert event(text, "application/x-www-form-urlencoded").json() == {"title": "&payload=%7B%22admin%22%3Atrue%7D"}
    assert event(b"payload=%7B%7D", "application/json").json() == {}


def test_a_form_is_bounded_as_json_is():
    form = b"payload=" + quote_plus(json.dumps(["x" * 100])).encode()
    assert event(form).json(max_bytes=104) == ["x" * 100]
    with pytest.raises(PayloadTooLarge):
        event(form).json(max_bytes=103)
