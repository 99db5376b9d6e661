"""JSON Schemas of payloads: checking them, checking by them, and telling which changes break receivers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from custodes.errors import InvalidInput, MalformedPayload
from custodes.kernel.json_bounds import plain_json
from custodes.planes.outbound.schema_bounds import MAX_STEPS, PATTERN_TEXT, Checker, steps_of

#: Largest schema, bytes of JSON.
MAX_SCHEMA = 65_536

#: Most schemas that one value of a payload may be checked by.
MAX_UNFOLDED = 1_000

#: Places of a payload that are named in one refusal.
_MAX_FAULTS = 3

#: Words whose value must stay as it is: whether a change of theirs lets more through is not decided here.
_SAME = (
    "format", "pattern", "$ref", "contentEncoding", "anyOf", "oneOf", "allOf", "not", "patternProperties",
    "dependentRequired",
)  # fmt: skip
#: Words whose value is data, and those whose value has a schema for each of many names.
_DATA = frozenset({"default", "const", "enum", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
#: Bounds that a change may only tighten: upwards, and downwards.
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def checked_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Check a schema (draft 2020-12); returns it as plain JSON values.

    Raises:
        InvalidInput: it is none, is too large, refers to another document or to nothing, or could keep a check busy: a
            reference that leads back to itself, too much for one value, a pattern with too many ways to match.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        plain: dict[str, Any] = plain_json(dict(schema))
        Draft202012Validator.check_schema(plain)
    except SchemaError as error:
        raise _wrong(f"is no JSON Schema: {error.message[:200]}") from None
    except (MalformedPayload, RecursionError):
        raise _wrong("is not JSON") from None
    size = len(json.dumps(plain))
    if size > MAX_SCHEMA:
        raise _wrong(f"has {size} bytes, more than {MAX_SCHEMA}")
    if any(not str(reference).startswith("#") for _, reference in _told(plain, ("$ref", "$dynamicRef"))):
        raise _wrong("refers to another document")
    if any(schema is not plain for schema, _ in _told(plain, ("$id", "$schema"))):
        raise _wrong("has an $id or a $schema below its root")
    _check_patterns(plain)
    _check_references(plain)
    return plain


def check_payload(name: str, checker: Checker, payload: Any) -> None:
    """Check a payload.

    Raises:
        InvalidInput: it is not what the schema says, or checking it takes too long; names the places, never a value.
    """
    faults = checker.faults(payload)
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


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Return a schema and those in it, at every level; what stands in it as data is none."""
    if isinstance(schema, dict):
        yield cast("dict[str, Any]", schema)
        for word, value in cast("dict[str, Any]", schema).items():
            if word in _NAMED and isinstance(value, dict):
                yield from _schemas(list(cast("dict[str, Any]", value).values()))
            elif word not in _DATA:
                yield from _schemas(value)
    elif isinstance(schema, list):
        for value in cast("list[Any]", schema):
            yield from _schemas(value)


def _told(plain: dict[str, Any], words: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Find words that have a text, at every level, each with the schema that it stands in."""
    for schema in _schemas(plain):
        yield from ((schema, schema[word]) for word in words if isinstance(schema.get(word), str))


def _check_patterns(plain: dict[str, Any]) -> None:
    patterns = [pattern for _, pattern in _told(plain, ("pattern",))]
    patterns += [name for schema in _schemas(plain) for name in _object(schema, "patternProperties")]
    for pattern in patterns:
        try:
            steps = steps_of(pattern, PATTERN_TEXT)
        except (re.error, RecursionError, OverflowError):
            raise _wrong(f"has a pattern that cannot be read: {pattern[:60]!r}") from None
        if steps > MAX_STEPS:
            raise _wrong(
                f"has a pattern that may take for ever: repeats within repeats, or many in a row {pattern[:60]!r}"
            )


def _check_references(plain: dict[str, Any]) -> None:
    """Make sure that references lead somewhere, and that what they unfold to for one value is bounded."""
    import referencing
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resolver = cast("Any", referencing).Registry().resolver_with_root(cast("Any", DRAFT202012).create_resource(plain))
    sizes: dict[int, int] = {}
    # Nothing else was looked through: data, or a table of names, must not become a schema by a reference to it.
    schemas = {id(schema) for schema in _schemas(plain)}

    def target(reference: str) -> Any:
        try:
            found: Any = resolver.lookup(f"#{reference.partition('#')[2]}").contents
        except (Unresolvable, ValueError):
            found = None
        if not isinstance(found, bool) and id(found) not in schemas:
            raise _wrong(f"refers to what is no schema in it: {reference[:100]}")
        return cast("Any", found)

    def size(schema: Any) -> int:
        """Count the schemas that one value is checked by, whatever it is."""
        if not isinstance(schema, dict):
            return 1
        known = sizes.get(id(cast("Any", schema)))
        if known == 0:
            raise _wrong("has a reference that leads back to itself without a step into the payload")
        if known is None:
            sizes[id(cast("Any", schema))] = 0
            known = 1 + sum(map(size, _beside(cast("dict[str, Any]", schema), target)))
            if known > MAX_UNFOLDED:
                raise _wrong(f"unfolds to more than {MAX_UNFOLDED} schemas for one value")
            sizes[id(cast("Any", schema))] = known
        return known

    try:
        for schema, _ in [*_told(plain, ("$ref", "$dynamicRef"))]:
            size(schema)
        size(plain)
    except RecursionError:
        raise _wrong("has too long a chain of references") from None


def _beside(schema: dict[str, Any], target: Callable[[str], Any]) -> Iterator[Any]:
    """Return the schemas that the same value is checked by."""
    for word in ("$ref", "$dynamicRef"):
        if isinstance(schema.get(word), str):
            yield target(schema[word])
    for word in ("allOf", "anyOf", "oneOf"):
        yield from _list(schema, word)
    for word in ("not", "if", "then", "else"):
        yield schema.get(word)
    yield from _object(schema, "dependentSchemas").values()


def _wrong(why: str) -> InvalidInput:
    msg = f"The schema {why}"
    return InvalidInput(msg, remedy="Give a JSON Schema of draft 2020-12 that stands by itself")
