"""Local logins: passwords, sessions, and what guessing costs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from custodes import Custodes
from custodes.errors import AuthenticationFailed, Conflict, CustodesError, InvalidInput, PermissionDenied, RateLimited
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.signals import SecuritySignal
from custodes.planes.identity import passwords
from custodes.planes.identity.directory import Identity
from custodes.planes.identity.logins import LOCKED_PER_MINUTE
from custodes.planes.identity.model import Profile, Role, State
from custodes.planes.identity.passwords import Passwords
from custodes.planes.identity.sessions import IDLE, Client, Opened
from custodes.planes.identity.throttle import ACCOUNT_CAP, ADDRESS_CAP, FREE_FAILURES, TooManyAttempts
from custodes.runtime.transactions import Transaction, Work
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables import metadata
from custodes.testing.clock import FakeClock

HERE = Client("203.0.113.9", "test")
PASSWORD = "a correct horse battery"


@pytest.fixture
async def ann(identity: Identity) -> str:
    """Ann has signed in from HERE once and chosen her password; returns her profile id."""
    made = await identity.profiles.create("ann", role=Role.ADMIN)
    assert made.one_time_password is not None
    await identity.logins.sign_in("ann", made.one_time_password, HERE)
    await identity.logins.change_password(made.profile.id, made.one_time_password, PASSWORD, HERE)
    return made.profile.id


async def fail(identity: Identity, client: Client, subject: str = "ann", times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(AuthenticationFailed):
            await identity.logins.sign_in(subject, "wrong password!", client)


# ── Sessions ─────────────────────────────────────────────────────────────────


async def test_each_login_gets_a_token_of_its_own(identity: Identity, ann: str) -> None:
    """Session fixation: no token survives a login or a change of password."""
    first = await identity.logins.sign_in("ann", PASSWORD, HERE)
    second = await identity.logins.sign_in("ann", PASSWORD, HERE)
    assert first.opened.token != second.opened.token

    changed = await identity.logins.change_password(ann, PASSWORD, "another horse battery", HERE)

    assert await identity.principal_of_session(first.opened.token) is None
    assert await identity.principal_of_session(second.opened.token) is None
    assert await identity.principal_of_session(changed.opened.token) is not None


async def test_a_session_ends_when_it_is_not_used(identity: Identity, ann: str, clock: FakeClock) -> None:
    token = (await identity.logins.sign_in("ann", PASSWORD, HERE)).opened.token
    clock.advance(IDLE - 1)
    assert await identity.principal_of_session(token) is not None
    clock.advance(IDLE - 1)
    assert await identity.principal_of_session(token) is not None
    clock.advance(IDLE)
    assert await identity.principal_of_session(token) is None


async def test_a_session_ends_after_its_lifetime_however_much_it_is_used(
    identity: Identity, ann: str, clock: FakeClock
) -> None:
    token = (await identity.logins.sign_in("ann", PASSWORD, HERE)).opened.token
    for _ in range(11):
        clock.advance(HOUR)
        assert await identity.principal_of_session(token) is not None
    clock.advance(HOUR)
    assert await identity.principal_of_session(token) is None


async def test_a_session_that_was_ended_lets_nobody_in(identity: Identity, ann: str) -> None:
    login = await identity.logins.sign_in("ann", PASSWORD, HERE)
    await identity.sessions.end(login.opened.session.id)
    assert await identity.principal_of_session(login.opened.token) is None


@pytest.mark.parametrize("token", ["", "x", "0" * 43, "é" * 10, "\ud800", "x" * 10_000, "'; --"])
async def test_invented_tokens_stand_for_nobody(identity: Identity, ann: str, token: str) -> None:
    assert await identity.principal_of_session(token) is None
    assert await identity.principal_of_key(token) is None


def every_row(tx: Transaction) -> str:
    connection = connection_of(tx)
    return "".join(repr(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table)))


# ── Passwords ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("new", ["hunter2", "aaaaaaaaaaaaaaaa", "x" * 257, "ann-1234567890", "ANNabcdefghijk"])
async def test_weak_passwords_are_refused_without_showing_them(identity: Identity, ann: str, new: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await identity.logins.change_password(ann, PASSWORD, new, HERE)
    assert new not in str(caught.value)


async def test_the_old_password_is_no_new_one(identity: Identity, ann: str) -> None:
    with pytest.raises(Conflict, match="old one"):
        await identity.logins.change_password(ann, PASSWORD, PASSWORD, HERE)


@pytest.mark.parametrize("new", ["hunter2", PASSWORD])
async def test_looking_for_a_fit_password_is_no_guessing(identity: Identity, ann: str, new: str) -> None:
    """Given the right current password, When many new ones are refused, Then nobody has to wait, nor is counted."""
    for _ in range(FREE_FAILURES + 1):
        with pytest.raises((InvalidInput, Conflict)):
            await identity.logins.change_password(ann, PASSWORD, new, HERE)

    await identity.logins.change_password(ann, PASSWORD, "another horse battery", HERE)


async def test_changing_needs_the_current_password(identity: Identity, ann: str, signals: list[SecuritySignal]) -> None:
    with pytest.raises(AuthenticationFailed):
        await identity.logins.change_password(ann, "wrong password!", "another horse battery", HERE)
    assert signals[-1].action == "auth.password_changed"


async def test_passwords_are_kept_as_argon2id_and_never_as_they_are(
    identity: Identity, ann: str, tmp_path: Path, database: Database
) -> None:
    """Secrets at rest: no password, session token or API key is in any file, or any row, of the store."""
    login = await identity.logins.sign_in("ann", PASSWORD, HERE)
    principal = await identity.principal_of_session(login.opened.token)
    assert principal is not None
    key = await identity.keys.create("canary", owner=principal)

    kept = b"".join(path.read_bytes() for path in tmp_path.glob("custodes.db*"))
    kept += (await database.read(every_row)).encode()

    assert b"$argon2id$" in kept
    for secret in (PASSWORD, login.opened.token, key.secret):
        assert secret.encode() not in kept


async def test_a_hash_of_old_parameters_is_renewed_at_the_next_login(identity: Identity, ann: str) -> None:
    store = identity._store
    stronger = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    identity.logins._passwords = stronger

    await identity.logins.sign_in("ann", PASSWORD, HERE)

    credential = await store.read(lambda tx: store.get_credential(tx, ann))
    assert credential is not None
    assert "m=16,t=2" in credential.password_hash
    await identity.logins.sign_in("ann", PASSWORD, HERE)


async def test_an_unknown_user_costs_the_same_work_as_a_known_one() -> None:
    """Given Argon2 is nearly all the time of a login; then both paths hash once, with the same parameters."""
    verified: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - the library's name
            verified.append(str(hash).rsplit("$", 2)[0])
            return super().verify(hash, password)

    passwords = Passwords(Counting(time_cost=1, memory_cost=8, parallelism=1))
    known = await passwords.hash(PASSWORD)

    for password_hash in (known, None):
        assert not await passwords.verify(password_hash, "wrong password!")

    assert len(verified) == 2
    assert len(set(verified)) == 1


# ── Guessing ─────────────────────────────────────────────────────────────────


async def test_wrong_user_and_wrong_password_read_the_same(identity: Identity, ann: str) -> None:
    messages: set[str] = set()
    for subject in ("ann", "nobody"):
        with pytest.raises(AuthenticationFailed) as caught:
            await identity.logins.sign_in(subject, "wrong password!", Client(subject))
        messages.add(str(caught.value))
    assert len(messages) == 1


async def test_what_was_typed_as_a_user_name_is_told_to_nobody(
    identity: Identity, ann: str, signals: list[SecuritySignal]
) -> None:
    """People type their password into the wrong field."""
    await fail(identity, HERE, subject="my-secret-canary")
    assert "canary" not in repr(signals)
    assert [(signal.action, signal.outcome) for signal in signals] == [("auth.login", "failure")]


async def test_each_failure_beyond_the_free_ones_doubles_the_wait(
    identity: Identity, ann: str, clock: FakeClock
) -> None:
    await fail(identity, HERE, times=FREE_FAILURES)
    waits: list[int] = []
    for _ in range(8):
        with pytest.raises(TooManyAttempts) as caught:
            await identity.logins.sign_in("ann", PASSWORD, HERE)
        waits.append(caught.value.retry_after)
        clock.advance(caught.value.retry_after * SECOND)
        await fail(identity, HERE)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128]


async def test_the_right_password_forgives(identity: Identity, ann: str, clock: FakeClock) -> None:
    await fail(identity, HERE, times=FREE_FAILURES - 1)
    await identity.logins.sign_in("ann", PASSWORD, HERE)
    await fail(identity, HERE, times=FREE_FAILURES - 1)
    await identity.logins.sign_in("ann", PASSWORD, HERE)


async def test_many_guesses_at_the_same_moment_are_counted_one_by_one(identity: Identity, ann: str) -> None:
    """Given 40 guesses at once; then no more than the free ones are even looked at."""
    results = await asyncio.gather(
        *(identity.logins.sign_in("ann", f"guess number {n}", HERE) for n in range(30)), return_exceptions=True
    )
    looked_at = [result for result in results if isinstance(result, AuthenticationFailed)]
    assert len(looked_at) == FREE_FAILURES
    assert all(isinstance(result, CustodesError) for result in results)


async def test_whoever_comes_in_a_flood_of_logins_is_not_taken_for_a_guesser(
    identity: Identity, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given more logins than are looked at, when Ann is turned away again and again, then she waits for nothing."""
    with monkeypatch.context() as flood:
        flood.setattr(passwords, "MAX_WAITING", 0)
        for _ in range(2 * FREE_FAILURES):
            with pytest.raises(RateLimited, match="Too many logins"):
                await identity.logins.sign_in("ann", PASSWORD, HERE)

    assert (await identity.logins.sign_in("ann", PASSWORD, HERE)).profile.id == ann


