"""What a request says is done or refused: no field of a body is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.portal.app import create_portal_app
from custodes.testing.admin import key_for

API = "/api/admin/enterprise"


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
