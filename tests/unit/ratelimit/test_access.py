"""Who is blocked and who is allowed."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.clock import HOUR
from custodes.planes.ratelimit.access import AccessTable, normal_identifier
from custodes.planes.ratelimit.bans import Escalation, Sentence, immune_addresses
from custodes.planes.ratelimit.model import FOREVER, Access, BanPolicy, Effect, Kind
from custodes.planes.ratelimit.probe import Probe

NOW = 1_790_000_000_000_000


def entry(identifier: str, kind: Kind = Kind.IP, **rest: object) -> Access:
    values: dict[str, object] = {"tenant": "*", "effect": Effect.BLOCK, "ends_at": FOREVER, **rest}
    return Access(
        id=f"{identifier}-{kind}-{values['effect']}-{values['tenant']}",
        kind=kind,
        identifier=normal_identifier(kind, identifier),
        reason="",
        actor="a",
        created_at=NOW,
        **values,  # type: ignore[arg-type]
    )


def call(identifier: str, kind: Kind = Kind.IP, tenant: str = "default") -> Probe:
    return Probe(identifier, kind, "/", "GET", tenant, "")


def test_cidr_blocks_are_found_as_a_walk_over_all_of_them_would():
    rng = random.Random(3)
    blocks = [
        f"{rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.0/{rng.choice([8, 12, 20, 24, 31])}"
        for _ in range(300)
    ]
    blocks += [f"2001:db8:{rng.randrange(2**16):x}::/{rng.choice([40, 48, 64])}" for _ in range(100)]
    table = AccessTable(entry(block) for block in blocks)
    networks = [ip_network(block, strict=False) for block in blocks]
    for _ in range(3_000):
        address = ip_address(rng.choice([rng.randrange(2**32), int(rng.choice(networks).network_address) + 1]) % 2**32)
        expected = any(address in network for network in networks if network.version == address.version)

        assert (table.find(call(str(address)), str(address), NOW) is not None) == expected


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9/24", "203.0.113.0/24"),
        ("203.0.113.9/32", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_an_address_has_one_form(given: str, written: str):
    assert normal_identifier(Kind.IP, given) == written


@pytest.mark.parametrize("wrong", ["", "banana", "1.2.3", "1.2.3.4/33", "1.2.3.4/x", "::/129", "1.2.3.4/-1", "x" * 300])
def test_what_is_no_address_is_refused(wrong: str):
    with pytest.raises(InvalidInput):
        normal_identifier(Kind.IP, wrong)


def test_an_ipv6_client_is_blocked_by_its_prefix():
    table = AccessTable([entry("2001:db8:1:2::/64")])

    assert table.find(call("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64", NOW)
    assert not table.find(call("2001:db8:1:3::1"), "2001:db8:1:3::/64", NOW)


def test_an_entry_counts_until_its_end_and_for_its_tenant():
    table = AccessTable([entry("bob", Kind.USER, tenant="acme", ends_at=NOW + HOUR)])

    assert table.find(call("bob", Kind.USER, "acme"), "", NOW + HOUR - 1)
    assert not table.find(call("bob", Kind.USER, "acme"), "", NOW + HOUR)
    assert not table.find(call("bob", Kind.USER, "umbrella"), "", NOW)


def test_allowing_wins_over_blocking_and_the_longest_block_is_told():
    table = AccessTable([entry("203.0.113.9", ends_at=NOW + 5), entry("203.0.113.0/24", ends_at=NOW + HOUR)])
    longest = table.find(call("203.0.113.9"), "203.0.113.9", NOW)
    table.add(entry("203.0.113.9", effect=Effect.ALLOW))
    allowed = table.find(call("203.0.113.9"), "203.0.113.9", NOW)
    table.remove(allowed.id if allowed else "")

    assert longest is not None
    assert longest.identifier == "203.0.113.0/24"
    assert allowed is not None
    assert allowed.effect is Effect.ALLOW
    assert table.find(call("203.0.113.9"), "203.0.113.9", NOW) == longest


class TestEscalation:
    policy = BanPolicy(refusals=3, within=60, steps=(0, 100, 200, 300), decay=1_000)
    offender = ("default", "ip", "203.0.113.9")

    def refuse(self, escalation: Escalation, at: int) -> list[Sentence]:
        told = [escalation.refused(self.offender, at) for _ in range(3)]
        return [one for one in told if one is not None]

    def test_warns_then_bans_for_longer_each_time(self):
        escalation = Escalation(self.policy, lambda _kind, _identifier: False)

        durations = [self.refuse(escalation, 10_000 + number)[0].duration for number in range(6)]

        assert durations == [0, 100, 200, 300, 300, 300]

    def test_offences_are_forgiven_one_by_one(self):
        escalation = Escalation(self.policy, lambda _kind, _identifier: False)
        for at in (10_000, 10_100, 10_200):
            self.refuse(escalation, at)

        assert self.refuse(escalation, 12_300)[0].level == 2, "two of three are forgiven"

    def test_refusals_spread_out_are_no_offence(self):
        escalation = Escalation(self.policy, lambda _kind, _identifier: False)

        assert [escalation.refused(self.offender, 10_000 + 60 * number) for number in range(50)] == [None] * 50

    def test_loopback_and_trusted_proxies_are_immune(self):
        immune = immune_addresses(["10.0.0.0/8", "2001:db8::/32"])

        assert [immune("ip", one) for one in ("127.0.0.1", "::1", "10.1.2.3", "2001:db8:5::/64", "unknown")] == [
            True
        ] * 5
        assert [immune("ip", one) for one in ("203.0.113.9", "2001:db9::/64")] == [False, False]
        assert not immune("user", "127.0.0.1")
        assert self.refuse(Escalation(self.policy, lambda _kind, _identifier: True), 10_000) == []

    def test_memory_is_bounded(self):
        escalation = Escalation(self.policy, lambda _kind, _identifier: False)
        for number in range(45_000):
            escalation.refused(("t", "ip", str(number)), 10_000)

        assert escalation.shed > 0
