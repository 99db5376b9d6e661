"""Where the key that seals secrets comes from: the setting, or a file made at first use."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from custodes.errors import ConfigurationError
from custodes.kernel.ids import RandomBits

#: Bytes of a key that is made here.
KEY_BYTES = 32

#: Largest key file that is read, bytes.
_MAX_FILE = 4_096


def keys_from(setting: Sequence[str], file: Path | None, random_bits: RandomBits) -> list[str]:
    """Return the keys, the one that seals first.

    Args:
        setting: ``CUSTODES_SECRET_KEY``; wins when it names any.
        file: one key a line; made with mode 0600 when it is missing. None: a key for this process only, for a store
            that does not outlive it either.
        random_bits: cryptographic source of randomness.

    Raises:
        ConfigurationError: the file cannot be read or made, or others may read it.
    """
    keys = [key for key in setting if key]
    if keys:
        return keys
    if file is None:
        return [_new_key(random_bits)]
    try:
        if not file.exists():
            # By chance, not by the process id, which is the same at each start in a container: a draft that was left
            # would be in the way for ever.
            draft = file.with_name(f"{file.name}.{random_bits(64):016x}")
            _make(file, draft, _new_key(random_bits))
        return _read(file)
    except OSError as error:
        msg = f"The key file {file} cannot be used: {error.strerror}"
        raise ConfigurationError(
            msg, remedy="Make it readable and writable for this user, or set CUSTODES_SECRET_KEY"
        ) from None


def _new_key(random_bits: RandomBits) -> str:
    return base64.urlsafe_b64encode(random_bits(KEY_BYTES * 8).to_bytes(KEY_BYTES, "big")).decode("ascii")


def _make(file: Path, draft: Path, key: str) -> None:
    """Write a whole file or none: of several processes that start at once, one wins and all read the same key."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, f"{key}\n".encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()


def _read(file: Path) -> list[str]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        msg = f"Others may read the key file {file} (mode {mode:04o})"
        raise ConfigurationError(msg, remedy=f"chmod 600 {file}")
    with file.open(encoding="ascii", errors="replace") as lines:
        return [line.strip() for line in lines.read(_MAX_FILE).splitlines() if line.strip()]
