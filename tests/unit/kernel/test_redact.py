"""Secrets are masked by name and by look, measured on a corpus; everything else stays."""

import base64
import time
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from custodes.kernel.redact import MASK, Limits, luhn, redact, redact_text, sensitive_name, sensitive_path


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


_JWT = ".".join((_b64('{"alg":"HS256"}'), _b64('{"sub":"1234567890"}'), "s" * 43))
# Written in parts, so that no scanner takes this file for a leak.
SECRETS = [
    _JWT,
    f"Bearer {'a1' * 20}",
    f"Basic {base64.b64encode(b'user:correct horse').decode()}",
    "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "rk_" + "live_" + "51H8xyzABCDEFGHIJK",
    "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "gh" + "p_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "github" + "_pat_" + "11ABCDEFG0abcdefghijkl_mnop",
    "gl" + "pat-" + "abcdefghij0123456789",
    "xox" + "b-" + "123456789012-abcdefABCDEF",
    "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "npm_" + "a" * 36,
    "pypi-" + "AgEIcHlwaS5vcmcCJDEyMzQ1Njc4",
    "SG." + "a" * 22 + "." + "b" * 43,
    "sk-" + "ant-" + "api03-abcdefghijklmnop",
    "sk-" + "proj-" + "abcdefghijklmnopqrstuvwx",
    "hf_" + "abcdefghijklmnopqrstuvwxyz",
    "shp" + "at_" + "0123456789abcdef0123456789abcdef",
    "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$hash0123456789",
    "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
    "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
    "4242424242424242",
    "4242 4242 4242 4242",
    "5555-5555-5555-4444",
    "378282246310005",
    "6011111111111117",
    "postgresql://app:hunter2hunter2@db.internal/app",
    "redis://:hunter2hunter2@cache:6379/0",
    "https://example.com/cb?access_token=abcdef123456&x=1",
    "password=hunter2hunter2",
    'client_secret: "abcd1234efgh"',
]

#: Pieces of the secrets above that must never be left over.
HEARTS = [
    "sssss",
    "a1a1a1",
    base64.b64encode(b"user:correct horse").decode(),
    "HqLyjWDar",
    "51H8xyz",
    "MfKQ9r8G",
    "7e42F292",
    "11ABCDEFG0",
    "0123456789",
    "abcdefABCDEF",
    "XXXX",
    "IOSFODNN7",
    "SyA1234",
    "aaaaaaaa",
    "AgEIcH",
    "api03",
    "ghijklm",
    "c29tZXNhbHQ",
    "EixZaYVK",
    "MIIEpA",
    "4242",
    "5555",
    "378282",
    "601111",
    "hunter2",
    "abcdef123456",
    "abcd1234",
]

#: What an audit trail is full of, and must stay readable.
ORDINARY = [
    "",
    "ok",
    "user:42",
    "alice@example.com",
    "203.0.113.9",
    "2001:db8::1",
    "2026-11-23T05:34:00.000001Z",
    "1795414820862309",
    "01a20710-07fe-74f1-8045-91518e0a30c4",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "cus_NffrFeUfNV2Hib",
    "evt_1NG8Du2eZvKYlo2CUI79vXWy",
    "in_1MtHbELkdIwHu7ixl4OzzPMv",
    "pk_" + "live_" + "TYooMQauvdEDq54NiTphI7jx",
    "member.removed",
    "Mozilla/5.0 (X11; Linux x86_64)",
    "1234567812345678",
    "12345678901234567890123",
    "4.2.4.2.4.2.4.2",
    "+49 30 1234567890",
    "DE-2026-000123456789",
    "https://example.com/path?page=2&sort=name",
    "the password was changed",
    "forgot password?",
    "token expired",
    "Basic plan",
    "basic subscription",
    "3.14159265358979",
    "v1.2.3-rc.1",
    "sha256:e3b0c44298fc1c149afbf4c8996fb924",
    "Jörg Müller",
    "東京都千代田区",
    "SELECT 1",
    "order #4500012345",
    "9876543210987654",
]

SECRET_NAMES = [
    "password",
    "Password",
    "user_password",
    "passwd",
    "new_password",
    "passwordConfirmation",
    "secret",
    "client_secret",
    "clientSecret",
    "api_key",
    "apiKey",
    "APIKey",
    "X-API-Key",
    "apikey",
    "token",
    "access_token",
    "refreshToken",
    "id_token",
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "private_key",
    "privateKey",
    "ssh_key",
    "session_id",
    "sessionid",
    "SESSION_KEY",
    "otp",
    "totp_secret",
    "pin",
    "cvv",
    "cvc",
    "card_number",
    "cardNumber",
    "account_number",
    "ssn",
    "jwt",
    "credentials",
    "recovery_codes",
    "backup-codes",
    "csrf_token",
    "security_answer",
    "webhook_signing_key",
    "stripe.secret",
    "mfaCode",
]

