"""The client's address: who may say it, and how it is read."""

import time

import pytest

from custodes.errors import ConfigurationError
from custodes.kernel.address import (
    MAX_FORWARDED_LENGTH,
    MAX_REMEMBERED,
    Addresses,
    CidrSet,
    parse_address,
    split_forwarded,
)

PROXIES = ("10.0.0.0/8", "2001:db8:ffff::/48")


@pytest.fixture
def addresses() -> Addresses:
    return Addresses(PROXIES)


def test_without_trusted_proxies_nobody_is_believed():
    assert Addresses().client("198.51.100.1", b"203.0.113.9") == "198.51.100.1"


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("10.0.0.1", b"203.0.113.9", "203.0.113.9"),
        # What the client itself wrote stands left of what our proxy saw, and is not reached
        ("10.0.0.1", b"1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", b"1.1.1.1,203.0.113.9, 10.0.0.2,10.9.9.9", "203.0.113.9"),
        # All hops are ours: the first of them called
        ("10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", b"", "10.0.0.1"),
        # A hop that cannot be read breaks the chain
        ("10.0.0.1", b"203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", b"203.0.113.9, ,10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", b"rubbish", "10.0.0.1"),
        ("198.51.100.1", b"203.0.113.9", "198.51.100.1"),
        ("2001:db8:ffff::1", b"2001:DB8::7", "2001:db8::7"),
        # A peer that is no address is nobody
        ("testclient", b"203.0.113.9", ""),
        # A unix socket is reached by local processes only
        ("", b"203.0.113.9", "203.0.113.9"),
        ("unix:/run/app.sock", b"203.0.113.9", "203.0.113.9"),
        ("", b"", ""),
        # A mapped proxy is the proxy
        ("::ffff:10.0.0.1", b"203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_chain_is_walked_right_to_left_over_trusted_hops(addresses, peer, header, client):
    assert addresses.client(peer, header) == client
    assert addresses.client(peer, header) == client  # remembered, and still the same


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9:8080", "203.0.113.9"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ('"[2001:db8::7%en0]:99"', "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:cb00:7109", "203.0.113.9"),
        ("64:ff9b::203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
    ],
)
def test_ports_brackets_zones_and_embedded_addresses_are_taken_off(text, address):
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "203.0.113", "203.0.113.09", "1.2.3.4.5", "::1::", "[", "x" * 500, "0x7f.1"]
)
def test_what_is_no_address_is_none(text):
    assert parse_address(text) is None


def test_forwarded_is_read_when_it_is_the_one_the_proxies_write():
    addresses = Addresses(PROXIES, header="forwarded")

    assert (
        addresses.client("10.0.0.1", b'for=1.1.1.1, For="[2001:db8::7]:4711";proto=https, for=10.0.0.2')
        == "2001:db8::7"
    )
    assert addresses.client("10.0.0.1", b"for=203.0.113.9, proto=https") == "10.0.0.1"


def test_a_comma_within_quotes_does_not_part_elements():
    assert list(split_forwarded('for=1.1.1.1;by="a,for=6.6.6.6", for=2.2.2.2')) == ["2.2.2.2", "1.1.1.1"]


@pytest.mark.parametrize(
    "written_by_the_client",
    ['for=1.2.3.4;x="', 'for="1.2.3.4', '"', 'for=1.2.3.4;x=\\"', 'for=1.2.3.4;x="a"b="', 'for=1.2.3.4;x="\\'],
)
@pytest.mark.parametrize(
    ("written_by_the_proxies", "client"),
    [
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('for="203.0.113.9:80"', "203.0.113.9"),
        ("for=203.0.113.9;proto=https, for=10.0.0.2", "203.0.113.9"),
    ],
)
def test_a_quotation_mark_left_open_swallows_nothing(written_by_the_client, written_by_the_proxies, client):
    """
    Given proxies that append to what the client sent,
    When the client leaves a quotation mark open, so that the proxy's own would close it,
    Then the client is who the proxies say: neither who it says itself, nor the proxy, whom no block is meant for.
    """
    addresses = Addresses(PROXIES, header="forwarded")

    header = f"{written_by_the_client}, {written_by_the_proxies}".encode()

    assert addresses.client("10.0.0.1", header) == client


@pytest.mark.parametrize(
    "host", ["a, for=1.2.3.4", "a, for=1.2.3.4;x=", 'a, for=1.2.3.4;x=\\"', "a, for=1.2.3.4, b", "a, for=1.2.3.4;x=;y"]
)
def test_a_mark_left_open_does_not_turn_what_a_proxy_quotes_into_elements(host):
    """Given a proxy that quotes the host as the client sent it, then nothing within the quotes is an element."""
    addresses = Addresses(PROXIES, header="forwarded")

    header = f'for="x, for=203.0.113.9;host="{host}";by="[2001:db8::1]"'.encode()

    assert addresses.client("10.0.0.1", header) == "10.0.0.1"


def test_a_forwarded_header_of_broken_strings_takes_no_time():
    addresses = Addresses(PROXIES, header="forwarded")
    begin = time.process_time()

    for _ in range(20):
        addresses.client("10.0.0.1", b'for="' + b'\\"' * 2_000)

    assert time.process_time() - begin < 0.3


def test_a_header_without_end_is_read_from_its_right_end_only(addresses):
    # A hop cut in half could read as an address of its own: what is left of the first comma is not looked at
    assert (
        addresses.client("10.0.0.1", b"113.9.1.1," + b" " * (MAX_FORWARDED_LENGTH - 10) + b", 10.0.0.2") == "10.0.0.2"
    )
    assert addresses.client("10.0.0.1", b"1.1.1.1, " * 10_000 + b"203.0.113.9") == "203.0.113.9"
    assert addresses.client("10.0.0.1", b",".join([b"10.0.0.2"] * 400)) == "10.0.0.2"


def test_rotating_addresses_do_not_fill_the_memory(addresses):
    for number in range(3 * MAX_REMEMBERED):
        addresses.client(f"198.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        addresses.client("10.0.0.1", f"203.{number >> 16}.{number >> 8 & 255}.{number & 255}".encode())
        addresses.limit_key(f"2001:db8::{number:x}")

    assert len(addresses.direct) <= MAX_REMEMBERED
    assert len(addresses._forwarded) <= MAX_REMEMBERED
    assert len(addresses._keys) <= MAX_REMEMBERED


@pytest.mark.parametrize(
    ("prefix", "key"),
    [(64, "2001:db8:1:2::/64"), (48, "2001:db8:1::/48"), (56, "2001:db8:1::/56"), (128, "2001:db8:1:2:3:4:5:6")],
)
def test_ipv6_is_limited_by_its_prefix(prefix, key):
    assert Addresses(ipv6_prefix=prefix).limit_key("2001:db8:1:2:3:4:5:6") == key


def test_ipv4_is_limited_as_it_is():
    addresses = Addresses()

    assert addresses.limit_key("203.0.113.9") == "203.0.113.9"
    assert addresses.limit_key("::ffff:203.0.113.9") == "203.0.113.9"
    assert addresses.limit_key("") == ""


def test_a_block_that_is_none_is_refused_with_the_way_out():
    with pytest.raises(ConfigurationError, match=r"10\.0\.0\.0/8"):
        Addresses(["10.0.0/8"])


def test_a_set_of_blocks_knows_its_members():
    blocks = CidrSet(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])

    assert [parse_address(text) in blocks for text in ("10.1.2.3", "192.0.2.7", "192.0.2.8", "2001:db8::1", "::1")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert not CidrSet()
