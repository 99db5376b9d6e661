"""Passwords: Argon2id (RFC 9106), in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from custodes.errors import InvalidInput, RateLimited

T = TypeVar("T")

#: Fewest characters (NIST SP 800-63B-4 asks for 15 where a password stands alone, 8 at the least).
MIN_LENGTH = 12

#: Most characters: long enough for any phrase, short enough to hash.
MAX_LENGTH = 256

#: Fewest different characters: refuses "aaaaaaaaaaaa".
MIN_DISTINCT = 5

#: Hashes at a time. One takes 64 MiB and some 50 ms of a core.
CONCURRENT_HASHES = 2

#: Logins that may wait for a hash; the next one is told to come back.
MAX_WAITING = 32


def password_turn(profile_id: str) -> str:
    """Name the turn of those who change a password or a profile, or sign in: no login ends between two of them."""
    return f"password:{profile_id}"


def check_password(password: str, subject: str) -> None:
    """Check that a new password is fit for use.

    Raises:
        InvalidInput: it is not; says why, never shows it.
    """
    faults = [
        (len(password) < MIN_LENGTH, f"shorter than {MIN_LENGTH} characters"),
        (len(password) > MAX_LENGTH, f"longer than {MAX_LENGTH} characters"),
        (len(set(password)) < MIN_DISTINCT, f"made of fewer than {MIN_DISTINCT} different characters"),
        (len(subject) > 2 and subject.casefold() in password.casefold(), "built on the user name"),
    ]
    for wrong, why in faults:
        if wrong:
            msg = f"The new password is {why}"
            raise InvalidInput(msg, remedy="Choose a phrase of several words")


class Passwords:
    """Hashes and verifies.

    Args:
        hasher: parameters of Argon2id; the default is the second recommended option of RFC 9106 (64 MiB, 3 passes).
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(CONCURRENT_HASHES)
        self._waiting = 0
        self._nobody = ""

    async def hash(self, password: str) -> str:
        """Hash a password; PHC form with salt and parameters."""
        return await self._in_turn(self._hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password is right; as slow for an account that does not exist (None) as for one that does."""
        if not self._nobody:
            self._nobody = await self.hash("nobody has this password")
        right = await self._in_turn(self._check, password_hash or self._nobody, password[: MAX_LENGTH + 1])
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(password.encode("utf-8", "surrogatepass"))

    def _check(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False

    def check_room(self) -> None:
        """Refuse at once what would have to wait behind too many others.

        Raises:
            RateLimited: so many wait already.
        """
        if self._waiting >= MAX_WAITING:
            msg = "Too many logins at the same time"
            raise RateLimited(msg, remedy="Try again in a few seconds")

    async def _in_turn(self, work: Callable[..., T], *arguments: str) -> T:
        self.check_room()
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._waiting -= 1
