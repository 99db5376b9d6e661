"""What agents can ask is read from the OpenAPI document of the admin API."""

from typing import Any

import pytest

from custodes.cli.operations import operations
from custodes.errors import InvalidInput

JSON = {"200": {"content": {"application/json": {}}}}


def _get(name: str, *parameters: dict[str, Any], answers: Any = JSON, **more: Any) -> dict[str, Any]:
    return {"get": {"operationId": name, "summary": name, "parameters": parameters, "responses": answers, **more}}


def _parameter(name: str, where: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"title": name, **schema}}


DOCUMENT = {
    "paths": {
        "/calls/{id}": _get("show", _parameter("id", "path", type="string")),
        "/calls": {
            **_get(
                "list",
                _parameter("state", "query", type="array", items={"$ref": "#/components/schemas/State"}),
                _parameter("text", "query", type="string"),
                _parameter("open", "query", type="boolean"),
                description="List calls.",
            ),
            "post": {"operationId": "add", "responses": JSON},
        },
        "/export": _get("export", answers={"200": {"content": {"text/csv": {}}}}),
        "/nothing": _get("nothing", answers={"200": {"description": "no body"}}),
    },
    "components": {"schemas": {"State": {"title": "State", "enum": ["open", "ended"]}}},
}

KNOWN = operations(DOCUMENT, {"show", "list", "add", "export", "nothing"})


def test_what_reads_and_can_be_read_is_offered_and_nothing_else():
    assert set(KNOWN) == {"show", "list"}


def test_a_schema_stands_alone():
    assert KNOWN["list"].schema == {
        "type": "object",
        "properties": {
            "state": {"type": "array", "items": {"enum": ["open", "ended"]}},
            "text": {"type": "string"},
            "open": {"type": "boolean"},
        },
        "required": [],
        "additionalProperties": False,
    }
    assert KNOWN["show"].schema["required"] == ["id"]


def test_what_may_not_be_asked_is_not_offered():
    assert set(operations(DOCUMENT, {"show", "add"})) == {"show"}


def test_an_operation_is_described_by_its_own_words_or_its_name():
    assert KNOWN["list"].description == "List calls."
    assert KNOWN["show"].description == "show"


@pytest.mark.parametrize(
    ("name", "arguments", "target"),
    [
        ("list", {}, "/calls"),
        ("list", {"state": ["open", "ended"], "open": True}, "/calls?state=open&state=ended&open=true"),
        ("list", {"text": "a&state=ended#é\n", "state": None}, "/calls?text=a%26state%3Dended%23%C3%A9%0A"),
        ("list", {"text": "\ud800"}, "/calls?text=%3F"),
        ("show", {"id": 7}, "/calls/7"),
        ("show", {"id": "../x?y"}, "/calls/..%2Fx%3Fy"),
    ],
)
def test_arguments_stay_arguments(name: str, arguments: dict[str, object], target: str):
    assert KNOWN[name].target(arguments) == target


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("show", {}, "show needs id"),
        ("show", {"id": None}, "show needs id"),
        ("show", {"id": ".."}, "show needs id"),
        ("show", {"id": {"a": 1}}, "id is a text, a number"),
        ("list", {"state": [["open"]]}, "state is a text, a number"),
        ("list", {"stat": "open"}, "list has no argument of that name"),
    ],
)
def test_what_cannot_be_asked_is_said(name: str, arguments: dict[str, object], said: str):
    with pytest.raises(InvalidInput, match=said):
        KNOWN[name].target(arguments)
