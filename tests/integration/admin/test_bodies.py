"""What a request says is done or refused: no field of a body and no parameter is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.portal.app import create_portal_app
from custodes.testing.admin import key_for

API = "/api/admin/enterprise"

_ID = "01a20715-efc2-7266-8e32-58b974ac90b4"


def objects_of_bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through every object with fields of its own that a request's body may hold."""
    schemas = document["components"]["schemas"]
    waiting: list[Any] = [
        operation["requestBody"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    seen: set[str] = set()
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)}:
                name = reference.rsplit("/", 1)[1]
                if name not in seen:
                    seen.add(name)
                    waiting.append(schemas[name])
                    if "properties" in schemas[name]:
                        yield name, schemas[name]
            case dict(parts):
                waiting.extend(parts.values())
            case list(parts):
                waiting.extend(parts)
            case _:
                pass


@pytest.mark.parametrize("make", [create_admin_app, create_portal_app])
def test_every_object_of_every_body_has_the_fields_that_are_documented_and_no_other(custodes: Custodes, make: Any):
    found = dict(objects_of_bodies(make(custodes).openapi()))

    assert found
    assert [name for name, schema in found.items() if schema.get("additionalProperties") is not False] == []


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "/rate-limits/blocks",
            {"identifier": "203.0.113.9", "kind": "ip", "reason": "x", "duration": 60},
            "There is no field duration (did you mean duration_seconds?)",
        ),
        (
            "/webhook-configurations",
            {"url": "https://example.com/", "tenant": "acme"},
            "There is no field tenant; fields are",
        ),
        (
            "/webhook-configurations",
            {"url": "https://example.com/", "retry": {"schedule_seconds": [1], "tries": 3}},
            "There is no field tries",
        ),
    ],
)
async def test_a_field_that_there_is_not_is_refused_by_name(
    custodes: Custodes, client: httpx2.AsyncClient, path: str, body: dict[str, Any], said: str
):
    answer = await client.post(API + path, json=body, headers=await key_for(custodes, "owner"))

    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["message"]


async def test_a_parameter_that_there_is_not_is_refused_by_every_route_with_the_nearest(
    custodes: Custodes, client: httpx2.AsyncClient, app: FastAPI
):
    """Given a misspelt filter, then no route answers as if it had not been given, and it says what it takes."""
    owner = await key_for(custodes, "owner")
    answered: dict[str, int] = {}
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            if operation["tags"][0] in {"session", "ingest"}:
                continue  # questions are asked of the others
            place = re.sub(r"\{[^}]+\}", _ID, path)
            answer = await client.request(method, place, params={"statsu": "x"}, headers=owner)
            answered[operation["operationId"]] = answer.status_code
            assert "no parameter 'statsu'" in answer.json()["detail"], (path, answer.text)
    assert set(answered.values()) == {422}

    said = (await client.get(f"{API}/webhook-events?statsu=failed", headers=owner)).json()

    assert "did you mean status?" in said["detail"]
    assert "event_type" in said["remedy"]


async def test_a_parameter_that_takes_one_value_is_not_given_two(custodes: Custodes, client: httpx2.AsyncClient):
    """Given a filter of one value, When it is given twice, Then no route answers as if the first had not been said."""
    owner = await key_for(custodes, "owner")

    answer = await client.get(f"{API}/alerts?state=firing&state=resolved", headers=owner)

    assert answer.status_code == 422
    assert "'state' is given twice" in answer.json()["detail"]
    both = await client.get(f"{API}/webhook-events?status=failed&status=dead", headers=owner)
    assert both.status_code == 200, both.text


async def test_who_may_not_ask_is_not_told_what_could_be_asked(custodes: Custodes, client: httpx2.AsyncClient):
    for headers, status in (({}, 401), (await key_for(custodes, "member"), 403)):
        answer = await client.get(f"{API}/webhook-events?statsu=failed", headers=headers)

        assert answer.status_code == status
