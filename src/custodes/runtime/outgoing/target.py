"""Which URLs requests may go to: by scheme, port and spelling, before any name is looked up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address

from yarl import URL

from custodes.errors import ConfigurationError
from custodes.kernel.address import Address
from custodes.kernel.destinations import Destinations
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed

#: Longest URL, characters.
MAX_URL = 2_000

#: Ports that may be called unless the setting says otherwise: the web's own, and those that any user may listen on. The
#: other low ones belong to services that a request could be made to talk to (mail, DNS, SMB).
DEFAULT_PORTS = ((80, 80), (443, 443), (1_024, 65_535))

#: A host that is a name: labels of letters, digits, ``-`` and ``_``.
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called."""

    #: Which addresses.
    destinations: Destinations = field(default_factory=Destinations)
    #: Which ports: ranges, both ends included.
    ports: Sequence[tuple[int, int]] = DEFAULT_PORTS
    #: Which schemes.
    schemes: frozenset[str] = frozenset({"https"})

    def target(self, url: str, schemes: frozenset[str] | None = None) -> URL:
        """Check a URL as far as its text tells.

        Raises:
            OutgoingFailed: it may not be called; the message never holds the URL, which may carry a secret.
        """
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise _refused("the URL has characters that a URL cannot have, or too many")
        try:
            # Taken apart once, by the library that connects: no other reading of it can differ from what is called.
            target = URL(url, encoded=True)
            host, port, user = target.raw_host, target.port, target.raw_user or target.raw_password
        except ValueError:
            raise _refused("it is not a URL") from None
        if target.scheme not in (self.schemes if schemes is None else schemes):
            raise _refused("the scheme is not allowed")
        if not host or port is None or user is not None or "%" in host:
            raise _refused("the URL names no host, or a user, or a zone")
        if not any(low <= port <= high for low, high in self.ports):
            raise _refused("the port is not allowed")
        literal = literal_address(host)
        if literal is not None:
            self.check((literal,))
        elif "[" in target.raw_authority:
            raise _refused("the host is no address that is known")  # RFC 3986 leaves room for later kinds
        return target

    def check(self, addresses: Iterable[Address]) -> None:
        """Check where a name leads: all its addresses, since any of them may be the one that is called.

        Raises:
            OutgoingFailed: one of them may not be reached, or there is none.
        """
        judged = [self.destinations.refusal(address) for address in addresses]
        if not judged:
            raise OutgoingFailed("the name has no address", FailureKind.DNS)
        if any(judged):
            raise _refused("the address is not allowed")


def literal_address(host: str) -> Address | None:
    """Read a host that is an address: canonical forms only.

    Raises:
        OutgoingFailed: it is one of the other spellings of IPv4 (``127.1``, ``0x7f.0.0.1``, ``2130706433``), which
            resolvers read as addresses.
    """
    try:
        address = ip_address(host)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
        # The WHATWG rule: a host whose last label is a number is an IPv4 address, in whatever spelling.
        if last.isdigit() or last[:2].lower() == "0x" or not _NAME.fullmatch(host):
            raise _refused("the host is neither a name nor a canonical address") from None
        return None
    if isinstance(address, IPv4Address) and str(address) != host:
        raise _refused("the host is not a canonical address")
    return address


def ports_of(text: Iterable[str]) -> tuple[tuple[int, int], ...]:
    """Read ports and ranges: ``443``, ``8000-8999``.

    Raises:
        ConfigurationError: one is neither.
    """
    ranges: list[tuple[int, int]] = []
    for part in text:
        found = _RANGE.fullmatch(part)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 0 < low <= high <= 65_535:
            msg = f"{part!r} is not a port or a range of ports"
            raise ConfigurationError(msg, remedy="Write 443 or 8000-8999")
        ranges.append((low, high))
    return tuple(ranges)


def _refused(why: str) -> OutgoingFailed:
    return OutgoingFailed(why, FailureKind.REFUSED)