async def test_nobody_can_lock_somebody_else_out(identity: Identity, ann: str, clock: FakeClock) -> None:
    """Given a botnet that guesses Ann's password from new addresses without end; then Ann gets in from where she
    usually works at once, and from anywhere else after a minute at most."""
    for number in range(200):
        with pytest.raises(CustodesError):
            await identity.logins.sign_in("ann", "wrong password!", Client(f"198.51.{number // 250}.{number % 250}"))
        clock.advance(SECOND)

    assert (await identity.logins.sign_in("ann", PASSWORD, HERE)).profile.id == ann

    elsewhere = Client("192.0.2.77")
    for number in range(20):
        with pytest.raises(CustodesError):
            await identity.logins.sign_in("ann", "wrong password!", Client(f"198.51.100.{number}"))
        clock.advance(ACCOUNT_CAP if number == 19 else SECOND)
    assert (await identity.logins.sign_in("ann", PASSWORD, elsewhere)).profile.id == ann


async def test_a_botnet_gets_one_guess_a_minute(identity: Identity, ann: str, clock: FakeClock) -> None:
    looked_at = 0
    for second in range(3600):
        if second % 5 == 0:
            try:
                await identity.logins.sign_in("ann", "wrong password!", Client(f"10.{second % 256}.{second // 256}.1"))
            except TooManyAttempts:
                pass
            except AuthenticationFailed:
                looked_at += 1
        clock.advance(SECOND)
    assert looked_at <= 60 + FREE_FAILURES + 6


