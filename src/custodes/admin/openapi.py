"""The OpenAPI document: what FastAPI derives, made true for our errors and our ways to sign in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from custodes.admin.auth.gate import authenticate
from custodes.admin.dependencies import require_admin, require_owner, require_whole
from custodes.admin.problems import MEDIA_TYPE, Problem

#: The ways to sign in; any one is enough.
SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-custodes",
        "description": "Local login. Requests that change something also carry `X-CSRF-Token`, as `GET me` tells it.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of Clerk or of a configured OIDC issuer, or an API key (`ck_…`).",
    },
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key (`ck_…`)."},
}

_Document = dict[str, Any]


def document(app: FastAPI, schemes: Mapping[str, Mapping[str, str]] = SECURITY_SCHEMES) -> _Document:
    """Write the OpenAPI document of an app; any of the ways to sign in is enough."""
    found = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_problem_schemas())
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _lift_definitions(found, schemas)
    components["securitySchemes"] = schemes
    found["security"] = [{name: []} for name in schemes]
    roles: dict[str, str] = getattr(app.state, "required_roles", {})
    for operation in _operations(found):
        _tell_problems(operation)
        if roles:
            operation["x-required-role"] = roles[operation["operationId"]]
    return found


def required_roles(router: APIRouter, tag: str, *, least: str) -> dict[str, str]:
    """Tell the least role that each operation of a router asks for, by what its code depends on.

    Args:
        router: routes of one plane.
        tag: its tag, the first part of its operation ids.
        least: what the router as a whole asks for: ``admin`` or ``none``.
    """
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    return {f"{tag}_{route.name}": _required_role(route, least) for route in routes}


def whole_install(router: APIRouter, tag: str) -> set[str]:
    """Name the operations of a router that only somebody may call who sees all tenants."""
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    return {f"{tag}_{route.name}" for route in routes if require_whole in _calls(route.dependant)}


def _required_role(route: APIRoute, least: str) -> str:
    asked = set(_calls(route.dependant))
    for call, role in ((require_owner, "owner"), (require_admin, "admin"), (authenticate, "member")):
        if call in asked:
            return "admin" if role == "member" and least == "admin" else role
    return least


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def _problem_schemas() -> _Document:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    return {**schema.pop("$defs", {}), "Problem": schema}


def _lift_definitions(node: Any, schemas: _Document) -> None:
    """Move definitions that a schema brings along to where the whole document finds them.

    A schema that is written into another one (``WithJsonSchema``) has ``$defs`` of its own, and its references would
    lead nowhere.
    """
    if isinstance(node, list):
        for each in cast("list[Any]", node):
            _lift_definitions(each, schemas)
    elif isinstance(node, dict):
        node = cast("_Document", node)
        for name, schema in node.pop("$defs", {}).items():
            schemas.setdefault(name, schema)
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            node["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")
        for each in list(node.values()):
            _lift_definitions(each, schemas)


def _operations(found: _Document) -> Iterator[_Document]:
    for path in found.get("paths", {}).values():
        yield from path.values()


def _tell_problems(operation: _Document) -> None:
    for status, response in operation["responses"].items():
        if status.startswith(("4", "5")):
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
