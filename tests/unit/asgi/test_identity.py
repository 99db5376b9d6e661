"""Who called, as the host's own middleware left it."""

from enum import Enum
from types import SimpleNamespace
from uuid import UUID

import pytest
from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser

from custodes.asgi.identity import clean_id, clean_tenant, user_of


class Account(BaseUser):
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return "Ada"


@pytest.mark.parametrize(
    ("scope", "user"),
    [
        ({"user": SimpleUser("ada")}, "ada"),
        ({"user": Account()}, "Ada"),  # its identity is not implemented, as Starlette's base class leaves it
        ({"user": UnauthenticatedUser()}, ""),
        ({"user": SimpleNamespace(is_authenticated=True, pk=7)}, "7"),
        ({"user": SimpleNamespace(is_authenticated=True)}, ""),
        ({"user": "ada"}, "ada"),
        ({"session": {"user_id": 7}}, "7"),
        ({"session": {}}, ""),
        ({"session": None}, ""),
        ({}, ""),
        ({"user": "x" * 1_000}, "x" * 256),
    ],
)
def test_users_and_sessions_are_read(scope, user):
    assert user_of(scope, "user_id") == user


def test_the_session_is_left_alone_when_no_key_is_named():
    assert user_of({"session": {"": "ada", "user_id": "ada"}}, "") == ""


@pytest.mark.parametrize("tenant", ["", "a b", "x" * 65, "../etc", None, True, 1.5, b"acme", -7])
def test_what_cannot_be_a_tenant_is_none(tenant):
    assert clean_tenant(tenant) is None


def test_numbers_and_uuids_are_tenants_as_text():
    named = UUID("01a2198c-065b-72c0-87cb-e72843400420")
    assert [clean_tenant(one) for one in ("acme", 42, 0, named)] == ["acme", "42", "0", str(named)]


def test_a_member_of_an_enumeration_of_texts_is_what_it_says():
    plan = Enum("Customer", {"ACME": "acme"}, type=str)
    assert [clean_tenant(one) for one in plan] == ["acme"]


def test_what_cannot_be_printed_is_written_with_escapes_and_stays_apart():
    assert [clean_id(one) for one in ("bob", "bob\u200b", "bob\ud800", 7, None)] == [
        "bob",
        "bob\\u200b",
        "bob\\ud800",
        "7",
        "",
    ]
    assert len(clean_id("\0" * 300)) == 256


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        ("bob", "bob"),
        ("Bob Ray", "Bob Ray"),
        ("bob ", r"bob\x20"),
        ("  bob", r"\x20\x20bob"),
        (" ", r"\x20"),
        ("bob\n", r"bob\n"),
        ("x" * 255 + "  ", "x" * 255 + "\\"),
        ("\n" + "x" * 253 + " y", r"\n" + "x" * 253),
    ],
)
def test_blanks_at_the_ends_of_an_id_are_seen(named, kept):
    assert clean_id(named) == kept
    assert user_of({"user": named}, "") == kept
