"""Which of a source's secrets sign, and what follows for whoever rotates them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from custodes.kernel.clock import DAY
from custodes.planes.inbound.completeness_model import ago

#: Time without a signature after which an older secret is not needed any more, microseconds: longer than senders sign
#: with both (Stripe: a day) and than they deliver again (Stripe: three days).
QUIET = 7 * DAY


class SecretUse(NamedTuple):
    """A secret of a source, and when it last signed."""

    #: Whose source it is.
    tenant: str
    #: Name of the source.
    source: str
    #: What it is told apart by; says nothing of the secret.
    fingerprint: str
    #: Place among the secrets of the source, from 0: the newest.
    place: int
    #: Since when it is known, microseconds since the epoch; None: it is not yet.
    since: int | None
    #: When a process said last that it has it.
    said_at: int | None
    #: Last delivery that it signed; None: it has signed none.
    last_at: int | None


class Standing(StrEnum):
    """What is to be done about a secret."""

    #: It signs.
    SIGNS = "signs"
    #: The newest one has signed nothing, and an older one still signs: the sender has not changed over.
    AWAITED = "awaited"
    #: An older one that has signed nothing for :data:`QUIET` while a newer one did.
    REMOVABLE = "removable"
    #: It has signed nothing for a while, and nothing follows from that.
    QUIET = "quiet"


class SecretInUse(NamedTuple):
    """A secret of a source, and how it stands among the others."""

    #: The secret.
    use: SecretUse
    #: Secrets of the source.
    of: int
    #: What is to be done about it.
    standing: Standing

    def summary(self, now: int) -> str:
        """Say it in a sentence for a person."""
        use = self.use
        if use.last_at is not None:
            text = f"Last signed {_since(now - use.last_at)}"
        elif use.since is not None:
            text = f"Has signed nothing since it was first seen, {_since(now - use.since)}"
        else:
            return "Nothing is known of it yet"
        if self.standing is Standing.REMOVABLE:
            return f"{text}: can be removed"
        if self.standing is Standing.AWAITED:
            return f"{text}: the sender still signs with an older one"
        return text


def judge(secrets: Sequence[SecretUse], now: int) -> list[SecretInUse]:
    """Judge all secrets of one source by what they signed."""
    ordered = sorted(secrets, key=lambda use: use.place)
    return [SecretInUse(use, len(ordered), _standing(use, ordered, now)) for use in ordered]


def _standing(use: SecretUse, all_of_it: Sequence[SecretUse], now: int) -> Standing:
    quiet_since = use.since if use.last_at is None else use.last_at
    if quiet_since is None:
        return Standing.QUIET
    signs = use.last_at is not None and now - use.last_at < QUIET
    if use.place == 0:
        older = max((other.last_at for other in all_of_it if other.last_at is not None and other.place), default=None)
        # What the older one signed before the newer was there says nothing; nor does what neither has signed.
        if not signs and older is not None and now - older < QUIET and older > quiet_since:
            return Standing.AWAITED
    elif now - quiet_since >= QUIET and any(
        other.last_at is not None and other.last_at > quiet_since for other in all_of_it if other.place < use.place
    ):
        return Standing.REMOVABLE
    return Standing.SIGNS if signs else Standing.QUIET


def _since(micros: int) -> str:
    told = ago(max(micros, 0))
    return "just now" if told == "0 min" else f"{told} ago"
