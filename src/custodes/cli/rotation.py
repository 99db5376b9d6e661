"""What ``custodes doctor`` says of the secrets of webhook sources."""

from __future__ import annotations

from collections.abc import AsyncIterator

from custodes.app import Custodes
from custodes.cli.findings import Finding, Verdict
from custodes.planes.inbound.rotation_model import Standing


async def secrets_in_rotation(custodes: Custodes) -> AsyncIterator[Finding]:
    """Say which secrets of the sources that processes have can go, and which senders have not changed over."""
    if await custodes.pending_migrations():
        return
    now = custodes.clock.now()
    for (_, source), secrets in (await custodes.inbound.rotation.list_said()).items():
        for secret in secrets:
            which = f"{source}: secret {secret.use.place + 1} of {secret.of} ({secret.use.fingerprint})"
            said = secret.summary(now)
            text = f"{which} {said[0].lower()}{said[1:]}"
            if secret.standing is Standing.REMOVABLE:
                yield Finding("webhook secrets", Verdict.OK, text, f"Take it from the secrets of {source}")
            elif secret.standing is Standing.AWAITED:
                remedy = f"Have the sender sign webhooks of {source} with the newest secret"
                yield Finding("webhook secrets", Verdict.WARNING, text, remedy)
