"""Who the client is: its address, seen through proxies that may be trusted.

A header that anyone can send proves nothing. ``X-Forwarded-For`` (or ``Forwarded``, RFC 7239) is believed only as far
as trusted proxies wrote it: starting at the peer and walking right to left over all its lines, each hop that is a
trusted proxy vouches for the one to its left, and the first that is not trusted is the client. A peer on a unix socket
is trusted: only local processes reach it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

from custodes.errors import ConfigurationError

K = TypeVar("K")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Most hops that are walked through, right to left; a longer chain ends at the last hop looked at.
MAX_HOPS = 32

#: Longest forwarding header that is looked at, bytes, counted from its right end.
MAX_FORWARDED_LENGTH = 4_096

#: Longest text that can be an address: an IPv6 address in full, brackets, zone and port.
MAX_ADDRESS_LENGTH = 80

#: Answers remembered by each cache before it is emptied: bounds memory when addresses rotate.
MAX_REMEMBERED = 4_096

#: Longest forwarding header of which the answer is remembered, bytes.
MAX_REMEMBERED_LENGTH = 256

#: IPv4 inside IPv6 by its upper 96 bits: mapped (RFC 4291 §2.5.5.2) and NAT64 (RFC 6052 §2.1).
_IPV4_MAPPED = 0xFFFF
_NAT64 = 0x0064_FF9B << 64

#: ``for=`` of a ``Forwarded`` element: a token or a quoted string.
_FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,\s"]+))', re.IGNORECASE)
_QUOTED_OR_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,')

#: A ``Forwarded`` in which every quotation mark opens a value and the next one closes it (RFC 7239 §4).
_WELL_QUOTED = re.compile(r'(?:[^"]|(?<==)"(?:[^"\\]|\\.)*+"(?=[ \t]*(?:[;,]|\Z)))*+')


def parse_address(text: str) -> Address | None:
    """Read one hop: an address with or without port, brackets, zone or quotes.

    IPv4 inside IPv6 (mapped, NAT64) comes out as IPv4, so that one client has one address.

    Returns:
        The address; None when it is none (``unknown``, an obfuscated identifier, rubbish).
    """
    if len(text) > MAX_ADDRESS_LENGTH:
        return None
    text = text.strip(' \t"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return _unmapped(ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    value = int(address)
    upper = value >> 32
    return IPv4Address(value & 0xFFFF_FFFF) if upper in (_IPV4_MAPPED, _NAT64) else address


def parse_network(text: str) -> Network:
    """Read a CIDR block; a single address is a block of one.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        msg = f"{text!r} is not an address block"
        raise ConfigurationError(msg, remedy="Write it as CIDR, for example 10.0.0.0/8 or 2001:db8::/32") from None


def _right_end(forwarded: bytes) -> str:
    """Cut a header that is too long, at a comma: half a hop could read as an address of its own."""
    if len(forwarded) > MAX_FORWARDED_LENGTH:
        forwarded = forwarded[-MAX_FORWARDED_LENGTH:].partition(b",")[2]
    return forwarded.decode("latin-1")