async def is_looked_at(identity: Identity, subject: str) -> bool:
    """Guess a password; tells whether it was held against the right one."""
    try:
        await identity.logins.sign_in(subject, "Summer2026!!", HERE)
    except TooManyAttempts:
        return False
    except AuthenticationFailed:
        return True
    return False


async def test_one_address_cannot_go_through_many_accounts(identity: Identity, clock: FakeClock) -> None:
    """Password spraying: the address is counted whatever the user name."""
    looked_at = 0
    for number in range(60):
        looked_at += await is_looked_at(identity, f"user-{number}")
        clock.advance(SECOND)
    assert looked_at <= FREE_FAILURES + 6


async def test_an_account_of_ones_own_buys_no_guesses_at_others(identity: Identity, ann: str, clock: FakeClock) -> None:
    """
    Given somebody who has an account,
    When they sign in with it after each few guesses at other accounts,
    Then the address waits as if they had not.
    """
    looked_at = 0
    for number in range(60):
        if number % FREE_FAILURES == FREE_FAILURES - 1:
            with suppress(TooManyAttempts):
                await identity.logins.sign_in("ann", PASSWORD, HERE)
        else:
            looked_at += await is_looked_at(identity, f"user-{number}")
        clock.advance(SECOND)
    assert looked_at <= FREE_FAILURES + 6


