"""Whatever a client sends, the request path holds: bounded, typed, and the host never notices."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.address import Addresses, parse_address
from custodes.kernel.trace import open_trace, parse_state

PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")
MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")

near_parents = st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]*)?", fullmatch=True)
headers = st.one_of(st.binary(max_size=200), near_parents.map(str.encode))
hops = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]:443"),
    st.ip_addresses(v=4).map(lambda address: f"{address}:80"),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


def bits(count: int) -> int:
    return 0


@given(parent=headers, states=st.lists(st.binary(max_size=100), max_size=4))
def test_what_goes_out_is_always_well_formed(parent: bytes, states: list[bytes]):
    outgoing = open_trace(parent, states, bits).headers()

    assert PARENT.fullmatch(outgoing["traceparent"])
    members = outgoing.get("tracestate", "a=1").split(",")
    assert 1 <= len(members) <= 32
    assert all(MEMBER.fullmatch(member) for member in members)


@given(states=st.lists(st.text("ab=,@ \t-12", max_size=40).map(str.encode), max_size=4))
def test_a_state_once_read_reads_the_same_again(states: list[bytes]):
    once = parse_state(states)

    assert parse_state([once.encode()]) == once


@given(peer=hops, header=st.lists(hops, max_size=40).map(", ".join))
def test_nobody_is_believed_but_trusted_proxies(peer: str, header: str):
    addresses = Addresses(["10.0.0.0/8"])
    client = addresses.client(peer, header.encode())
    own = parse_address(peer)

    assert client == "" or ip_address(client)
    if own is not None and own not in addresses.trusted:
        assert client == str(own)


@given(value=st.integers(0, 2**128 - 1), other=st.integers(0, 2**64 - 1))
def test_addresses_of_one_prefix_share_a_key_and_others_do_not(value: int, other: int):
    addresses = Addresses()
    one = str(ip_address(value | 0x2000 << 112))
    upper = int(ip_address(one)) >> 64 << 64
    neighbour = str(ip_address(upper | other))
    stranger = str(ip_address(int(ip_address(one)) ^ 1 << 64))

    assert addresses.limit_key(one) == addresses.limit_key(neighbour)
    assert addresses.limit_key(one) != addresses.limit_key(stranger)


@given(text=st.text(max_size=120))
def test_any_text_is_an_address_or_none(text: str):
    found: Any = parse_address(text)

    assert found is None or parse_address(str(found)) == found
