"""Where requests of ours may go: every address is judged by an explicit table.

Not by ``ipaddress.is_global``, which lets through NAT64, 6to4 and IPv4-compatible forms of any address, site-local and
multicast addresses, and the metadata services of Oracle and Azure. IPv6 is judged the other way round: only what IANA
has given out as global unicast (``2000::/3``) may be reached, less what is special within it.

Some private blocks can be opened by naming them; the rest never, whatever is named: metadata services hand out
credentials, and nothing that takes webhooks lives at a multicast or documentation address.

Sources: the IANA special-purpose registries (RFC 6890), RFC 6052 and 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo),
RFC 4291 (mapped, compatible), RFC 2765 (translated), RFC 5214 (ISATAP), and the clouds' documents of their metadata
services.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from custodes.kernel.address import Address, Network, parse_network

#: Addresses that are never reached: block and what it is.
NEVER: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "this network"),
    ("100.100.100.200/32", "metadata (Alibaba)"),
    ("168.63.129.16/32", "metadata (Azure)"),
    ("169.254.0.0/16", "link-local, metadata"),
    ("192.0.0.0/24", "protocol assignments, metadata (Oracle)"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.175.48.0/24", "AS112"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved, broadcast"),
    ("2001::/23", "protocol assignments, Teredo, benchmarking, ORCHID"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3ffe::/16", "6bone"),
    ("3fff::/20", "documentation"),
    ("fd00:42::42/128", "metadata (Scaleway)"),
    ("fd00:c1::/32", "metadata (Oracle)"),
    ("fd00:ec2::/32", "metadata (AWS)"),
    ("fd20:ce::/32", "metadata (Google)"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)

#: Addresses that are reached only where an exception names them.
PRIVATE: tuple[tuple[str, str], ...] = (
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared (carrier-grade NAT)"),
    ("127.0.0.0/8", "loopback"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("::1/128", "loopback"),
    ("64:ff9b::/96", "NAT64"),
    ("fc00::/7", "unique local"),
)

#: The only part of IPv6 that is public.
_GLOBAL_UNICAST = IPv6Network("2000::/3")

#: NAT64 by the well-known prefix: the last 32 bits are where the packets really go (RFC 6052 §2.1).
_NAT64 = IPv6Network("64:ff9b::/96")

#: Upper half of an interface identifier that carries an IPv4 address (ISATAP), with and without the universal bit.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})


class Destinations:
    """Judges addresses.

    Args:
        exceptions: private blocks that may be reached all the same, as CIDR.

    Raises:
        ConfigurationError: an exception is not a block of addresses.
    """

    def __init__(self, exceptions: Iterable[str] = ()) -> None:
        self.exceptions: tuple[Network, ...] = tuple(map(parse_network, exceptions))

    def refusal(self, address: Address | str) -> str:
        """Tell why an address must not be reached; empty when it may be. For logs, never for who named the address."""
        if isinstance(address, str):
            try:
                address = ip_address(address)
            except ValueError:
                return "not an address"
        if isinstance(address, IPv6Address):
            return self._refusal_v6(address)
        return _found(_NEVER_V4, address) or self._private(_PRIVATE_V4, address)

    def _refusal_v6(self, address: IPv6Address) -> str:
        if address.scope_id is not None:
            return "zoned"
        never = _found(_NEVER_V6, address)
        if never:
            return never
        value = int(address)
        if address in _GLOBAL_UNICAST:
            return "ISATAP" if value >> 32 & 0xFFFF_FFFF in _ISATAP else ""
        refusal = self._private(_PRIVATE_V6, address)
        if not refusal and address in _NAT64:
            return self.refusal(IPv4Address(value & 0xFFFF_FFFF))
        # What is neither global unicast nor named in the table: mapped, compatible, translated, unassigned.
        return refusal if refusal or _found(_PRIVATE_V6, address) else "not global unicast"

    def _private(self, table: tuple[tuple[Network, str], ...], address: Address) -> str:
        why = _found(table, address)
        if why and any(address in block for block in self.exceptions if block.version == address.version):
            return ""
        return why


def _found(table: tuple[tuple[Network, str], ...], address: Address) -> str:
    return next((why for block, why in table if address in block), "")


def _rows(table: tuple[tuple[str, str], ...], kind: type[Network]) -> tuple[tuple[Network, str], ...]:
    rows = ((parse_network(block), why) for block, why in table)
    return tuple((block, why) for block, why in rows if isinstance(block, kind))


_NEVER_V4 = _rows(NEVER, IPv4Network)
_NEVER_V6 = _rows(NEVER, IPv6Network)
_PRIVATE_V4 = _rows(PRIVATE, IPv4Network)
_PRIVATE_V6 = _rows(PRIVATE, IPv6Network)