async def test_a_right_password_makes_nobody_at_its_address_wait(
    identity: Identity, ann: str, clock: FakeClock
) -> None:
    """
    Given an office, of which somebody has failed so often that its address had to wait, and has waited,
    When Ann signs in there, again and again for an hour,
    Then nobody waits for it, and what had failed is forgotten after that hour.
    """
    for _ in range(FREE_FAILURES + 4):
        await fail(identity, HERE, subject="somebody")
        clock.advance(MINUTE)

    for _ in range(60):
        await identity.logins.sign_in("ann", PASSWORD, HERE)
        await identity.logins.sign_in("ann", PASSWORD, HERE)
        clock.advance(MINUTE)

    await fail(identity, HERE, subject="somebody else", times=FREE_FAILURES)


async def test_a_clock_that_is_set_back_stretches_no_wait(identity: Identity, ann: str, clock: FakeClock) -> None:
    """Given a wait of a second; when the clock is set back by an hour; then it is a second from now, however often
    somebody tries."""
    await fail(identity, HERE, times=FREE_FAILURES)
    clock.jump(-HOUR)
    for _ in range(2):
        with pytest.raises(TooManyAttempts) as caught:
            await identity.logins.sign_in("ann", PASSWORD, HERE)
        assert caught.value.retry_after == 1
        clock.advance(SECOND // 2)
    assert (await identity.logins.sign_in("ann", PASSWORD, HERE)).profile.id == ann


async def test_clocks_that_differ_do_not_forget_failures(identity: Identity, ann: str, clock: FakeClock) -> None:
    """
    Given two instances whose clocks are 20 ms apart,
    When somebody guesses at both in turn,
    Then no more than the free guesses are looked at.
    """
    looked_at = 0
    for number in range(30):
        clock.jump(20_000 if number % 2 else -20_000)
        try:
            await identity.logins.sign_in("ann", "wrong password!", HERE)
        except TooManyAttempts:
            pass
        except AuthenticationFailed:
            looked_at += 1
    assert looked_at == FREE_FAILURES


async def test_the_time_of_an_attempt_is_told_when_it_has_its_turn(
    identity: Identity, ann: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an attempt that waits five seconds for its turn; then its wait begins when it had it."""
    await fail(identity, HERE, times=FREE_FAILURES - 1)
    take_turn = identity._store.take_turn

    def late(tx: Transaction, *about: str) -> None:
        take_turn(tx, *about)
        clock.advance(5 * SECOND)

    with monkeypatch.context() as patch:
        patch.setattr(identity._store, "take_turn", late)
        await fail(identity, HERE)
    with pytest.raises(TooManyAttempts):
        await identity.logins.sign_in("ann", PASSWORD, HERE)


async def test_a_login_under_way_does_not_survive_a_reset_of_the_password(
    identity: Identity, ann: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Given a login whose password was found right,
    When an owner resets the password before its session is kept,
    Then no session is opened.
    """
    passwords = identity.logins._passwords
    verify = passwords.verify

    async def verify_then_reset(password_hash: str | None, password: str) -> bool:
        right = await verify(password_hash, password)
        clock.advance(SECOND)
        await identity.profiles.reset_password(ann)
        return right

    with monkeypatch.context() as patch:
        patch.setattr(passwords, "verify", verify_then_reset)
        with pytest.raises(AuthenticationFailed):
            await identity.logins.sign_in("ann", PASSWORD, HERE)
    sessions = await identity.sessions.list_sessions(profile_id=ann)
    assert not any(identity.sessions.lasts(session) for session in sessions.items)


@pytest.mark.parametrize("way", ["password", "issuer", "change"])
async def test_a_login_under_way_keeps_no_session_when_its_profile_is_disabled(
    identity: Identity, ann: str, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """
    Given a login, or a change of password, of a profile that was found active,
    When an owner disables it before the session is kept, and enables it again,
    Then no session is there.
    """
    bob = (await identity.profiles.create("bob", role=Role.ADMIN, issuer="https://issuer.example.com")).profile.id
    draw = identity.sessions.draw
    write = identity._store.write
    drawn: list[str] = []

    def noting(profile: Profile, client: Client) -> Opened:
        drawn.append(profile.id)
        return draw(profile, client)

    async def disable_first(work: Work, **how: Any) -> object:
        if drawn and len(drawn) == 1:
            drawn.append("disabled")
            await identity.profiles.set_state(drawn[0], State.DISABLED)
        return await write(work, **how)

    with monkeypatch.context() as patch:
        patch.setattr(identity.sessions, "draw", noting)
        patch.setattr(identity._store, "write", disable_first)
        ways = {
            "password": lambda: identity.logins.sign_in("ann", PASSWORD, HERE),
            "issuer": lambda: identity.logins.sign_in_as("https://issuer.example.com", "bob", HERE),
            "change": lambda: identity.logins.change_password(ann, PASSWORD, "another horse battery", HERE),
        }
        with pytest.raises((AuthenticationFailed, PermissionDenied, Conflict)):
            await ways[way]()
    for profile in (ann, bob):
        await identity.profiles.set_state(profile, State.ACTIVE)

    assert "disabled" in drawn
    assert drawn[0] == (bob if way == "issuer" else ann)
    sessions = (await identity.sessions.list_sessions(profile_id=drawn[0])).items
    assert not any(identity.sessions.lasts(session) for session in sessions)


async def test_old_counts_are_cleaned_away(identity: Identity, clock: FakeClock) -> None:
    """Given 100 addresses that failed once; when an hour has passed; then new attempts leave no more than their own."""
    for number in range(100):
        await fail(identity, Client(f"198.51.100.{number}"), subject=f"user-{number}")
    clock.advance(HOUR + MINUTE)
    for number in range(12):
        await fail(identity, Client(f"203.0.113.{number}"), subject=f"other-{number}")

    rows, _ = await identity._store.read(lambda tx: identity._store.count_attempts(tx, 0))
    assert rows <= 24 + 20
    assert ADDRESS_CAP < HOUR


# ── Floods ───────────────────────────────────────────────────────────────────


async def test_a_new_address_of_the_same_prefix_is_the_same_guesser(identity: Identity) -> None:
    """
    Given a stranger with a whole IPv6 prefix,
    When each guess is at another account and from another address of it,
    Then it has to wait all the same.
    """
    for number in range(FREE_FAILURES):
        await fail(identity, Client(f"2001:db8:1:2::{number:x}"), f"user{number}")

    with pytest.raises(TooManyAttempts):
        await identity.logins.sign_in("another", PASSWORD, Client("2001:db8:1:2::ffff"))
    await fail(identity, Client("2001:db8:1:3::1"), "yet another")


async def test_knocking_at_a_locked_door_does_not_fill_the_trail(
    identity: Identity, signals: list[SecuritySignal], clock: FakeClock
) -> None:
    """Each knock costs a stranger one request: beyond a number a minute they are counted and not told."""
    await fail(identity, HERE, "nobody", FREE_FAILURES)
    for _ in range(LOCKED_PER_MINUTE + 40):
        with pytest.raises(TooManyAttempts):
            await identity.logins.sign_in("nobody", PASSWORD, HERE)

    assert [signal.action for signal in signals].count("auth.locked") == LOCKED_PER_MINUTE
    assert identity.logins.suppressed == 40


async def test_whose_attempts_nobody_knows_stand_in_the_default_tenants_trail(sqlite_url: str):
    """Given an install whose default tenant is acme, then attacks on its login are in acme's trail."""
    custodes = Custodes(sqlite_url, default_tenant="acme")
    heard: list[SecuritySignal] = []
    custodes.bus.subscribe(SecuritySignal, heard.append)
    await custodes.open()
    try:
        with pytest.raises(AuthenticationFailed):
            await custodes.identity.logins.sign_in("nobody", "wrong", Client("203.0.113.9"))
    finally:
        await custodes.close()

    assert [(one.tenant, one.action) for one in heard] == [("acme", "auth.login")]
