"""Which URLs may be endpoints."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import InvalidInput
from custodes.planes.outbound.addresses import MAX_URL, checked_url


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/hooks?x=1",
        "https://xn--mnchen-3ya.de/",
        "https://[2001:db8::1]/h",
    ],
)
def test_https_urls_are_taken_as_they_are(url: str):
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "/hooks", "http://example.com", "ftp://example.com", "https://", "https:///path",
        "javascript:alert(1)",
        "https://user:pass@example.com/", "https://user@example.com", "https://example.com/#part",
        "https://exa mple.com",
        "https://münchen.de/", "https://example.com:99999/", "https://example.com:0/", "https://example.com:x/",
        "https://[::1/", "https://example.com/\n", "https://example.com\\@evil.com/", "https://example.com/\x00",
        "https://" + "a" * MAX_URL + ".com",
    ],
)  # fmt: skip
def test_everything_else_is_refused_without_being_repeated(url: str):
    with pytest.raises(InvalidInput) as caught:
        checked_url(url)

    assert caught.value.remedy
    assert len(url) < 12 or url not in str(caught.value)


def test_http_is_for_those_who_allow_it():
    assert checked_url("http://127.0.0.1:9/", allow_http=True) == "http://127.0.0.1:9/"


@given(st.text(max_size=60) | st.text(max_size=60).map("https://{}".format))
def test_any_text_is_taken_or_refused_with_our_error(text: str):
    with contextlib.suppress(InvalidInput):
        checked_url(text)
