"""``custodes views``: saved views of the dashboard, with the rights of whose they are."""

from tests.acceptance.cli.test_commands import run, run_json, url, with_custodes

from custodes.cli.console import operator
from custodes.errors import InvalidInput, NotFound, PermissionDenied
from custodes.planes.audit.ports import AuditQuery

__all__ = ["url"]  # the fixture

#: Whose views: of people that have no password here, which takes long to hash.
AS = {name: ("--as", name, "--issuer", "host") for name in ("ada", "bob", "mel", "nobody")}

ERRORS = "/api?part=calls&status=5"


def test_a_view_is_kept_shared_and_opened_with_and_the_trail_tells_who_did_it(url: str):
    # Given an owner, an admin and somebody who may not administer
    run("user", "add", "ada", "--issuer", "host", "--role", "owner")
    run("user", "add", "bob", "--issuer", "host")
    run("user", "add", "mel", "--issuer", "host", "--role", "member")

    # When the admin keeps a view, it is theirs alone until it is shared
    view = run_json("views", "create", "My errors", ERRORS, *AS["bob"])["id"]
    assert run_json("views", "list", *AS["ada"]) == []
    shared = run_json("views", "change", view, *AS["bob"], "--shared", "--name", "Errors")
    assert (shared["tab"], shared["place"], shared["made_by"], shared["mine"]) == ("api", ERRORS, "bob", True)
    assert [one["mine"] for one in run_json("views", "list", *AS["ada"], "--tab", "api")] == [False]

    # And when tabs open with it
    assert run_json("views", "default", view, *AS["bob"])["my_default"] is True
    assert isinstance(run("views", "default", view, *AS["bob"], "--everybody", expect=1).exception, PermissionDenied)
    assert run_json("views", "default", view, *AS["ada"], "--everybody")["shared_default"] is True
    assert "everybody" in run("views", "list", *AS["bob"]).stdout
    assert run_json("views", "default", view, *AS["ada"], "--everybody", "--off")["shared_default"] is False
    run("views", "delete", view, *AS["bob"])
    assert run_json("views", "list", *AS["bob"]) == []

    # Then the trail tells who did it with whose rights, and of what was private nothing
    entries = [entry for entry in trail(url) if entry.action.startswith("saved_view.")]
    assert {str(entry.actor) for entry in entries} == {operator()}
    assert [(entry.action.removeprefix("saved_view."), str(entry.effective)) for entry in entries] == [
        ("created", "user:bob"),
        ("changed", "user:bob"),
        ("default_set", "user:bob"),
        ("default_set", "user:ada"),
        ("default_cleared", "user:ada"),
        ("deleted", "user:bob"),
    ]
    assert "My errors" not in str(entries)
    assert [entry.context.extra["for"] for entry in entries[2:4]] == ["user:bob", "everybody"]


def test_what_may_not_be_is_refused(url: str):
    run("user", "add", "mel", "--issuer", "host", "--role", "member")

    assert isinstance(run("views", "list", *AS["mel"], expect=1).exception, PermissionDenied)
    assert isinstance(run("views", "list", *AS["nobody"], expect=1).exception, NotFound)
    run("user", "role", "mel", "admin", "--issuer", "host")
    assert isinstance(run("views", "change", "x", *AS["mel"], expect=1).exception, InvalidInput)
    assert isinstance(run("views", "create", "x", "https://evil.example", *AS["mel"], expect=1).exception, InvalidInput)
    run("views", "list", expect=2)


def trail(url: str):
    async def read(custodes):
        return (await custodes.audit.list_entries(AuditQuery())).items

    return list(reversed(with_custodes(url, read)))
