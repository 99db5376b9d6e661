"""What subjects are called in Redis."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b

from custodes.kernel.window.cells import Key

#: Parts that subjects are spread over in a cluster: the keys of one part share a slot, and a call is about one part.
#: Enough for every node to have its share, few enough for requests to share calls.
PARTS = 64

#: Names that are remembered; forgotten all at once when there are more, which costs a hash more each.
_MAX_REMEMBERED = 100_000

#: Between tenant and the rest of a subject.
_SEPARATOR = b"\x1f"

#: Bytes of a name: 96 bits.
_NAME_BYTES = 12

#: Counts the ways in which states have been written; instances that write them differently do not share them.
FORMAT = 3


class Subjects:
    """Names subjects by a keyed hash. What a subject has used of limits that are asked together is kept under one name.

    Args:
        together: what those limits have in common.
        secret: the same in all instances.
        in_parts: whether Redis is a cluster.
    """

    __slots__ = ("_digest", "_in_parts", "_secret", "names", "together")

    def __init__(self, together: str, secret: bytes, *, in_parts: bool) -> None:
        self.together = together
        self._secret = secret
        self._in_parts = in_parts
        self._digest = blake2b(f"{FORMAT}\0{together}\0".encode(), key=secret, digest_size=_NAME_BYTES)
        #: What :meth:`named` said.
        self.names: dict[Key, tuple[bytes, int]] = {}

    def named(self, key: Key) -> tuple[bytes, int]:
        """Return what a subject is called, and the part that it belongs to."""
        found = self.names.get(key)
        if found is None:
            if len(self.names) >= _MAX_REMEMBERED:
                self.names.clear()
            found = self.names[key] = self._name(key)
        return found

    def tag(self, limit: str) -> int:
        """Tell limits apart within the states of a subject: 48 bits, which the script's numbers hold exactly."""
        return int.from_bytes(blake2b(limit.encode(), key=self._secret, digest_size=6).digest(), "big")

    def _name(self, key: Key) -> tuple[bytes, int]:
        text = (key if isinstance(key, str) else repr(key)).encode("utf-8", "surrogatepass")
        digest = self._digest.copy()
        digest.update(text)
        part = 0
        if self._in_parts:
            # Subjects of a tenant stay together; an address, which is of no tenant, stands for itself.
            whose = blake2b(text.partition(_SEPARATOR)[0], key=self._secret, digest_size=2).digest()
            part = int.from_bytes(whose, "big") % PARTS
        return b"custodes:{%d}:%s" % (part, urlsafe_b64encode(digest.digest())), part
