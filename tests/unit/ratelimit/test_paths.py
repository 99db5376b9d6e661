"""Which rules hold for a path."""

from __future__ import annotations

import pytest

from custodes.errors import InvalidInput
from custodes.planes.ratelimit import endpoints
from custodes.planes.ratelimit.endpoints import MAX_LENGTH, endpoint_of
from custodes.planes.ratelimit.paths import PathTrie


@pytest.mark.parametrize(
    ("template", "matches", "others"),
    [
        ("*", ["/", "/a", "/a/b/c"], []),
        ("/", ["/", ""], ["/a"]),
        ("/login", ["/login", "/login/"], ["/login/x", "/logi", "/"]),
        # BlackSheep does not tell capitals from small letters, Sanic cuts off a fragment
        ("/Log/in", ["/log/in", "/LOG/IN", "/Log/in#x"], ["/login"]),
        # Quart and Sanic serve a target in absolute form, Quart also what urlparse makes a path of
        (
            "/login",
            ["http://host/login", "HTTP://u@host:80/login/#x", "x:/lo\tgin", " /login", "http:/login?x"],
            ["http://login", "http://[/login", "login:x", "*", "http://host/"],
        ),
        # What Litestar and Starlette serve as the same must be limited as the same
        ("/a/login", ["//a/login", "/a//login", "/a/login//", "/a/login\n"], ["/a/login\n\n", "/alogin"]),
        ("/items/{id}", ["/items/7", "/items/seven/"], ["/items", "/items/7/x"]),
        ("/items/{id}/parts/{part:int}", ["/items/7/parts/8"], ["/items/7/parts"]),
        ("/api/*", ["/api", "/api/", "/api/v1/x"], ["/apiary", "/"]),
        ("/files/{rest:path}", ["/files/a/b/c"], ["/file/a"]),
    ],
)
def test_a_template_matches(template: str, matches: list[str], others: list[str]):
    trie: PathTrie[int] = PathTrie()
    trie.add(template, 1)

    assert [path for path in matches if list(trie.find(path)) != [1]] == []
    assert [path for path in others if list(trie.find(path))] == []


def test_an_exemption_holds_for_nothing_but_what_it_says():
    trie: PathTrie[int] = PathTrie(exactly=True)
    trie.add("/files/free", 1)

    assert list(trie.find("/files/free/")) == [1]
    overlooked = ("/files//free", "/files/free\n", "/files/Free", "/files/free#", "http://host/files/free")
    assert not any(list(trie.find(path)) for path in overlooked)


def test_all_templates_that_match_are_found():
    trie: PathTrie[str] = PathTrie()
    for template in ("*", "/items/*", "/items/{id}", "/items/7", "/users/{id}"):
        trie.add(template, template)

    assert set(trie.find("/items/7")) == {"*", "/items/*", "/items/{id}", "/items/7"}


@pytest.mark.parametrize("template", ["", "login", "/a/*/b", "/a{id}", "/{a b}", "/x y", "/" + "a" * 300, "/a" * 40])
def test_what_is_no_template_is_refused_with_a_remedy(template: str):
    with pytest.raises(InvalidInput) as caught:
        PathTrie[int]().add(template, 1)

    assert "/items/{id}" in caught.value.remedy


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/orders/123", "/orders/{}"),
        ("/users/01a20723-23a7-765e-8032-f6f1e5ca4bf4/keys", "/users/{}/keys"),
        ("/t/a8f5f167f44f4964e6c998dee827110c", "/t/{}"),
        ("/v1/charges", "/v1/charges"),
        ("/a\0b/\ud800", r"/a\x00b/\ud800"),
        ("/" + "/".join("abcdefghijkl"), "/a/b/c/d/e/f/g/h"),
        ("", "/"),
    ],
)
def test_refused_paths_get_few_names(path: str, name: str):
    assert endpoint_of(path) == name


def test_long_paths_are_not_kept_by_what_remembers_their_names():
    """Given a thousand paths of 60 kB that begin alike, when they are named, then one short name is remembered."""
    beginning = "/search/" + "x" * MAX_LENGTH
    endpoints._named.cache_clear()
    for number in range(1_000):
        endpoint_of(f"{beginning}{'y' * 60_000}{number}")

    assert endpoints._named.cache_info().currsize == 1
