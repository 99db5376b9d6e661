"""Custodes: the control room of a SaaS back end.

Webhooks in and out, API performance, rate limits, a security audit trail and system metrics, watched and enforced in
one place::

    from custodes import Custodes

    custodes = Custodes("sqlite:///custodes.db")
    custodes.install(app)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from custodes.version import __version__

if TYPE_CHECKING:
    from custodes.app import Custodes
    from custodes.errors import CustodesError, Permanent
    from custodes.kernel.caller import Identity
    from custodes.planes.inbound.model import WebhookEvent
    from custodes.runtime.current import current_client_ip, current_trace, name_caller, note_exception
    from custodes.storage.sql.schema import alembic_include_name


__all__ = [
    "Custodes",
    "CustodesError",
    "Identity",
    "Permanent",
    "WebhookEvent",
    "__version__",
    "alembic_include_name",
    "current_client_ip",
    "current_trace",
    "name_caller",
    "note_exception",
]

_HOMES = {
    "Custodes": "custodes.app",
    "CustodesError": "custodes.errors",
    "Identity": "custodes.kernel.caller",
    "Permanent": "custodes.errors",
    "WebhookEvent": "custodes.planes.inbound.model",
    "alembic_include_name": "custodes.storage.sql.schema",
    "current_client_ip": "custodes.runtime.current",
    "current_trace": "custodes.runtime.current",
    "name_caller": "custodes.runtime.current",
    "note_exception": "custodes.runtime.current",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: ``import custodes`` alone imports nothing heavy."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'custodes' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(home), name)
