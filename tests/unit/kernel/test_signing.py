"""Signatures and the strict reading of what comes with them."""

import base64
import random

import pytest

from custodes.kernel.signing import (
    PrivateKey,
    PublicKey,
    base64_bytes,
    hmac_base64,
    hmac_hex,
    matching,
    same,
    symmetric_key,
    unix_seconds,
)

SEED = bytes(range(32))


@pytest.mark.parametrize("text", ["0", "1614265330", "00012", "99999999999"])
def test_a_timestamp_is_digits(text):
    assert unix_seconds(text) == int(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "-1", "1_000", "1.0", "1e3", "0x1", "inf", "nan", "١٢٣", "¹", "123456789012", "1\n", "\x00"],
)
def test_nothing_else_is_a_timestamp(text):
    """``int`` takes ``1_000``, ``+1`` and Arabic digits, ``float`` takes ``inf``: none of them is a moment."""
    assert unix_seconds(text) is None


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "A===", "AAAA\n", " AAAA", "AA-_", "AA==AA==", "é", "AAAA\x00"])
def test_base64_with_anything_in_it_is_refused(text):
    assert base64_bytes(text) is None


@pytest.mark.parametrize("text", ["é", "\ud800", "\x00", "ü" * 64])
def test_texts_that_are_no_signature_compare_unequal_and_do_not_raise(text):
    assert not same(text, "0" * 64)
    assert same(text, text)


def test_matching_names_the_first_key_that_explains_one():
    assert matching(["a", "b", "c"], ["x", "c", "b"]) == 1
    assert matching(["a"], []) is None
    assert matching([], ["a"]) is None


def test_hmac_in_both_spellings():
    """RFC 4231, test case 2."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert hmac_hex(b"Jefe", b"what do ya want for nothing?") == digest
    assert base64.b64decode(hmac_base64(b"Jefe", b"what do ya want for nothing?")).hex() == digest


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!", "whsec_AAAAA", "whsec_ AAAA", "é"])
def test_a_secret_that_is_no_base64_is_no_secret(text):
    assert symmetric_key(text) is None


def test_a_secret_may_be_unpadded_and_without_its_prefix():
    assert symmetric_key("whsec_AAA=") == symmetric_key("whsec_AAA") == symmetric_key("AAA") == b"\x00\x00"


def test_an_ed25519_key_signs_what_its_public_half_verifies():
    # Given a private key, as the seed alone and as seed with public key
    private = PrivateKey.read("whsk_" + base64.b64encode(SEED).decode())
    assert private is not None
    public = PublicKey.read(private.public())
    assert public is not None

    # When a message is signed
    signature = private.sign(b"message")

    # Then it verifies, and nothing else does
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"massage")


def test_no_bit_of_an_ed25519_signature_can_be_flipped():
    private = PrivateKey.read("whsk_" + base64.b64encode(SEED).decode())
    assert private is not None
    public = PublicKey.read(private.public())
    assert public is not None
    signature = base64.b64decode(private.sign(b"message"))

    for bit in random.Random(1).sample(range(512), 64):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not public.verifies(base64.b64encode(flipped).decode(), b"message")


@pytest.mark.parametrize("text", ["", "whpk_", "whpk_AAAA", "whpk_" + "A" * 88, "whpk_é", "whsec_AAAA"])
def test_what_is_no_key_is_none(text):
    assert PublicKey.read(text) is None
    assert PrivateKey.read(text.replace("whpk_", "whsk_")) is None


@pytest.mark.parametrize("signature", ["", "A", "AAAA", "é", "A" * 88, "=" * 88])
def test_what_is_no_signature_verifies_nothing(signature):
    private = PrivateKey.read("whsk_" + base64.b64encode(SEED).decode())
    assert private is not None
    public = PublicKey.read(private.public())
    assert public is not None

    assert not public.verifies(signature, b"message")
