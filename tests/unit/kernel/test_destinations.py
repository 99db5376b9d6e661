"""Which addresses may be reached: the table, and every spelling that other guards let through."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import ConfigurationError
from custodes.kernel.destinations import NEVER, PRIVATE, Destinations

#: Addresses that never or only by exception may be reached; those that ``ipaddress`` calls global among them.
FORBIDDEN = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.1.2.3
127.255.255.254 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::7f00:1
::a9fe:a9fe ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::7f00:1 64:ff9b:1:a9fe:a9:fe00:: 64:ff9b:1:ffff::1
100::1 100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1
fd00::1 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 fe80::1 fe80::a9fe:a9fe fe80::1%eth0
fec0::1 feff::1 ff02::1 ff0e::1 2606:4700::5efe:7f00:1 2606:4700::200:5efe:a9fe:a9fe
""".split()  # noqa: SIM905 - a table is easier to read so

ALLOWED = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.255.255
169.255.0.1 172.15.255.255 172.32.0.1 191.255.255.255 192.0.1.1 192.167.255.255 192.169.0.1 198.17.255.255
198.20.0.1 223.255.255.255 168.63.129.15 2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1 2001:200::1 2003::1
3ffd::1
""".split()  # noqa: SIM905 - a table is easier to read so

#: Never reached, whatever is excepted.
METADATA = """
169.254.169.254 169.254.170.2 100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::254 fd00:ec2::23 fd20:ce::254
fd00:c1::a9fe:a9fe fd00:42::42 fe80::a9fe:a9fe 64:ff9b::a9fe:a9fe ::ffff:169.254.169.254 2002:a9fe:a9fe::1
::a9fe:a9fe
""".split()  # noqa: SIM905 - a table is easier to read so

EVERYTHING = ["0.0.0.0/0", "::/0"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_may_not_be_reached(address: str) -> None:
    assert Destinations().refusal(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_what_may_be_reached(address: str) -> None:
    assert Destinations().refusal(address) == ""


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_are_never_reached_even_when_everything_is_excepted(address: str) -> None:
    assert Destinations(EVERYTHING).refusal(address)


@pytest.mark.parametrize("block", [block for block, _ in NEVER])
def test_no_exception_opens_what_is_never_reached(block: str) -> None:
    network = ipaddress.ip_network(block)
    destinations = Destinations([*EVERYTHING, block])
    assert destinations.refusal(network[0])
    assert destinations.refusal(network[-1])


@pytest.mark.parametrize("block", [block for block, _ in PRIVATE if block != "64:ff9b::/96"])
def test_an_exception_opens_a_private_block_and_nothing_beside_it(block: str) -> None:
    network = ipaddress.ip_network(block)
    last = network[-1]
    assert Destinations().refusal(last)
    assert Destinations([block]).refusal(last) == ""
    others = [one for other, _ in PRIVATE if other != block for one in [ipaddress.ip_network(other)[-1]]]
    assert all(Destinations([block]).refusal(other) for other in others)


def test_nat64_by_exception_still_looks_at_where_the_packets_go() -> None:
    """Given an IPv6-only network with NAT64, when its prefix is excepted, then only public IPv4 is reached by it."""
    destinations = Destinations(["64:ff9b::/96"])
    assert destinations.refusal("64:ff9b::808:808") == ""
    assert destinations.refusal("64:ff9b::a00:1") == "private"
    assert destinations.refusal("64:ff9b::a9fe:a9fe")


def test_what_is_no_address_or_no_block_is_refused() -> None:
    assert Destinations().refusal("localhost")
    with pytest.raises(ConfigurationError):
        Destinations(["internal"])


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_global_unicast_is_reached(address: ipaddress.IPv6Address) -> None:
    if Destinations().refusal(address) == "":
        assert int(address) >> 125 == 0b001


@given(st.ip_addresses(v=4))
def test_whatever_the_standard_library_calls_private_is_refused(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert Destinations().refusal(address)
