"""Bodies of deliveries on their way: what nobody has signed yet may fill so much memory and no more."""

from __future__ import annotations

#: Bytes of unfinished bodies that one process holds, unless told otherwise: some hundred deliveries of usual size, and
#: two of the largest, 25 MiB, that GitHub and GitLab send.
MOST = 64 * 1024 * 1024


class Bodies:
    """Unfinished bodies; when all of them are too much, the largest gives way.

    A sender that begins large bodies and does not end them so loses its own, and not those of others.

    Args:
        most: bytes in all.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._unfinished: set[Body] = set()
        #: Bytes held now.
        self.held = 0
        #: Bodies that have given way.
        self.gave_way = 0

    def begin(self) -> Body:
        """Begin one."""
        body = Body()
        self._unfinished.add(body)
        return body

    def add(self, body: Body, part: bytes) -> None:
        """Add a part to one; afterwards it, or another, may have given way."""
        body.parts.append(part)
        body.size += len(part)
        self.held += len(part)
        while self.held > self._most:
            largest = max(self._unfinished, key=lambda one: one.size)
            self._let_go(largest)
            largest.gave_way = True
            self.gave_way += 1

    def end(self, body: Body) -> None:
        """Forget one: it is whole, or nobody waits for it any more."""
        self._let_go(body)
        self._unfinished.discard(body)

    def _let_go(self, body: Body) -> None:
        self.held -= body.size
        body.size = 0
        body.parts = []


class Body:
    """One of them."""

    __slots__ = ("gave_way", "parts", "size")

    def __init__(self) -> None:
        #: What has come.
        self.parts: list[bytes] = []
        #: Bytes of it.
        self.size = 0
        #: Whether there was no room for it: what has come is gone.
        self.gave_way = False