ORDINARY_NAMES = [
    "name",
    "email",
    "id",
    "user_id",
    "token_count",
    "max_tokens",
    "tokens_used",
    "token_type",
    "has_password",
    "password_changed_at",
    "password_policy",
    "password_length",
    "secret_name",
    "api_key_id",
    "cookie_consent",
    "session",
    "sessions_count",
    "author",
    "authored_by",
    "public_key",
    "primary_key",
    "key",
    "monkey",
    "keyboard",
    "pinned",
    "spinner",
    "opinion",
    "compass",
    "passenger",
    "secretary",
    "tokenizer",
    "mfa_enabled",
    "pan_zoom_state",
    "idempotency_key",
    "card_brand",
    "shipping",
    "description",
    "authority",
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_every_secret_of_the_corpus_is_masked_wherever_it_stands(secret: str):
    masked = redact_text(f"see {secret} there")

    assert masked.startswith("see ")
    assert masked.endswith(" there")
    assert "[redacted" in masked
    # and of what is secret nothing is left
    kept = masked.removeprefix("see ").removesuffix(" there")
    assert not [part for part in HEARTS if part in secret and part in kept]
    assert len(kept) < len(secret) + 24


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_no_secret_stays(text: str):
    assert redact_text(text) == text


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names_are_known_in_every_spelling(name: str):
    assert sensitive_name(name)


@pytest.mark.parametrize("name", ORDINARY_NAMES)
def test_names_that_only_speak_about_secrets_are_let_through(name: str):
    assert not sensitive_name(name)


def test_below_a_sensitive_name_everything_is_masked_whatever_its_type():
    value = {"credentials": {"user": "a", "n": 1}, "otp": 123456, "tokens": ["a", "b"], "pin": 12.5, "secret": b"x"}

    assert redact(value) == dict.fromkeys(value, MASK)


def test_that_a_secret_was_not_set_stays_visible():
    assert redact({"password": None, "api_key": False, "mfa_secret": True}) == {
        "password": None,
        "api_key": False,
        "mfa_secret": True,
    }


def test_secrets_are_found_at_any_depth_and_in_lists():
    value = {"a": [{"b": {"headers": [{"Authorization": "Bearer abc"}, "ok"]}}]}

    assert redact(value) == {"a": [{"b": {"headers": [{"Authorization": MASK}, "ok"]}}]}


def test_values_of_other_types_become_json():
    value = {
        "when": datetime(2026, 11, 23, tzinfo=UTC),
        "amount": Decimal("9.90"),
        "id": uuid.UUID(int=1),
        "raw": b"\x00\x01",
        "big": 2**60,
        "huge": 10**5_000,
        "nan": float("nan"),
        "kinds": {"a"},
        "half": "\ud800",
        7: "seven",
    }

    assert redact(value) == {
        "when": "2026-11-23T00:00:00+00:00",
        "amount": "9.90",
        "id": "00000000-0000-0000-0000-000000000001",
        "raw": "[2 bytes]",
        "big": str(2**60),
        "huge": "[integer of 16610 bits]",
        "nan": "nan",
        "kinds": ["a"],
        "half": "?",
        "7": "seven",
    }


def test_an_object_that_cannot_be_shown_does_not_stop_the_recording():
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    assert redact({"x": Rude()}) == {"x": "[Rude]"}


def test_each_cut_leaves_a_mark():
    limits = Limits(depth=2, nodes=5, chars=100, text=10)

    assert redact("a" * 50, limits) == "aaaaaaaaaa… [50 characters]"
    assert redact(list(range(50)), limits) == [0, 1, 2, 3, 4, "[45 more items]"]
    assert redact({"a": {"b": {"c": 1}}}, limits) == {"a": {"b": "[1 members, too deep]"}}
    assert redact({str(place): place for place in range(9)}, limits)["…"] == "[4 more members]"


def test_a_cycle_ends():
    value: dict[str, object] = {}
    value["self"] = value

    assert "too deep" in str(redact(value))


def test_a_text_made_to_look_like_tokens_is_gone_through_once():
    """Given a run of characters in which a token may begin everywhere, When it is masked, Then it takes no time."""
    begin = time.process_time()

    text = "eyJaaaaaaaa-" * 20_000

    assert redact_text(text) == text
    assert time.process_time() - begin < 5


def test_cards_are_checked_by_their_last_digit_and_can_be_left_alone_in_ids():
    assert luhn([4, 2] * 8)
    assert redact_text("4242424242424243") == "4242424242424243"
    assert redact_text("4242424242424242", cards=False) == "4242424242424242"


def test_paths_are_sensitive_when_any_part_is():
    assert sensitive_path("user.profile.api_key")
    assert sensitive_path("settings/credentials/host")
    assert not sensitive_path("user.profile.email")
