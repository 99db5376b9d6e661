"""What holds for every request: one error shape, bounds, headers, and nothing of the inside."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from custodes import Custodes
from custodes.admin.shell import MAX_BODY, MAX_DEPTH
from custodes.errors import StorageUnavailable
from custodes.testing.admin import key_for

API = "/api/admin/enterprise"

#: Every key of every problem; programs may rely on them.
KEYS = {"type", "title", "status", "code", "detail", "remedy", "trace_id", "errors"}


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == KEYS
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:custodes:problem:{code}")
    assert len(body["trace_id"]) == 32
    return body


async def test_one_shape_for_every_error(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    headers = await key_for(custodes, "owner")
    unknown_id = "01a20715-efc2-7266-8e32-58b974ac90b4"

    problem(await client.get(f"{API}/me"), 401, "unauthenticated")
    problem(await client.get("/nowhere"), 404, "not-found")
    problem(await client.get(f"{API}/nowhere", headers=headers), 404, "not-found")
    problem(await client.delete(f"{API}/me", headers=headers), 405, "method-not-allowed")
    problem(await client.get(f"{API}/user-profiles/{unknown_id}", headers=headers), 404, "not-found")
    problem(await client.get(f"{API}/user-profiles?limit=many", headers=headers), 422, "invalid-input")
    problem(await client.get(f"{API}/user-profiles?cursor=%00", headers=headers), 422, "invalid-input")
    problem(
        await client.post(f"{API}/user-profiles", headers=await key_for(custodes, "admin"), json={}), 403, "forbidden"
    )
    body = {"subject": "ann", "role": "admin"}
    assert (await client.post(f"{API}/user-profiles", headers=headers, json=body)).status_code == 201
    problem(await client.post(f"{API}/user-profiles", headers=headers, json=body), 409, "conflict")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", f"{API}/login/", 404), ("GET", "/dashboard/admin/enterprise/", 303)]
)
async def test_nobody_is_sent_to_the_host_that_a_request_names(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    """Given a proxy that ends TLS, When a slash too many is written, Then no password is sent on to plain http."""
    response = await client.request(method, path, headers={"Host": "evil.example"})

    assert response.status_code == status
    assert response.headers.get("location", "") in {"", "/dashboard/admin/enterprise"}


async def test_a_401_says_how_to_authenticate(client: httpx2.AsyncClient) -> None:
    response = await client.get(f"{API}/me")
    assert response.headers["www-authenticate"].startswith("Bearer ")


async def test_a_fault_names_the_field_and_never_the_value(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    canary = "canary-7f3a"
    response = await client.post(
        f"{API}/user-profiles",
        headers=await key_for(custodes, "owner"),
        json={"subject": [canary], "role": canary},
    )
    body = problem(response, 422, "invalid-input")
    assert {fault["field"] for fault in body["errors"]} == {"body.subject", "body.role"}
    assert canary not in response.text

    login = await client.post(f"{API}/login", json={"username": "x", "password": [canary]})
    assert canary not in login.text
    assert canary not in (await client.post(f"{API}/login", content=f'{{"username": "{canary}')).text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"\xff\xfe", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"\\ud800"', 422),
        (b"1" * 5_000, 400),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"NaN", 422),
    ],
)
async def test_a_malformed_body_is_refused_in_words(
    client: httpx2.AsyncClient, custodes: Custodes, content: bytes, status: int
) -> None:
    headers = {**await key_for(custodes, "owner"), "Content-Type": "application/json"}

    response = await client.post(f"{API}/user-profiles", headers=headers, content=content)

    assert response.status_code in {400, 422}
    assert response.status_code == status or content == b"\xff\xfe" or content.startswith(b"1")
    assert set(response.json()) == KEYS


@pytest.mark.parametrize("kind", ["application/json", "application/JSON", "application/vnd.acme+Json; charset=utf-8"])
async def test_the_depth_of_json_is_bounded_however_its_media_type_is_written(
    client: httpx2.AsyncClient, custodes: Custodes, kind: str
) -> None:
    """Given that media types know no case, When JSON is nested too deep, Then it is refused under any spelling."""
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    content = f'{{"items": [{{"action": "a.b", "actor": "user:1", "context": {{"x": {nested}}}}}]}}'

    response = await client.post(
        f"{API}/ingest/audit-events",
        headers={**await key_for(custodes, "owner"), "Content-Type": kind},
        content=content,
    )

    assert "nested deeper" in problem(response, 400, "malformed-payload")["detail"]


@pytest.mark.parametrize("content", [rb'{"\ud800": 1}', rb'{"username": "x", "password": "x", "\udfffx": 1}'])
async def test_a_name_that_is_no_text_is_refused_like_any_other(client: httpx2.AsyncClient, content: bytes) -> None:
    """Given nobody has signed in, When a field's name is half of a surrogate pair, Then it is a fault, not a crash."""
    response = await client.post(f"{API}/login", headers={"Content-Type": "application/json"}, content=content)

    assert "There is no field" in problem(response, 422, "invalid-input")["errors"][-1]["message"]


