"""Slows down guessing: failed logins in a row cost time, per account and per address.

An attempt is counted as failed *before* the password is looked at and forgiven when it was right, so that many attempts
at the same moment do not get many guesses. What one account may cost its real owner is bounded: the wait never exceeds
:data:`ACCOUNT_CAP`, and an address from which the account was signed in before has a count of its own, which strangers
cannot drive up. So nobody can lock somebody else out for good.

A right password forgives an address what failed at that account, not what failed at others: else whoever has an account
of their own would guess at all others without a wait, by signing in now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from custodes.errors import RateLimited
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND, Clock
from custodes.planes.identity.model import Attempts
from custodes.planes.identity.ports import IdentityStore
from custodes.runtime.transactions import Transaction

#: Failures in a row that cost nothing: typing errors.
FREE_FAILURES = 5

#: Longest wait for one account: an attacker with many addresses gets one guess a minute.
ACCOUNT_CAP = MINUTE

#: Longest wait for one address: it may be shared by an office.
ADDRESS_CAP = 15 * MINUTE

#: After this long without a failure the count starts anew.
FORGET_AFTER = HOUR

#: How long an address counts as known after a login from there.
KNOWN_FOR = 30 * DAY

#: Old counts that one attempt cleans away at most.
_CLEAN_UP = 20


class TooManyAttempts(RateLimited):
    """Too many failed logins; ``retry_after`` says how many seconds to wait."""

    code = "too-many-attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many failed logins", remedy=f"Try again in {retry_after} s")
        #: Seconds to wait.
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Reserved:
    """An attempt that was counted in advance, or what it has to wait for."""

    #: Seconds to wait; 0 when it was counted.
    wait: int
    #: When it was counted, microseconds.
    at: int
    #: What of the account it counts under.
    account: bytes
    #: The count of the address without it.
    address: Attempts


class Throttle:
    """Counts failed logins in the store, so that all workers count together.

    Args:
        store: where they are counted.
        clock: tells the time of an attempt once it has its turn, so that those who waited for one another are in order.
        client_of: names the client behind an address (IPv6 by its prefix): one subscriber has a whole prefix, and could
            use a new address for each guess.
    """

    def __init__(self, store: IdentityStore, clock: Clock, client_of: Callable[[str], str]) -> None:
        self._store = store
        self._clock = clock
        self._client_of = client_of

    def reserve(self, tx: Transaction, subject: str, ip: str, *, known_address: bool) -> Reserved:
        """Count an attempt as failed, in advance.

        Returns:
            What :meth:`forgive` needs. With seconds to wait it must not even be looked at, and nothing was counted.
        """
        account = _key("account", subject, ip) if known_address else _key("account", subject)
        counted = ((_key("ip", self._client_of(ip)), ADDRESS_CAP), (account, ACCOUNT_CAP))
        self._store.take_turn(tx, *(key.hex() for key, _ in counted))
        now = self._clock.now()
        before = [(self._current(tx, key, now, cap), cap) for key, cap in counted]
        wait = max(attempts.blocked_until for attempts, _ in before) - now
        reserved = Reserved(max(0, -(-wait // SECOND)), now, account, before[0][0])
        if reserved.wait:
            return reserved
        for attempts, cap in before:
            self._store.put_attempts(tx, _one_more(attempts, now, cap))
        self._store.drop_attempts(tx, now - FORGET_AFTER, _CLEAN_UP)
        return reserved

    def forgive(self, tx: Transaction, subject: str, ip: str, reserved: Reserved) -> None:
        """Forget the failures at the account, for its address too: the password was right."""
        # The order of reserve, so that two who sign in at once do not wait for each other's rows.
        self._store.take_turn(tx, reserved.address.key.hex(), reserved.account.hex())
        self._forgive_address(tx, reserved)
        for key in (_key("account", subject), _key("account", subject, ip)):
            self._store.forget_attempts(tx, key)

    def _forgive_address(self, tx: Transaction, reserved: Reserved) -> None:
        address = self._store.get_attempts(tx, reserved.address.key)
        if address is None:
            return
        account = self._store.get_attempts(tx, reserved.account)
        left = address.failures - (account.failures if account else 1)
        if left <= 0:
            self._store.forget_attempts(tx, address.key)
        elif address.last_at == reserved.at:  # nothing has failed since: as if there had been no attempt
            self._store.put_attempts(tx, replace(reserved.address, failures=left))
        else:
            self._store.put_attempts(tx, replace(address, failures=left))

    def _current(self, tx: Transaction, key: bytes, now: int, cap: int) -> Attempts:
        found = self._store.get_attempts(tx, key)
        if found is None or now - found.last_at > FORGET_AFTER:
            return Attempts(key=key, failures=0, last_at=now, blocked_until=0)
        if found.last_at > now:
            # Another instance's clock is ahead, or ours was set back. The failures stand, the wait begins now: it is
            # never longer than its cap. Kept, because a wait that began anew at each look would have no end.
            found = replace(found, last_at=now, blocked_until=now + wait_after(found.failures, cap))
            self._store.put_attempts(tx, found)
        return found


def wait_after(failures: int, cap: int) -> int:
    """Tell how long to wait after so many failures in a row, microseconds: 0, then 1 s doubling up to the cap."""
    over = failures - FREE_FAILURES
    return 0 if over < 0 else min(cap, SECOND << min(over, 40))


def _one_more(attempts: Attempts, now: int, cap: int) -> Attempts:
    failures = attempts.failures + 1
    return replace(attempts, failures=failures, last_at=now, blocked_until=now + wait_after(failures, cap))


def _key(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()
