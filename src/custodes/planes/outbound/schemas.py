"""JSON Schemas of payloads: checking them, checking by them, and telling which changes break receivers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from custodes.errors import InvalidInput

# Most installs have no catalogue, and importing it takes a tenth of a second.
if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

#: Largest schema, bytes of JSON.
MAX_SCHEMA = 65_536

#: Places of a payload that are named in one refusal.
_MAX_FAULTS = 3

#: Words whose value must stay as it is: whether a change of theirs lets more through is not decided here.
_SAME = (
    "format", "pattern", "$ref", "contentEncoding", "anyOf", "oneOf", "allOf", "not", "patternProperties",
    "dependentRequired",
)  # fmt: skip
#: Bounds that a change may only tighten: upwards, and downwards.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def checked_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check a schema (draft 2020-12); returns it as plain JSON values.

    Raises:
        InvalidInput: it is none, is too large, or refers to another document.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        text = json.dumps(dict(schema), allow_nan=False)
        plain: dict[str, Any] = json.loads(text)
        Draft202012Validator.check_schema(plain)
    except SchemaError as error:
        raise _wrong(f"is no JSON Schema: {error.message[:200]}") from None
    except (TypeError, ValueError, RecursionError):
        raise _wrong("is not JSON") from None
    if len(text) > MAX_SCHEMA:
        raise _wrong(f"has {len(text)} bytes, more than {MAX_SCHEMA}")
    if any(not str(reference).startswith("#") for reference in _references(plain)):
        raise _wrong("refers to another document")
    return plain


def validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Make what checks payloads, once for many."""
    from jsonschema import Draft202012Validator

    return Draft202012Validator(dict(schema))


def check_payload(name: str, checker: Draft202012Validator, payload: Any) -> None:
    """Check a payload.

    Raises:
        InvalidInput: it is not what the schema says; names the places, never a value.
    """
    faults = cast("list[ValidationError]", list(cast("Any", checker).iter_errors(payload)))
    if faults:
        told = ", ".join(f"{fault.json_path} ({fault.validator})" for fault in faults[:_MAX_FAULTS])
        msg = f"The payload is not what the catalogue says of {name}: {told}"
        raise InvalidInput(msg, remedy="Mend the payload, or change the schema of the event type")


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any], place: str = "$") -> list[str]:
    """List what in a new schema could break those who rely on the old one: whatever lets more through than before."""
    return list(_breaks(old, new, place))


def _breaks(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[str]:
    yield from _breaks_of_value(old, new, place)
    for word in _SAME:
        if word in old and new.get(word) != old[word]:
            yield f"{place} has another {word}"
    for word in _LOWER:
        if word in old and (word not in new or new[word] < old[word]):
            yield f"{place} has a lower {word}, or none"
    for word in _UPPER:
        if word in old and (word not in new or new[word] > old[word]):
            yield f"{place} has a higher {word}, or none"
    yield from _breaks_below(old, new, place)


def _breaks_of_value(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[str]:
    before, after = _types(old), _types(new)
    if before and not (after and after <= before | ({"integer"} if "number" in before else set())):
        yield f"{place} may be of another type than before"
    for name in sorted(set(_list(old, "required")) - set(_list(new, "required"))):
        yield f"{place}.{name} may be missing"
    if "enum" in old and ("enum" not in new or not _within(new["enum"], old["enum"])):
        yield f"{place} may have other values than before"
    if "const" in old and new.get("const", _NONE) != old["const"]:
        yield f"{place} may have another value than before"


def _breaks_below(old: Mapping[str, Any], new: Mapping[str, Any], place: str) -> Iterator[str]:
    fields, fields_after = _object(old, "properties"), _object(new, "properties")
    for name, schema in fields.items():
        if name not in fields_after:
            yield f"{place}.{name} is gone"
        elif isinstance(schema, dict) and isinstance(fields_after[name], dict):
            yield from _breaks(cast("dict[str, Any]", schema), fields_after[name], f"{place}.{name}")
    if old.get("additionalProperties") is False:
        if new.get("additionalProperties") is not False:
            yield f"{place} may have fields that are not named"
        for name in sorted(set(fields_after) - set(fields)):
            yield f"{place}.{name} is new where no other fields were allowed"
    if isinstance(old.get("items"), dict):
        if not isinstance(new.get("items"), dict):
            yield f"{place}[*] may be anything"
        else:
            yield from _breaks(old["items"], new["items"], f"{place}[*]")
    definitions, definitions_after = _object(old, "$defs"), _object(new, "$defs")
    for name, schema in definitions.items():
        after = definitions_after.get(name)
        if isinstance(schema, dict) and isinstance(after, dict):
            yield from _breaks(cast("dict[str, Any]", schema), cast("dict[str, Any]", after), f"{place}.$defs.{name}")


_NONE = object()


def _types(schema: Mapping[str, Any]) -> set[str]:
    given = schema.get("type")
    return {given} if isinstance(given, str) else set(cast("list[str]", given or []))


def _list(schema: Mapping[str, Any], word: str) -> list[str]:
    return cast("list[str]", schema.get(word) or [])


def _object(schema: Mapping[str, Any], word: str) -> dict[str, Any]:
    return cast("dict[str, Any]", schema.get(word) or {})


def _within(some: list[Any], others: list[Any]) -> bool:
    return all(one in others for one in some)


def _references(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        for name, value in cast("dict[str, Any]", schema).items():
            if name in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in cast("list[Any]", schema):
            yield from _references(value)


def _wrong(why: str) -> InvalidInput:
    msg = f"The schema {why}"
    return InvalidInput(msg, remedy="Give a JSON Schema of draft 2020-12 that stands by itself")
