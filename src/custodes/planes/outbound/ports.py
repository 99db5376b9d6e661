"""What outgoing webhooks need kept."""

from __future__ import annotations

from typing import Protocol

from custodes.kernel.paging import Page
from custodes.planes.outbound.model import Endpoint, EndpointState, SealedSecret
from custodes.runtime.transactions import Transaction


class EndpointStore(Protocol):
    """**Protocol:** the registry of endpoints and their sealed secrets. Deleted endpoints are not found by any read."""

    def put(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Insert an endpoint, or replace what a person may change of it; counters stay as they are in the store."""
        ...

    def find(self, tx: Transaction, tenant: str | None, endpoint_id: str) -> Endpoint | None:
        """Read one endpoint; None when there is none of this id, or not in this tenant."""
        ...

    def page(
        self, tx: Transaction, tenant: str | None, state: EndpointState | None, limit: int, cursor: str
    ) -> Page[Endpoint]:
        """Read a page of endpoints, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        ...

    def count(self, tx: Transaction, tenant: str) -> int:
        """Count a tenant's endpoints."""
        ...

    def put_secret(self, tx: Transaction, secret: SealedSecret) -> None:
        """Add a secret."""
        ...

    def secrets(self, tx: Transaction, endpoint: Endpoint) -> list[SealedSecret]:
        """Read the secrets of an endpoint, newest first."""
        ...

    def retire_secrets(self, tx: Transaction, endpoint: Endpoint, expires_at: int) -> None:
        """Let the secrets of an endpoint end at a moment, unless they end before."""
        ...

    def remove_secrets(self, tx: Transaction, endpoint: Endpoint, expired_before: int | None = None) -> None:
        """Remove secrets of an endpoint for good: all of them, or those that ended before a moment."""
        ...

    def key_samples(self, tx: Transaction) -> list[SealedSecret]:
        """Read one secret for each key that secrets are sealed with."""
        ...