async def test_brackets_inside_a_text_are_not_depth(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    body = {"subject": "[" * 100 + '"' + "{" * 100, "role": "member"}
    response = await client.post(f"{API}/user-profiles", headers=await key_for(custodes, "owner"), json=body)
    assert response.status_code == 201


async def test_a_body_of_broken_strings_costs_a_stranger_more_than_us(client: httpx2.AsyncClient) -> None:
    """
    Given nobody has signed in,
    When a body of the largest size consists of a string that never ends, full of escaped quotation marks,
    Then its depth is known at once: each byte is looked at once, not once for each quotation mark before it.
    """
    start = b"[" * (MAX_DEPTH + 1) + b'"'
    content = start + b'\\"' * ((MAX_BODY - len(start)) // 2)
    begin = time.process_time()

    response = await client.post(f"{API}/login", headers={"Content-Type": "application/json"}, content=content)

    assert response.status_code == 400
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON", "text/plain", "multipart/form-data", ""])
async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    client: httpx2.AsyncClient, custodes: Custodes, kind: str
) -> None:
    """Declared or not, whatever it says it is: no more than the limit and one chunk is taken in."""
    headers = {**await key_for(custodes, "owner"), **({"Content-Type": kind} if kind else {})}
    taken = 0

    async def endless() -> Any:
        nonlocal taken
        while True:
            taken += 65_536
            yield b" " * 65_536

    declared = await client.post(f"{API}/user-profiles", headers=headers, content=b" " * (MAX_BODY + 1))
    problem(declared, 413, "payload-too-large")
    undeclared = await client.post(f"{API}/user-profiles", headers=headers, content=endless())
    problem(undeclared, 413, "payload-too-large")
    assert taken <= MAX_BODY + 2 * 65_536


async def test_what_nobody_caught_tells_nothing_of_the_inside(app: FastAPI, client: httpx2.AsyncClient) -> None:
    @app.get(f"{API}/broken")
    async def broken() -> None:
        msg = "canary-secret in a traceback"
        raise RuntimeError(msg)

    response = await client.get(f"{API}/broken")

    body = problem(response, 500, "error")
    assert "canary" not in response.text
    assert "Traceback" not in response.text
    assert body["remedy"] == "Look for the trace id in the logs"


async def test_a_store_that_is_down_is_503(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await key_for(custodes, "owner")

    async def down(*_args: object, **_more: object) -> None:
        msg = "SQLite could not do it: disk I/O error"
        raise StorageUnavailable(msg, remedy="Check the disk")

    monkeypatch.setattr(type(custodes.database), "read", down)
    problem(await client.get(f"{API}/user-profiles", headers=headers), 503, "storage-unavailable")


async def test_every_answer_carries_the_security_headers(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    headers = await key_for(custodes, "owner")
    for path in (f"{API}/me", f"{API}/nowhere", "/dashboard/admin/enterprise/login", f"{API}/openapi.json"):
        response = await client.get(path, headers=headers)
        policy = response.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-frame-options"] == "DENY"


async def test_the_trace_of_the_caller_goes_on(client: httpx2.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await client.get(f"{API}/me", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert response.json()["trace_id"] == trace


async def test_the_document_is_for_admins_and_complete(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    assert (await client.get(f"{API}/openapi.json")).status_code == 401
    response = await client.get(f"{API}/openapi.json", headers=await key_for(custodes, "admin"))
    document = response.json()
    assert set(document["components"]["securitySchemes"]) == {"session", "bearer", "api_key"}
    assert "HTTPValidationError" not in json.dumps(document)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["description"], (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
                    assert answer["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_there_is_no_open_documentation(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404
