"""API calls for tests."""

from __future__ import annotations

from typing import Any

from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.traffic.model import Exchange

_USUAL: dict[str, Any] = {
    "kind": "http",
    "method": "GET",
    "path": "/items/1",
    "route": "/items/{id}",
    "status": 200,
    "started_at": 1_790_000_000_000_000,
    "ttfb_us": 900,
    "total_us": 1_000,
    "background_us": 0,
    "request_bytes": 0,
    "response_bytes": 100,
    "client_ip": "203.0.113.7",
    "user": "",
    "api_key": "",
    "tenant": DEFAULT_TENANT,
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "span_id": "b7ad6b7169203331",
    "parent_id": "",
    "user_agent": "test/1",
    "error": None,
    "disconnected": False,
    "limited_by": "",
}


def exchange(**fields: Any) -> Exchange:
    """Make an exchange as the middleware would fill it; name what shall be different."""
    values = {**_USUAL, **fields}
    made = Exchange()
    made.ids = (values.pop("trace_id"), values.pop("span_id"), values.pop("parent_id"), "")
    for name, value in values.items():
        setattr(made, name, value)
    return made
