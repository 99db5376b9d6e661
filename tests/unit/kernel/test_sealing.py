"""Secrets at rest open with the right key in the right place, and nowhere else."""

import random

import pytest

from custodes.errors import ConfigurationError
from custodes.kernel.sealing import NoSealer, Sealer

OLD, NEW = "o" * 32, "n" * 32
PURPOSE = "webhook_secrets:acme:1"


@pytest.fixture
def bits():
    return random.Random(7).getrandbits


def test_what_is_sealed_opens_again_and_shows_nothing(bits):
    sealer = Sealer([NEW], bits)

    sealed = sealer.seal(b"very secret", PURPOSE)

    assert b"very secret" not in sealed
    assert sealer.open(sealed, PURPOSE) == b"very secret"


def test_the_same_secret_is_sealed_differently_each_time(bits):
    sealer = Sealer([NEW], bits)

    assert sealer.seal(b"x", PURPOSE) != sealer.seal(b"x", PURPOSE)


def test_the_first_key_seals_and_every_key_opens(bits):
    # Given something sealed before the key was rotated
    before = Sealer([OLD], bits).seal(b"x", PURPOSE)

    rotated = Sealer([NEW, OLD], bits)

    assert rotated.open(before, PURPOSE) == b"x"
    with pytest.raises(ConfigurationError, match="not among the keys"):
        Sealer([OLD], bits).open(rotated.seal(b"y", PURPOSE), PURPOSE)


def test_a_sealed_secret_that_was_moved_or_changed_does_not_open(bits):
    sealer = Sealer([NEW], bits)
    sealed = sealer.seal(b"x", PURPOSE)

    with pytest.raises(ConfigurationError, match="changed, or moved"):
        sealer.open(sealed, "webhook_secrets:acme:2")
    for place in range(5, len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(ConfigurationError):
            sealer.open(bytes(changed), PURPOSE)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" + bytes(40), bytes(40), b"\x01" + bytes(40)])
def test_what_was_never_sealed_is_refused_with_our_error(bits, sealed: bytes):
    with pytest.raises(ConfigurationError):
        Sealer([NEW], bits).open(sealed, PURPOSE)


@pytest.mark.parametrize("keys", [[], [""], ["short"], [NEW, "x" * 31]])
def test_a_weak_key_is_refused_at_start(bits, keys: list[str]):
    with pytest.raises(ConfigurationError, match="32 characters"):
        Sealer(keys, bits)


def test_an_error_never_shows_a_key_or_a_secret(bits):
    sealed = Sealer([OLD], bits).seal(b"very secret", PURPOSE)

    with pytest.raises(ConfigurationError) as caught:
        Sealer([NEW], bits).open(sealed, PURPOSE)

    assert OLD not in str(caught.value)
    assert NEW not in str(caught.value)
    assert "very secret" not in str(caught.value)


def test_without_a_key_each_use_says_what_to_set():
    sealer = NoSealer()

    for use in (lambda: sealer.seal(b"x", "p"), lambda: sealer.open(b"x", "p"), lambda: sealer.derive(b"p", 32)):
        with pytest.raises(ConfigurationError) as refused:
            use()
        assert "CUSTODES_SECRET_KEY" in refused.value.remedy
    assert not sealer.knows("00000000")
