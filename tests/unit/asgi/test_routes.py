"""Route templates: always few, never the path, and nothing a host leaves in its scope makes it fail."""

from types import SimpleNamespace

import pytest

from custodes.asgi.routes import MAX_TEMPLATE_LENGTH, MAX_TEMPLATES, OTHER, Templates, cut_of


@pytest.fixture
def templates() -> Templates:
    return Templates()


def route(path: object) -> SimpleNamespace:
    return SimpleNamespace(path=path)


def test_nothing_matched(templates):
    assert templates.resolve({"path": "/x"}) is None


def test_a_framework_that_names_its_template(templates):
    assert templates.resolve({"path": "/x/1", "path_template": "/x/{id}"}) == "/x/{id}"


@pytest.mark.parametrize("path", [None, 7, b"/x", object()])
def test_a_route_without_a_usable_path_is_none(templates, path):
    assert templates.resolve({"path": "/x", "route": route(path)}) is None


def test_a_host_that_makes_up_templates_fills_one_series(templates):
    found = {templates.resolve({"path": "/x", "route": route(f"/made-up/{n}")}) for n in range(3 * MAX_TEMPLATES)}

    assert len(found) == MAX_TEMPLATES + 1
    assert OTHER in found
    # Those known before are still known
    assert templates.resolve({"path": "/x", "route": route("/made-up/0")}) == "/made-up/0"


def test_a_template_without_end_is_not_kept(templates):
    assert templates.resolve({"path": "/x", "route": route("/" + "x" * MAX_TEMPLATE_LENGTH)}) == OTHER


@pytest.mark.parametrize("template", ["/a\0b", "/a\ud800"])
def test_a_template_that_no_store_takes_is_not_kept(templates, template):
    assert templates.resolve({"path": "/x", "path_template": template}) == OTHER


def test_a_mount_that_cannot_be_walked_still_shows_names_not_values(templates):
    # Given a mount with a parameter, of a router that does not show its routes
    scope = {
        "path": "/t/acme/users/7",
        "app_root_path": "",
        "root_path": "/t/acme",
        "path_params": {"tenant": "acme", "id": 7},
        "route": route("/users/{id}"),
    }

    assert templates.resolve(scope) == "/t/{tenant}/users/{id}"


def test_routers_that_contain_themselves_end(templates):
    import re

    mount = SimpleNamespace(path_format="/{path}", path_regex=re.compile("^/(?P<path>.*)$"), app=None, path="")
    mount.routes = [mount]
    scope = {"path": "/a/b", "app_root_path": "", "root_path": "/a", "router": SimpleNamespace(routes=[mount])}

    assert templates.resolve(scope) is None or isinstance(templates.resolve(scope), str)


def test_a_route_is_read_once_and_never_taken_for_another(templates):
    """Given routes that come and go at the same place in memory, then each has its own template."""
    for number in range(100):
        passing = route(f"/passing/{number}")
        for _ in range(2):
            assert templates.resolve({"path": "/x", "route": passing}) == f"/passing/{number}"
        del passing


def test_a_path_is_likely_of_the_route_that_took_such_paths_before(templates):
    assert templates.likely("/items/7") is None

    for template in ("/items/{id}", "/items/new", "^re/(?P<id>.*)$"):
        templates.resolve({"path": "/x", "route": route(template)})

    assert templates.likely("/items/8") == "/items/{id}"
    assert templates.likely("/items/new") == "/items/new"
    assert templates.likely("/items/8/parts") is None


def app_of(package: str) -> type:
    """Stand in for an application of a framework, which is found by its package."""
    return type("App", (), {"__module__": f"{package}.app", "asgi_app": lambda self: None})


@pytest.mark.parametrize(
    ("package", "asked"),
    [
        ("starlette", {"/api/login": "/login", "/api": "", "/apilogin": "/apilogin", "/x/api/login": "/x/api/login"}),
        ("litestar", {"/api/login": "/login", "/x/api/login": "/login", "/apilogin": "/login", "/login": "/login"}),
        (
            "quart",
            {"/api/login": "/login", "/apilogin": "/login", "http://h/api/login": "/login", "http://[": "/http://["},
        ),
        ("falcon", {"/api/login": "/api/login", "/login": "/login"}),
        ("sanic", {"/api/login": "/api/login", "/login": "/login"}),
    ],
)
def test_the_path_that_is_limited_is_the_one_that_the_framework_routes_by(package: str, asked: dict[str, str]):
    app = app_of(package)()

    # However the application comes: as it is, of a class of the project's own, behind middleware, as its method
    for host in (app, type("Ours", (app_of(package),), {})(), SimpleNamespace(app=app), app.asgi_app):
        cut = cut_of(host)
        assert {path: cut(path, "/api") for path in asked} == asked
