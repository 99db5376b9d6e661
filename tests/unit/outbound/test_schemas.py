"""Schemas of payloads: what is taken into the catalogue, and that no check takes for ever."""

from __future__ import annotations

from typing import Any

import pytest

from custodes.errors import InvalidInput
from custodes.planes.outbound import schema_bounds
from custodes.planes.outbound.schema_bounds import Checker
from custodes.planes.outbound.schemas import check_payload, checked_schema


def doubling(levels: int) -> dict[str, Any]:
    """A schema that asks for the one below twice, so many levels deep."""
    definitions: dict[str, Any] = {"a0": {"type": "object"}}
    for level in range(1, levels + 1):
        definitions[f"a{level}"] = {"allOf": [{"$ref": f"#/$defs/a{level - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/a{levels}"}


TREE: dict[str, Any] = {
    "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "name": {"type": "string"}}
}


@pytest.mark.parametrize(
    "pattern",
    [
        r"^https://", r"^[^@]+@[^@]+\.[^@]+$", r"^v\d+\.\d+$", r"^[A-Z]{2}-\d{1,5}$", r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
        r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", r"gold|silver", r"^\w+(\.\w+)*$", r"^(EUR|USD)$", "",
        r"^\d+\.\d+\.\d+(-\w+)?$", r"^[a-z]+(-[a-z]+)*(\.[a-z]+)?$", r"^(\d{1,3},)*\d{1,3}$", r"[a-z]+(-[a-z]+)*",
        "(ab|cd)*", "^(ab|cd)+$", r"^(\.|/|[^./])*$", "^((ab|cd)*,)*$",
    ],
)  # fmt: skip
def test_patterns_of_common_texts_are_taken(pattern: str) -> None:
    schema = checked_schema({"properties": {"a": {"type": "string", "pattern": pattern}}})
    assert schema["properties"]["a"]["pattern"] == pattern


@pytest.mark.parametrize(
    "wrong",
    [
        {"$ref": "#"},
        {"$ref": "#/nope"},
        {"$ref": "#nope"},
        {"$ref": "#/required", "required": []},
        {"allOf": [{"not": {"$ref": "#"}}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        {"properties": {"a": {"$id": "http://example.com/", "$ref": "#"}}},
        {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}},
        doubling(14),
        {"pattern": "^(a+)+$"},
        {"pattern": "(a|a)*b"},
        {"pattern": "^(a|b|ab)*$"},
        {"pattern": "^(ab+|cd|b)*$"},
        {"pattern": r"(?:-[\w-]+)*$"},
        {"pattern": "^(-a*a*)*$"},
        {"pattern": "^(/[a-z]*[a-z0-9]*)*$"},
        {"pattern": "(?i)^(a[A-Z]*)*$"},
        {"pattern": "^(?i:a[A-Z]*)*$"},
        {"pattern": "^(,[^,]*x[^,]*)*$"},
        {"pattern": "^" + "(|)" * 40 + "$"},
        {"pattern": "^((?=([a-z](?=[a-z]*-))*-).)*$"},
        {"pattern": r"^(\s[^\w]*)*$"},
        {"pattern": "(?m)^a*a*a*b"},
        {"properties": {"default": {"pattern": "^(a+)+$"}}},
        {"$ref": "#/default", "default": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        {"$ref": "#/$defs", "$defs": {"properties": {"default": {"$schema": "x"}}}},
        {"pattern": "a?" * 40 + "a" * 40},
        {"pattern": "a*a*a*a*b"},
        {"patternProperties": {"^(a+)+$": {}}},
        {"title": "\ud800"},
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_what_could_keep_a_check_busy_or_break_it_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="The schema"):
        checked_schema(wrong)


@pytest.mark.parametrize(
    "schema",
    [
        {"default": {"g": {"pattern": "*.txt"}}},
        {"examples": [{"$schema": "x"}, {"$ref": "x"}]},
        {"const": {"patternProperties": {"*": 1}}},
        {"enum": [{"$id": "x"}]},
    ],
    ids=str,
)
def test_what_stands_in_a_schema_as_data_is_not_read_as_one(schema: dict[str, Any]) -> None:
    assert checked_schema({"properties": {"a": schema}})["properties"]["a"] == schema


def test_many_short_texts_are_checked_by_a_pattern() -> None:
    schema = checked_schema({"items": {"pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"}})
    check_payload("many", Checker(schema), ["someone.of.ours@mail.example.com"] * 1_000)


def test_a_schema_may_refer_to_itself_one_step_into_the_payload() -> None:
    checker = Checker(checked_schema({"$schema": "https://json-schema.org/draft/2020-12/schema", **TREE}))

    check_payload("tree", checker, {"children": [{"children": []}, {"name": "leaf"}]})
    with pytest.raises(InvalidInput, match=r"children\[0\]\.name"):
        check_payload("tree", checker, {"children": [{"name": 1}]})


@pytest.mark.parametrize(
    ("schema", "payload"),
    [
        ({"$ref": "#"}, {}),
        ({"$ref": "#/nope"}, {}),
        (doubling(30), {}),
        ({"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}, [[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]),
        ({"pattern": "^(a+)+$"}, "a" * 60 + "!"),
        ({"pattern": "^[a-z]+[a-z]+[a-z]+$"}, "a" * 100_000 + "!"),
        ({"patternProperties": {"^(a+)+$": {}}}, {"a" * 60 + "!": 1}),
        ({"uniqueItems": True}, [{"n": n} for n in range(20_000)]),
    ],
    ids=["itself", "nothing", "doubling", "doubling by level", "pattern", "long text", "name", "unique"],
)
def test_a_check_ends_whatever_schema_is_stored(
    schema: dict[str, Any], payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_bounds, "MAX_STEPS", 2_000)
    with pytest.raises(InvalidInput):
        check_payload("odd", Checker(schema), payload)


def test_each_check_has_all_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_bounds, "MAX_STEPS", 100)
    checker = Checker({"items": {"type": "integer"}})
    for _ in range(3):
        check_payload("many", checker, list(range(60)))
