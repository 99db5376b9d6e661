"""Where a request may come from."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from custodes.admin.auth.csrf import ForgedRequest, check_origin, check_token
from custodes.planes.identity.tokens import csrf_token


def request(scheme: str = "http", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in {"host": "ops:8321", **headers}.items()]
    return Request(
        {"type": "http", "method": "POST", "scheme": scheme, "path": "/", "headers": raw, "query_string": b""}
    )


@pytest.mark.parametrize(
    ("scheme", "public_url", "headers"),
    [
        ("http", "", {}),
        ("http", "", {"origin": "http://ops:8321"}),
        ("http", "", {"origin": "https://ops:8321"}),
        ("https", "", {"origin": "https://OPS:8321"}),
        ("http", "", {"origin": "http://ops:8321", "sec_fetch_site": "same-origin"}),
        ("http", "", {"sec_fetch_site": "none"}),
        ("http", "https://custodes.example.com/x", {"origin": "https://custodes.example.com"}),
        ("http", "https://Custodes.example.com:443", {"origin": "https://custodes.example.com"}),
        ("http", "https://custodes.example.com:8443", {"origin": "https://custodes.example.com:8443"}),
    ],
)
def test_our_own_pages_and_programs_pass(scheme: str, public_url: str, headers: dict[str, str]) -> None:
    check_origin(request(scheme, **headers), public_url)


@pytest.mark.parametrize(
    ("scheme", "public_url", "headers"),
    [
        ("http", "", {"origin": "null"}),
        ("http", "", {"origin": ""}),
        ("http", "", {"origin": "http://ops"}),
        ("https", "", {"origin": "http://ops:8321"}),
        ("http", "", {"origin": "http://evil:8321"}),
        ("http", "", {"origin": "ftp://ops:8321"}),
        ("http", "", {"origin": "http://ops:8321@evil"}),
        ("http", "", {"origin": "http://ops:8321", "sec_fetch_site": "cross-site"}),
        ("http", "", {"sec_fetch_site": "same-site"}),
        ("http", "", {"sec_fetch_site": ""}),
        ("http", "https://custodes.example.com", {"origin": "http://custodes.example.com"}),
        ("http", "https://custodes.example.com", {"origin": "https://custodes.example.com.evil"}),
        ("http", "https://custodes.example.com:80", {"origin": "https://custodes.example.com"}),
    ],
)
def test_other_sites_do_not(scheme: str, public_url: str, headers: dict[str, str]) -> None:
    with pytest.raises(ForgedRequest):
        check_origin(request(scheme, **headers), public_url)


def test_the_token_belongs_to_one_session_and_tells_nothing_of_it() -> None:
    session = "a" * 43
    check_token(session, csrf_token(session))
    assert session not in csrf_token(session)
    for wrong in ("", csrf_token("b" * 43), csrf_token(session)[:-1], "é"):
        with pytest.raises(ForgedRequest):
            check_token(session, wrong)
