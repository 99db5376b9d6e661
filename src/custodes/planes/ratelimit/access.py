"""Who is let through without limits and who is not let through at all: answered in a few dictionary lookups."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from custodes.errors import InvalidInput
from custodes.kernel.address import Address, Network, parse_address
from custodes.kernel.tenant import EVERY_TENANT, check_tenant
from custodes.planes.ratelimit.model import Access, Call, Effect, Kind

#: Longest identifier, characters.
MAX_IDENTIFIER = 256

#: Addresses whose networks are remembered; forgotten all at once when there are more.
_MAX_REMEMBERED = 8_192

_Exact = tuple[str, str, str]


def normal_identifier(kind: Kind, identifier: str) -> str:
    """Write an identifier in its one form: addresses without port or zone, CIDR blocks without host bits.

    Raises:
        InvalidInput: empty, too long, not printable, or neither address nor CIDR block.
    """
    text = identifier.strip()
    if kind is Kind.IP:
        network = _network(text)
        return str(network if network.prefixlen < network.max_prefixlen else network.network_address)
    if not text or len(text) > MAX_IDENTIFIER or not text.isprintable():
        msg = "The identifier is empty, longer than 256 characters or not printable"
        raise InvalidInput(msg, remedy="Pass the user, key id or tenant as the host names it")
    if kind is Kind.TENANT:
        check_tenant(text, "The identifier")
    return text


def as_typed(identifier: str, named: str) -> dict[str, str]:
    """Tell the audit trail what was typed, where that is not the name that counts."""
    return {} if identifier == named else {"typed": identifier[:MAX_IDENTIFIER]}


def _network(text: str) -> Network:
    bare, slash, prefix = text.partition("/")
    address = parse_address(bare)
    try:
        if address is None or len(text) > MAX_IDENTIFIER:
            raise ValueError
        if slash and address.version == 4 and ":" in bare:
            prefix = str(int(prefix) - 96)  # IPv4 inside IPv6
        return ip_network(f"{address}/{prefix}" if slash else str(address), strict=False)
    except ValueError:
        msg = f"{text[:64]!r} is neither an address nor a CIDR block"
        raise InvalidInput(msg, remedy="Write 203.0.113.9, 203.0.113.0/24 or 2001:db8::/48") from None


class AccessTable:
    """The entries that stand, in the memory of one worker.

    An entry counts by tenant, or for all; an allowing one wins over a refusing one, but that of a tenant never over
    one for all: nobody exempts himself from what holds for everybody. Single identifiers are found by one
    lookup each, CIDR blocks by one for each prefix length in use, and those are remembered by address.
    """

    def __init__(self, entries: Iterable[Access] = ()) -> None:
        self._exact: dict[_Exact, dict[str, Access]] = {}
        self._blocks: dict[tuple[int, int], dict[int, dict[str, Access]]] = {}
        #: All of them, by id; empty when nobody is blocked or listed, which is quickly seen.
        self.entries: dict[str, Access] = {}
        self._networks_of: dict[str, tuple[Access, ...]] = {}
        for entry in entries:
            self.add(entry)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterable[Access]:
        return iter(self.entries.values())

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self.entries

    def add(self, entry: Access) -> None:
        """Have an entry count from now on."""
        self.remove(entry.id)
        self.entries[entry.id] = entry
        self._slot(entry)[entry.id] = entry
        self._networks_of.clear()

    def remove(self, entry_id: str) -> None:
        """Have an entry count no longer; does nothing when it is not there."""
        entry = self.entries.pop(entry_id, None)
        if entry is not None:
            self._slot(entry).pop(entry_id, None)
            self._networks_of.clear()

    def find(self, call: Call, client: str, now: int) -> Access | None:
        """Return the entry that decides on a request; None when none does.

        An allowing entry of a tenant lifts what is that tenant's own; see :meth:`RuleBook.without_tenants`.
        """
        found: list[Access] = []
        if self._blocks:
            found += self._networks(call.client_ip)
        for kind, identifier in self._names(call, client):
            for tenant in (call.tenant, EVERY_TENANT):
                slot = self._exact.get((tenant, kind, identifier))
                if slot:
                    found += slot.values()
        best: Access | None = None
        allowed: Access | None = None
        for entry in found:
            if entry.ends_at <= now or entry.tenant not in (call.tenant, EVERY_TENANT):
                continue
            if entry.effect is Effect.ALLOW:
                if entry.tenant == EVERY_TENANT:
                    return entry
                allowed = entry
            elif best is None or (entry.tenant == EVERY_TENANT, entry.ends_at) > (
                best.tenant == EVERY_TENANT,
                best.ends_at,
            ):
                best = entry
        return best if allowed is None or (best is not None and best.tenant == EVERY_TENANT) else allowed

    def standing(self, now: int) -> list[Access]:
        """List the entries that have not ended."""
        return [entry for entry in self.entries.values() if entry.ends_at > now]

    def _names(self, call: Call, client: str) -> list[tuple[str, str]]:
        names = [("ip", call.client_ip)]
        if client != call.client_ip:
            names.append(("ip", client))
        if call.user:
            names.append(("user", call.user))
        if call.api_key:
            names.append(("api_key", call.api_key))
        names.append(("tenant", call.tenant))
        return names

    def _slot(self, entry: Access) -> dict[str, Access]:
        if entry.kind is Kind.IP and "/" in entry.identifier:
            network = ip_network(entry.identifier)
            shift = network.max_prefixlen - network.prefixlen
            block = self._blocks.setdefault((network.version, shift), {})
            return block.setdefault(int(network.network_address) >> shift, {})
        return self._exact.setdefault((entry.tenant, entry.kind.value, entry.identifier), {})

    def _networks(self, ip: str) -> tuple[Access, ...]:
        known = self._networks_of.get(ip)
        if known is None:
            if len(self._networks_of) >= _MAX_REMEMBERED:
                self._networks_of.clear()
            address = parse_address(ip)
            known = self._networks_of[ip] = () if address is None else tuple(self._around(address))
        return known

    def _around(self, address: Address) -> Iterable[Access]:
        value = int(address)
        for (version, shift), prefixes in self._blocks.items():
            if version == address.version:
                slot = prefixes.get(value >> shift)
                if slot:
                    yield from slot.values()
