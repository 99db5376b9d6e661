"""What is being served right now: how code deep inside a request finds its trace and says who the caller is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol

from custodes.kernel.trace import Trace


class Serving(Protocol):
    """**Protocol:** a request on its way through the middleware."""

    @property
    def trace(self) -> Trace:
        """Where it stands in its trace."""
        ...

    @property
    def client_ip(self) -> str:
        """Client address as text; empty when unknown."""
        ...

    @property
    def user_agent(self) -> str:
        """User agent as text; empty when it sent none, or when it is no matter here."""
        ...

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """Note who calls; an empty text leaves what is known."""
        ...

    def note_exception(self, error: Exception) -> None:
        """Note what went wrong."""
        ...


#: The request that this task serves; set by the doors alone.
serving: ContextVar[Serving | None] = ContextVar("custodes_serving", default=None)


def current_trace() -> Trace | None:
    """Return the trace of the request that is being served, or None outside of one.

    Its ``headers()`` carry the trace on to what you call::

        if trace := current_trace():
            await client.get(url, headers=trace.headers())
    """
    request = serving.get()
    return request.trace if request is not None else None


def current_client_ip() -> str:
    """Return the client address of the request that is being served, seen through trusted proxies; empty if unknown."""
    request = serving.get()
    return request.client_ip if request is not None else ""


def name_caller(*, user: str = "", api_key: str = "", tenant: str = "") -> None:
    """Say who calls, from inside the request: a dependency that has just read the session is the place for it.

    Does nothing outside of a request. Limits are decided before the application runs, so what they need must come from
    the ``identify`` of :class:`custodes.Custodes` instead.

    Args:
        user: user id as the application knows it.
        api_key: id of the API key, never the key itself.
        tenant: tenant id.
    """
    request = serving.get()
    if request is not None:
        request.name_caller(user, api_key, tenant)


def note_exception(error: Exception) -> None:
    """Say why a request fails, where the framework makes an answer of its exceptions before they get out to Custodes.

    Does nothing outside of a request. What does get out, as from FastAPI and Starlette, is noted without this.

    Args:
        error: the exception, with its traceback.
    """
    request = serving.get()
    if request is not None:
        request.note_exception(error)
