"""Sources by name: ours, and those of installed packages."""

import sys
from importlib.metadata import EntryPoint

import pytest

from custodes.errors import ConfigurationError
from custodes.planes.inbound.sources import registry
from custodes.planes.inbound.sources.base import Headers, Source, Verified
from custodes.planes.inbound.sources.registry import kinds, make_source
from custodes.planes.inbound.sources.stripe import Stripe


class Acme(Source):
    name = "acme"

    def verify(self, request, now):
        return Verified(event_id="1", event_type="t", dedupe_key="1")


@pytest.fixture
def installed(monkeypatch):
    """Packages that offer sources: one under a name of ours, one that is none, two that cannot be loaded."""
    points = [
        EntryPoint(name, f"{__name__}:{target}", registry.GROUP)
        for name, target in [("acme", "Acme"), ("stripe", "Acme"), ("broken", "pytest")]
    ] + [
        EntryPoint("gone", "no_such_package:Source", registry.GROUP),
        EntryPoint("renamed", f"{__name__}:OldName", registry.GROUP),
    ]

    def entry_points(group, name=None):
        return [point for point in points if group == registry.GROUP and name in (None, point.name)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def test_ours():
    assert isinstance(make_source("stripe", ["secret"]), Stripe)
    assert make_source("stripe-eu", ["secret"], kind="stripe").name == "stripe-eu"


@pytest.mark.parametrize("name", ["", "Stripe", "a b", "a/b", "../x", "é", "x" * 41, "a_b"])
def test_a_name_can_stand_in_a_url(name):
    with pytest.raises(ConfigurationError, match="cannot be called"):
        make_source(name, ["secret"], kind="stripe")


def test_an_unknown_kind_is_named_with_those_there_are():
    with pytest.raises(ConfigurationError, match=r"'paypal'.*github"):
        make_source("paypal", ["secret"])


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigurationError, match="tolerence"):
        make_source("stripe", ["secret"], tolerence=10)
    with pytest.raises(ConfigurationError, match="tolerance"):
        make_source("github", ["secret"], tolerance=10)


def test_a_package_brings_its_own(installed):
    assert isinstance(make_source("acme", ["secret"]), Acme)
    assert kinds()[-4:] == ["acme", "broken", "gone", "renamed"]


def test_a_package_cannot_replace_one_of_ours(installed):
    assert isinstance(make_source("stripe", ["secret"]), Stripe)


def test_an_entry_point_that_is_no_source_is_refused(installed):
    with pytest.raises(ConfigurationError, match="is no source"):
        make_source("broken", ["secret"])


@pytest.mark.parametrize(("kind", "why"), [("gone", "No module named"), ("renamed", "no attribute 'OldName'")])
def test_an_entry_point_that_cannot_be_loaded_is_told_in_a_sentence(installed, kind, why):
    with pytest.raises(ConfigurationError, match=f"cannot be loaded: .*{why}"):
        make_source(kind, ["secret"])


def test_headers_are_a_mapping():
    headers = Headers([(b"X-One", b"1"), (b"x-two", b"\xff"), (b"x-one", b"2")])

    assert dict(headers) == {"x-one": "1", "x-two": "\xff"}
    assert len(headers) == 2
    assert headers.values_of("X-ONE") == ["1", "2"]
    assert "X-Two" in headers
    assert headers.get("nope") is None
    assert headers.get("é\u2713") is None
