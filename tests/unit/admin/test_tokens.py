"""The JWT drill: what holds is accepted, everything else is refused, and the issuer is never hammered."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import OctKey

from custodes.admin.auth.jwks import MAX_AGE, MIN_INTERVAL, REFRESH_AFTER
from custodes.admin.auth.tokens import LEEWAY, MAX_TOKEN, TokenVerifier, clerk_issuer, oidc_issuer
from custodes.errors import AuthenticationFailed, ConfigurationError, TokenExpired
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.planes.identity.model import Method
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer


@pytest.fixture(scope="module")
def keys() -> FakeIssuer:
    """Key pairs are slow to make: one issuer lends them to all tests."""
    issuer = FakeIssuer(FakeClock())
    issuer.add_key("ES256", "key-ec")
    issuer.add_key("EdDSA", "key-ed")
    issuer.add_key("RS256", "key-2")
    issuer.add_key("RS256", "stranger")
    return issuer


@pytest.fixture
def issuer(clock: FakeClock, keys: FakeIssuer) -> FakeIssuer:
    issuer = FakeIssuer.__new__(FakeIssuer)
    issuer.__dict__.update(keys.__dict__, _clock=clock, fetched=[], reachable=True)
    issuer.keys = {kid: key for kid, key in keys.keys.items() if kid not in {"stranger", "key-2"}}
    return issuer


@pytest.fixture
def verifier(issuer: FakeIssuer, clock: FakeClock) -> TokenVerifier:
    return TokenVerifier([oidc_issuer(issuer.url, issuer.audience)], issuer.fetch, clock)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(b64(part) for part in parts)


async def refused(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(AuthenticationFailed) as caught:
        await verifier.verify(token)
    return caught.value.message


# ── What holds ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("RS256", "key-1"), ("PS256", "key-1"), ("ES256", "key-ec"), ("EdDSA", "key-ed")]
)
async def test_a_token_of_each_accepted_algorithm_signs_in(
    issuer: FakeIssuer, verifier: TokenVerifier, algorithm: str, kid: str
) -> None:
    found = await verifier.verify(issuer.token("ann", algorithm=algorithm, kid=kid))

    assert (found.subject, found.issuer, found.method) == ("ann", issuer.url, Method.OIDC)


async def test_who_really_acts_is_told(issuer: FakeIssuer, verifier: TokenVerifier) -> None:
    found = await verifier.verify(issuer.token("ann", act={"sub": "support-7"}))

    assert found.impersonator == "support-7"


async def test_the_clocks_may_differ_by_the_leeway(
    issuer: FakeIssuer, verifier: TokenVerifier, clock: FakeClock
) -> None:
    token = issuer.token("ann")
    clock.jump(-LEEWAY // 2)
    assert (await verifier.verify(token)).subject == "ann"
    clock.jump(LEEWAY // 2 + 300 * SECOND + LEEWAY - 1)
    assert (await verifier.verify(token)).subject == "ann"
    clock.jump(1)
    assert "expired" in await refused(verifier, token)


async def test_clerk_tokens_are_held_against_the_origins_that_may_ask_for_them(clock: FakeClock) -> None:
    """Given a Clerk instance with one authorized party; then only tokens of its pages sign in."""
    clerk = FakeIssuer(clock, "https://clerk.example.com", audience="")
    verifier = TokenVerifier([clerk_issuer(clerk.url + "/", ["https://app.example.com"])], clerk.fetch, clock)

    found = await verifier.verify(clerk.token("user_1", azp="https://app.example.com", sid="sess_1"))
    assert (found.subject, found.method) == ("user_1", Method.CLERK)
    assert clerk.fetched == ["https://clerk.example.com/.well-known/jwks.json"]

    assert "another party" in await refused(verifier, clerk.token("user_1", azp="https://evil.example.com"))
    assert "another party" in await refused(verifier, clerk.token("user_1"))
    pending = clerk.token("user_1", azp="https://app.example.com", sts="pending")
    assert "not for signing in" in await refused(verifier, pending)


def test_an_oidc_issuer_without_an_audience_is_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="CUSTODES_OIDC_AUDIENCE"):
        oidc_issuer("https://issuer.example.com", "")


# ── What does not: the signature ─────────────────────────────────────────────


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_no_signature_is_no_signature(issuer: FakeIssuer, verifier: TokenVerifier, name: str) -> None:
    for signature in (b"", b"x"):
        token = unsigned({"alg": name, "kid": "key-1", "typ": "JWT"}, issuer.claims("ann"), signature)
        assert "algorithm" in await refused(verifier, token)
    assert issuer.fetched == []


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_never_an_hmac_secret(
    issuer: FakeIssuer, verifier: TokenVerifier, algorithm: str
) -> None:
    """The HS/RS confusion: signed with the published key as the secret."""
    for encoding in ("PEM", "DER"):
        secret = issuer.keys["key-1"].as_bytes(encoding, private=False)
        header = {"alg": algorithm, "kid": "key-1", "typ": "JWT"}
        signing_input = unsigned(header, issuer.claims("ann")).rsplit(".", 1)[0]
        digest = hmac.digest(secret, signing_input.encode(), f"sha{algorithm[2:]}")
        assert "algorithm" in await refused(verifier, f"{signing_input}.{b64(digest)}")


async def test_a_key_serves_only_the_algorithms_of_its_kind(issuer: FakeIssuer, verifier: TokenVerifier) -> None:
    """An ES256 token that names the RSA key, and an RS256 token that names the EC key."""
    for algorithm, signer, named in (("ES256", "key-ec", "key-1"), ("RS256", "key-1", "key-ec")):
        token = issuer.sign({"alg": algorithm, "kid": named, "typ": "JWT"}, issuer.claims("ann"), issuer.keys[signer])
        assert "no key" in await refused(verifier, token)


@pytest.mark.parametrize(
    "algorithm", ["RS384", "RS512", "ES512", "RS1", "ES256K", "dir", "RSA-OAEP", 5, ["RS256"], None]
)
async def test_other_algorithms_are_refused(issuer: FakeIssuer, verifier: TokenVerifier, algorithm: object) -> None:
    token = unsigned({"alg": algorithm, "kid": "key-1"}, issuer.claims("ann"), b"x" * 256)

    assert "algorithm" in await refused(verifier, token)


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null", "key-1' OR '1'='1", "key-1\x00", "http://evil.example.com/jwks", "KEY-1", "",
        "k" * 257, 1, ["key-1"], {"kid": "key-1"}, True,
    ],
)  # fmt: skip
async def test_a_key_id_is_compared_and_nothing_else(
    issuer: FakeIssuer, verifier: TokenVerifier, keys: FakeIssuer, kid: object
) -> None:
    header = {"alg": "RS256", "kid": kid, "typ": "JWT"}
    signed = issuer.sign({"alg": "RS256", "typ": "JWT"}, issuer.claims("ann"), keys.keys["stranger"])
    token = f"{b64(json.dumps(header).encode())}.{signed.split('.', 1)[1]}"

    await refused(verifier, token)
    assert all(url.startswith(issuer.url) for url in issuer.fetched)


@pytest.mark.parametrize("field", ["jku", "x5u", "jwk", "x5c"])
async def test_a_token_never_says_where_its_key_is(
    issuer: FakeIssuer, verifier: TokenVerifier, keys: FakeIssuer, field: str
) -> None:
    stranger = keys.keys["stranger"]
    value: Any = {
        "jku": "https://evil.example.com/jwks.json",
        "x5u": "https://evil.example.com/cert.pem",
        "jwk": stranger.as_dict(private=False),
        "x5c": [b64(stranger.as_bytes("DER", private=False))],
    }[field]
    token = issuer.sign({"alg": "RS256", "kid": "key-1", "typ": "JWT", field: value}, issuer.claims("ann"), stranger)

    assert "no key" in await refused(verifier, token)
    assert not [url for url in issuer.fetched if "evil" in url]


async def test_one_changed_bit_anywhere_is_found(issuer: FakeIssuer, verifier: TokenVerifier) -> None:
    token = issuer.token("ann", algorithm="EdDSA", kid="key-ed")
    for part in range(3):
        pieces = token.split(".")
        raw = bytearray(base64.urlsafe_b64decode(pieces[part] + "=="))
        raw[len(raw) // 2] ^= 1
        pieces[part] = b64(bytes(raw))
        await refused(verifier, ".".join(pieces))


@pytest.mark.parametrize(
    "extension", [{"crit": ["b64"], "b64": False}, {"crit": []}, {"b64": False}, {"crit": ["exp"]}]
)
async def test_extensions_are_refused(issuer: FakeIssuer, verifier: TokenVerifier, extension: dict[str, Any]) -> None:
    token = unsigned({"alg": "RS256", "kid": "key-1", **extension}, issuer.claims("ann"), b"x" * 256)

    assert "extension" in await refused(verifier, token)


# ── What does not: the claims ────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example.com"}, "issuer"),
        ({"iss": "https://issuer.example.com/"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": ["https://issuer.example.com"]}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": {"custodes": True}}, "audience"),
        ({"aud": "custodes-admin"}, "audience"),
        ({"aud": ["custodes", "another"]}, "several audiences"),
        ({"azp": "another"}, "another party"),
        ({"azp": ["custodes"]}, "another party"),
        ({"aud": ["custodes", "another"], "azp": "another"}, "another party"),
        ({"exp": None}, "when it expires"),
        ({"exp": 1}, "before it was issued"),
        ({"exp": 1, "iat": 0}, "expired"),
        ({"exp": "9999999999"}, "exp is malformed"),
        ({"exp": True}, "exp is malformed"),
        ({"exp": float("inf")}, "exp is malformed"),
        ({"exp": float("nan")}, "exp is malformed"),
        ({"exp": 10**30}, "exp is malformed"),
        ({"exp": -1}, "exp is malformed"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
        ({"nbf": "soon"}, "nbf is malformed"),
        ({"iat": 9_999_999_999}, "in the future"),
        ({"iat": {}}, "iat is malformed"),
        ({"sub": None}, "names nobody"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 7}, "names nobody"),
        ({"sub": "a" * 256}, "names nobody"),
        ({"act": "support"}, "who acts"),
        ({"act": {}}, "who acts"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "not for signing in"),
    ],
)  # fmt: skip
async def test_claims_that_do_not_hold(
    issuer: FakeIssuer, verifier: TokenVerifier, changes: dict[str, Any], why: str
) -> None:
    sub = changes.pop("sub", "ann")

    assert why in await refused(verifier, issuer.sign(
        {"alg": "EdDSA", "kid": "key-ed", "typ": "JWT"},
        issuer.claims(sub, **changes) if sub is not None else issuer.claims("x", sub=None, **changes),
        issuer.keys["key-ed"],
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "good_until_then"),
    [
        ({}, True),
        ({"exp": None}, False),
        ({"aud": "another"}, False),
        ({"azp": "another"}, False),
        ({"sub": None}, False),
        ({"events": {}}, False),
        ({"nbf": 9_999_999_999}, False),
    ],
)
async def test_only_a_token_that_did_hold_is_one_that_has_expired(
    issuer: FakeIssuer, verifier: TokenVerifier, changes: dict[str, Any], good_until_then: bool
) -> None:
    """Given tokens whose time is over, When one would not have held before either, Then it is refused as any such."""
    claims = issuer.claims("ann", **{"exp": 1, "iat": 0, **changes})

    with pytest.raises(AuthenticationFailed) as refusal:
        await verifier.verify(issuer.sign({"alg": "EdDSA", "kid": "key-ed"}, claims, issuer.keys["key-ed"]))

    assert isinstance(refusal.value, TokenExpired) is good_until_then


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", 5, ["JWT"]])
async def test_a_token_made_for_something_else_signs_nobody_in(
    issuer: FakeIssuer, verifier: TokenVerifier, kind: object
) -> None:
    token = unsigned({"alg": "RS256", "kid": "key-1", "typ": kind}, issuer.claims("ann"), b"x" * 256)

    assert "not for signing in" in await refused(verifier, token)


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "e30.e30.", "bnVsbA.e30.x", "W10.e30.x",
     "\x00.\x00.\x00", "e30.e30.e30" + "x" * MAX_TOKEN, "W1tb" * 500 + ".e30.x", "eyJhbGciOiJSUzI1NiJ9.bnVsbA.x"],
)  # fmt: skip
async def test_rubbish_is_refused_in_words(verifier: TokenVerifier, token: str) -> None:
    assert (await refused(verifier, token)).startswith("The token is refused")


async def test_a_refusal_never_repeats_the_token(issuer: FakeIssuer, verifier: TokenVerifier) -> None:
    message = await refused(verifier, issuer.token("canary-subject", aud="canary-audience"))

    assert "canary" not in message


# ── Keys: rotation, outage, hammering ────────────────────────────────────────


async def test_a_new_key_is_found_when_it_is_first_used(
    issuer: FakeIssuer, verifier: TokenVerifier, keys: FakeIssuer, clock: FakeClock
) -> None:
    """Given known keys, when the issuer rotates, then the first token of the new key is accepted."""
    await verifier.verify(issuer.token("ann"))
    issuer.keys["key-2"] = keys.keys["key-2"]
    clock.advance(MIN_INTERVAL)

    assert (await verifier.verify(issuer.token("ann", kid="key-2"))).subject == "ann"


async def test_a_withdrawn_key_stops_to_work_after_the_next_refresh(
    issuer: FakeIssuer, verifier: TokenVerifier, clock: FakeClock
) -> None:
    old = issuer.keys["key-1"]
    await verifier.verify(issuer.token("ann"))
    del issuer.keys["key-1"]
    clock.advance(REFRESH_AFTER + 1)

    def token() -> str:
        return issuer.sign({"alg": "RS256", "kid": "key-1"}, issuer.claims("ann"), old)

    await verifier.verify(token())  # begins the refresh, does not wait for it
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "no key" in await refused(verifier, token())


async def test_unknown_key_ids_cause_at_most_one_fetch_in_thirty_seconds(
    issuer: FakeIssuer, verifier: TokenVerifier, clock: FakeClock, keys: FakeIssuer
) -> None:
    """Given an attacker with invented key ids, 300 tokens in 60 seconds cost the issuer three fetches of its keys."""
    for number in range(300):
        header = {"alg": "RS256", "kid": f"invented-{number}", "typ": "JWT"}
        await refused(verifier, unsigned(header, issuer.claims("ann"), b"x" * 256))
        clock.advance(60 * SECOND // 300)

    asked = [url for url in issuer.fetched if url.endswith("jwks.json")]
    assert len(asked) <= 2


async def test_a_crowd_shares_one_fetch(issuer: FakeIssuer, verifier: TokenVerifier) -> None:
    tokens = [issuer.token(f"user-{number}", algorithm="EdDSA", kid="key-ed") for number in range(50)]

    found = await asyncio.gather(*(verifier.verify(token) for token in tokens))

    assert len(found) == 50
    assert len([url for url in issuer.fetched if url.endswith("jwks.json")]) == 1


async def test_known_keys_outlive_an_outage_of_one_hour(
    issuer: FakeIssuer, verifier: TokenVerifier, clock: FakeClock
) -> None:
    await verifier.verify(issuer.token("ann"))
    clock.advance(REFRESH_AFTER)
    issuer.reachable = False

    for _ in range(60):
        clock.advance(MINUTE)
        assert (await verifier.verify(issuer.token("ann"))).subject == "ann"
    assert HOUR + REFRESH_AFTER == MAX_AGE

    # An issuer that is gone for longer may have withdrawn the key: then nobody gets in by it.
    clock.advance(1)
    assert "no key" in await refused(verifier, issuer.token("ann"))

    # And back again.
    issuer.reachable = True
    clock.advance(MIN_INTERVAL)
    assert (await verifier.verify(issuer.token("ann"))).subject == "ann"


async def test_a_set_with_bad_neighbours_still_serves(issuer: FakeIssuer, clock: FakeClock) -> None:
    """Private parts, secrets, short and foreign keys in a set are passed over; the good one serves."""
    good = issuer.jwks()["keys"][0]
    bad: list[Any] = [
        None, 5, "key", {}, {"kty": "RSA"}, {"kty": "oct", "k": b64(b"s" * 32), "kid": "key-1"},
        {"kty": "EC", "crv": "P-999", "x": "", "y": ""}, {"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"},
        {"kty": "RSA", "n": "!!", "e": "AQAB"}, {**good, "kid": 7}, {**good, "use": "enc"},
        {**good, "key_ops": ["sign"]}, {**good, "alg": "RS512"},
    ]  # fmt: skip

    async def fetch(url: str) -> dict[str, Any]:
        found = await issuer.fetch(url)
        return {"keys": [*bad, good]} if "keys" in found else found

    verifier = TokenVerifier([oidc_issuer(issuer.url, issuer.audience)], fetch, clock)
    assert (await verifier.verify(issuer.token("ann"))).subject == "ann"
    secret = OctKey.import_key("s" * 32)
    forged = issuer.sign({"alg": "HS256", "kid": "key-1"}, issuer.claims("ann"), secret)
    assert "algorithm" in await refused(verifier, forged)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, {"keys": [{}]}])
async def test_an_odd_document_is_no_crash(issuer: FakeIssuer, clock: FakeClock, document: dict[str, Any]) -> None:
    async def fetch(url: str) -> dict[str, Any]:
        return document if url.endswith("jwks.json") else await issuer.fetch(url)

    verifier = TokenVerifier([oidc_issuer(issuer.url, issuer.audience)], fetch, clock)
    assert "no key" in await refused(verifier, issuer.token("ann"))


@pytest.mark.parametrize(
    "discovered",
    [{"issuer": "https://evil.example.com", "jwks_uri": "https://issuer.example.com/.well-known/jwks.json"},
     {"issuer": "https://issuer.example.com", "jwks_uri": "http://169.254.169.254/latest/meta-data"},
     {"issuer": "https://issuer.example.com", "jwks_uri": "file:///etc/passwd"},
     {"issuer": "https://issuer.example.com"}, {}],
)  # fmt: skip
async def test_discovery_cannot_send_us_elsewhere(
    issuer: FakeIssuer, clock: FakeClock, discovered: dict[str, Any]
) -> None:
    asked: list[str] = []

    async def fetch(url: str) -> dict[str, Any]:
        asked.append(url)
        return discovered if url.endswith("openid-configuration") else issuer.jwks()

    verifier = TokenVerifier([oidc_issuer(issuer.url, issuer.audience)], fetch, clock)
    assert "no key" in await refused(verifier, issuer.token("ann"))
    assert asked == [f"{issuer.url}/.well-known/openid-configuration"]
