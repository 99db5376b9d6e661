"""What the admin API can be asked, read from its own OpenAPI document: names, arguments, and the requests they make."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

from custodes.errors import InvalidInput
from custodes.kernel.spelling import nearest

#: Kinds of answers that a reader can be shown. What has none of them is a file to take away (``…/export``).
READABLE = frozenset({"application/json", "application/octet-stream"})

#: How the document refers to its parts.
_COMPONENT = "#/components/schemas/"

_Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One question."""

    #: Its operation id: ``traces_get_trace``.
    name: str
    #: What it answers.
    description: str
    #: Path template.
    path: str
    #: JSON Schema of its arguments: those of path and query, by name.
    schema: Mapping[str, Any]
    #: Arguments that are parts of the path.
    in_path: frozenset[str]

    def target(self, arguments: Mapping[str, object]) -> str:
        """Write path and query of the request. Whether the values are acceptable is for the API to say.

        Raises:
            InvalidInput: there is no such argument, one of the path is missing, or a value cannot be part of a URL.
        """
        known = self.schema["properties"]
        for name in arguments:
            if name not in known:
                msg = f"{self.name} has no argument of that name"
                raise InvalidInput(msg, remedy=f"Its arguments: {', '.join(known) or 'none'}{nearest(name, known)}")
        given = {name: _written(name, value) for name, value in arguments.items() if value is not None}
        path = self.path
        for name in self.in_path:
            part = "".join(given.pop(name, ()))
            if part in {"", ".", ".."}:  # the latter would lead elsewhere
                msg = f"{self.name} needs {name}"
                raise InvalidInput(msg, remedy=str(known[name].get("description", "")))
            path = path.replace(f"{{{name}}}", quote(part, safe="", errors="replace"))
        query = urlencode([(name, word) for name, words in given.items() for word in words], errors="replace")
        return f"{path}?{query}" if query else path


def operations(document: _Document, may: Container[str]) -> dict[str, Operation]:
    """Find what only reads, and answers with what can be read; by name.

    Args:
        document: the OpenAPI document.
        may: ids of the operations that whoever asks may call.
    """
    found: dict[str, Operation] = {}
    for path, methods in document["paths"].items():
        told = methods.get("get")
        if (
            told is not None
            and told["operationId"] in may
            and READABLE & set(told["responses"]["200"].get("content", ()))
        ):
            found[told["operationId"]] = _operation(path, told, document)
    return found


def _operation(path: str, told: _Document, document: _Document) -> Operation:
    parameters = [one for one in told.get("parameters", ()) if one["in"] in {"path", "query"}]
    return Operation(
        name=told["operationId"],
        description=told.get("description", told["summary"]),
        path=path,
        schema={
            "type": "object",
            "properties": {one["name"]: _plain(one["schema"], document) for one in parameters},
            "required": [one["name"] for one in parameters if one.get("required")],
            "additionalProperties": False,
        },
        in_path=frozenset(one["name"] for one in parameters if one["in"] == "path"),
    )


def _plain(node: Any, document: _Document) -> Any:
    """Write a schema so that it stands alone: parts of the document in their places, without titles."""
    if isinstance(node, list):
        return [_plain(each, document) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    node = cast("dict[str, Any]", node)
    reference = node.get("$ref")
    if isinstance(reference, str):
        node = {**document["components"]["schemas"][reference.removeprefix(_COMPONENT)], **node}
        del node["$ref"]
    return {name: _plain(each, document) for name, each in node.items() if name != "title"}


def _written(name: str, value: object) -> list[str]:
    return [_word(name, each) for each in (cast("list[object]", value) if isinstance(value, list) else [value])]


def _word(name: str, value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            msg = f"{name} is a text, a number, true or false, or a list of them"
            raise InvalidInput(msg)
