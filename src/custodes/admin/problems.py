"""Errors as ``application/problem+json`` (RFC 9457): one shape for every refusal of the admin API.

Nothing that came in is ever echoed: a validation fault names the field and what is wrong with it, not the value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from custodes.errors import AuthenticationFailed, CustodesError, RateLimited
from custodes.runtime.log import get_logger

#: Media type of every error.
MEDIA_TYPE = "application/problem+json"

#: A problem's ``type`` is this and the error's code.
TYPE_PREFIX = "urn:custodes:problem:"

#: Faults of one body that are listed; the rest is dropped.
MAX_FAULTS = 20

_log = get_logger("custodes.admin")


class Fault(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Where: `query.limit`, `body.reason`, `path.id`")
    message: str = Field(description="What is wrong with it, never its value")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="`urn:custodes:problem:` and the code")
    title: str = Field(description="The same for every occurrence of this code")
    status: int = Field(description="HTTP status", ge=400, le=599)
    code: str = Field(description="Stable name for programs: `not-found`, `forbidden`, …")
    detail: str = Field(description="What happened, for a person")
    remedy: str = Field(default="", description="How to fix it; empty when there is nothing to advise")
    trace_id: str = Field(default="", description="Joins this answer with the logs and the audit trail")
    errors: list[Fault] = Field(default_factory=list[Fault], description="One entry for each wrong field")


#: Pass as ``responses=`` (``app.py`` does, for every plane): the answers that any admin route may give.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (400, "The request cannot be read"),
        (401, "Who you are is not proven"),
        (403, "Who you are may not do this"),
        (404, "No such thing, or not for this tenant"),
        (409, "The thing is not in the state the action needs"),
        (413, "The body is larger than the limit"),
        (422, "A value is not acceptable"),
        (429, "Too many requests"),
        (503, "The store cannot take it now"),
    )
}


def problem_body(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    remedy: str = "",
    trace_id: str = "",
    errors: Sequence[Mapping[str, str]] = (),
) -> bytes:
    """Write a problem; this is the only place that knows its keys."""
    return json.dumps(
        {
            "type": TYPE_PREFIX + code,
            "title": title,
            "status": status,
            "code": code,
            "detail": detail,
            "remedy": remedy,
            "trace_id": trace_id,
            "errors": list(errors),
        },
        ensure_ascii=False,
    ).encode("utf-8", "backslashreplace")


def problem_of(error: CustodesError, trace_id: str = "") -> bytes:
    """Write one of our own errors as a problem."""
    detail, remedy = (error.message, error.remedy) if error.status < 500 or error.status == 503 else (error.title, "")
    return problem_body(
        status=error.status, code=error.code, title=error.title, detail=detail, remedy=remedy, trace_id=trace_id
    )


def trace_of(request: Request) -> str:
    """Trace id of a request, as the shell has put it there."""
    return str(getattr(request.state, "trace_id", ""))


def headers_of(error: CustodesError) -> dict[str, str]:
    """Headers that belong to an error: how to authenticate, when to come back."""
    if isinstance(error, AuthenticationFailed):
        return {"WWW-Authenticate": 'Bearer realm="custodes"'}
    retry_after = getattr(error, "retry_after", None)
    if isinstance(error, RateLimited) and isinstance(retry_after, int):
        return {"Retry-After": str(retry_after)}
    return {}


def install_problem_handlers(app: FastAPI) -> None:
    """Have every error of an app answered as a problem."""
    app.add_exception_handler(CustodesError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, CustodesError)
    await request.app.state.refusals.note(request, error)
    if error.status >= 500:
        _log.warning("admin_request_failed", code=error.code, error=str(error), trace_id=trace_of(request))
    return _respond(problem_of(error, trace_of(request)), error.status, headers_of(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    body = problem_body(
        status=422,
        code="invalid-input",
        title="Invalid input",
        detail="The request has values that are not acceptable",
        remedy="See errors for the fields",
        trace_id=trace_of(request),
        errors=[_fault(fault) for fault in error.errors()[:MAX_FAULTS]],
    )
    return _respond(body, 422)


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    # The location of a fault below a free-form mapping holds keys of the caller: cut to what a field name can be.
    where = ".".join(str(part)[:64] for part in fault["loc"][:6])
    return {"field": where, "message": str(fault["msg"])[:200]}


async def _framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    body = problem_body(
        status=error.status_code,
        code=phrase.lower().replace(" ", "-"),
        title=phrase,
        detail=f"{phrase}: {request.method} here" if error.status_code in {404, 405} else str(error.detail)[:200],
        trace_id=trace_of(request),
    )
    return _respond(body, error.status_code, dict(error.headers or {}))


def _respond(body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)