class CidrSet:
    """A set of address blocks that answers in a handful of lookups, however many blocks there are."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, blocks: Iterable[str] = ()) -> None:
        self._v4: dict[int, set[int]] = {}
        self._v6: dict[int, set[int]] = {}
        for network in map(parse_network, blocks):
            shift = network.max_prefixlen - network.prefixlen
            by_shift = self._v4 if network.version == 4 else self._v6
            by_shift.setdefault(shift, set()).add(int(network.network_address) >> shift)

    def __contains__(self, address: Address) -> bool:
        by_shift = self._v4 if isinstance(address, IPv4Address) else self._v6
        value = int(address)
        return any(value >> shift in prefixes for shift, prefixes in by_shift.items())

    def __bool__(self) -> bool:
        return bool(self._v4 or self._v6)


def split_forwarded_for(value: str) -> Iterator[str]:
    """Take ``X-Forwarded-For`` apart, right to left."""
    return reversed(value.split(","))


def split_forwarded(value: str) -> Iterator[str]:
    """Take ``Forwarded`` (RFC 7239 §4) apart, right to left; an element without ``for`` is an empty hop.

    In a header with a quotation mark out of place, all up to that mark is one: a client that leaves one open could make
    what the proxy wrote behind it a part of its own element. What proxies wrote to the right of it is read all the
    same, or whoever is blocked would leave one open to be taken for the proxy. A comma within a string of theirs parts
    it there; then its end, which comes first, has a mark out of place.
    """
    if _WELL_QUOTED.fullmatch(value) is None:
        for element in reversed(value.split(",")):
            if _WELL_QUOTED.fullmatch(element) is None:
                break
            yield _hop_of(element)
        yield ""
        return
    elements = _QUOTED_OR_COMMA.sub(lambda found: "\0" if found[0] == "," else found[0], value).split("\0")
    yield from map(_hop_of, reversed(elements))


def _hop_of(element: str) -> str:
    found = _FORWARDED_FOR.search(element)
    return (found[1] or found[2] or "") if found else ""


class Addresses:
    """Finds the client's address and the key it is limited by; remembers its answers.

    Args:
        trusted: CIDR blocks of the proxies in front; only they may say who the client is.
        ipv6_prefix: bits of an IPv6 address that identify one client.
        header: the one forwarding header that the proxies write, ``"x-forwarded-for"`` or ``"forwarded"``. Never both:
            a proxy that writes one passes the client's own version of the other.

    Raises:
        ConfigurationError: a block is none.
    """

    def __init__(self, trusted: Iterable[str] = (), *, ipv6_prefix: int = 64, header: str = "x-forwarded-for") -> None:
        self.trusted = CidrSet(trusted)
        #: Name of the forwarding header, as ASGI writes it.
        self.header = header.encode("ascii")
        self._hops = split_forwarded if header == "forwarded" else split_forwarded_for
        self._ipv6_shift = 128 - ipv6_prefix
        self._suffix = f"/{ipv6_prefix}"
        #: Addresses of peers that are no proxies, by what the server calls them: all that most requests need.
        self.direct: dict[str, str] = {}
        self._forwarded: dict[tuple[str, bytes], str] = {}
        self._keys: dict[str, str] = {}

    @property
    def forwarded(self) -> Mapping[tuple[str, bytes], str]:
        """Answers remembered, by peer and value of the forwarding header; the same mapping for ever."""
        return self._forwarded

    def client(self, peer: str, forwarded: bytes = b"") -> str:
        """Return the client's address as text; empty when it is unknown.

        Args:
            peer: address at the other end of the connection; empty or a path for a unix socket.
            forwarded: all lines of the forwarding header, joined with commas in their order.
        """
        known = self.direct.get(peer)
        if known is not None:
            return known
        key = (peer, forwarded)
        known = self._forwarded.get(key)
        if known is None:
            known = self._find(peer, forwarded)
        return known

    def _find(self, peer: str, forwarded: bytes) -> str:
        address = parse_address(peer)
        local = not peer or peer.startswith(("unix:", "/"))
        if not local and (address is None or address not in self.trusted):
            return _remember(self.direct, peer, str(address) if address else "")
        client = self._walk(address, _right_end(forwarded)) if forwarded else address
        text = str(client) if client else ""
        if len(forwarded) > MAX_REMEMBERED_LENGTH:
            return text
        return _remember(self._forwarded, (peer, forwarded), text)

    def _walk(self, peer: Address | None, value: str) -> Address | None:
        """Walk right to left; a hop that cannot be read breaks the chain of trust, so only the peer is sure."""
        client = peer
        for count, hop in enumerate(self._hops(value)):
            if count == MAX_HOPS:
                break
            address = parse_address(hop)
            if address is None:
                return peer
            client = address
            if address not in self.trusted:
                break
        return client

    def limit_key(self, ip: str) -> str:
        """Return what a client is limited and blocked by: IPv4 as it is, IPv6 as its prefix (``2001:db8:1:2::/64``).

        One subscriber is given a whole IPv6 prefix, and could use a new address for each request.
        """
        if ":" not in ip:
            return ip
        return self._keys.get(ip) or self._prefix(ip)

    def _prefix(self, ip: str) -> str:
        address = parse_address(ip)
        if not isinstance(address, IPv6Address):
            return str(address) if address else ip
        shift = self._ipv6_shift
        prefix = IPv6Address(int(address) >> shift << shift)
        return _remember(self._keys, ip, f"{prefix}{self._suffix}" if shift else str(prefix))


def _remember(answers: dict[K, str], key: K, answer: str) -> str:
    if len(answers) >= MAX_REMEMBERED:
        answers.clear()
    answers[key] = answer
    return answer
