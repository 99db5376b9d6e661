"""Which URLs may be called, as far as their text tells."""

from __future__ import annotations

import pytest

from custodes.errors import ConfigurationError
from custodes.kernel.destinations import Destinations
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed
from custodes.runtime.outgoing.target import Policy, ports_of

BOTH = Policy(schemes=frozenset({"http", "https"}))

#: Ways of writing loopback and metadata addresses, and of making two readers of a URL see two hosts.
SPELLINGS = [
    "http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://2130706433/", "http://0x7f000001/",
    "http://0x7f.0.0.1/", "http://0x7f.1/", "http://017700000001/", "http://0177.0.0.1/", "http://127.0.0.1./",
    "http://0/", "http://0.0.0.0/", "http://00000.0.0.0/", "http://169.254.169.254/", "http://0xa9fea9fe/",
    "http://2852039166/", "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://[::1]/", "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[::1]:80@example.com/",
    "http://example.com@127.0.0.1/", "http://user:word@example.com/", "http://127.0.0.1\\@example.com/",
    "http://example.com\\@127.0.0.1/", "http://127.0.0.1 .example.com/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/",
    "http://127.0.0.1\t/", "http://exa\r\nmple.com/", "http://example.com/\r\nHost: x", "http://%31%32%37.0.0.1/",
    "http://[::1", "http://", "http:///etc/passwd", "//example.com/", "example.com", "http://1.1.1.1.0x7f/",
    "http://x.y.1/", "http://[v1.a]/",
]  # fmt: skip


@pytest.mark.parametrize("url", SPELLINGS)
def test_a_spelling_of_a_forbidden_place_is_refused_before_any_lookup(url: str) -> None:
    with pytest.raises(OutgoingFailed) as refused:
        BOTH.target(url)
    assert refused.value.kind is FailureKind.REFUSED
    assert "127" not in str(refused.value)


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "http://x.example/",
                                 "javascript:alert(1)", "data:,x", "ws://example.com/", "HTTPS+unix://x/"])  # fmt: skip
def test_only_https_unless_the_policy_says_otherwise(url: str) -> None:
    with pytest.raises(OutgoingFailed):
        Policy().target(url)


@pytest.mark.parametrize("port", [1, 22, 25, 53, 110, 445, 587, 1023, 0, 65536, 99999])
def test_ports_of_other_services_are_refused(port: int) -> None:
    with pytest.raises(OutgoingFailed):
        Policy().target(f"https://example.com:{port}/")


@pytest.mark.parametrize("url", ["https://example.com/", "https://example.com:8443/a%2Fb?c=%7E", "https://1.1.1.1/",
                                 "https://[2606:4700:4700::1111]/", "https://xn--bcher-kva.example/x"])  # fmt: skip
def test_a_good_url_is_called_as_it_is_written(url: str) -> None:
    assert str(Policy().target(url)) == url


def test_a_url_that_is_too_long_is_refused() -> None:
    with pytest.raises(OutgoingFailed):
        Policy().target("https://example.com/" + "a" * 2_000)


def test_ports_of_the_setting() -> None:
    only = Policy(Destinations(), ports_of(["443", "8000-8999"]))
    assert only.target("https://example.com:8123/").port == 8123
    with pytest.raises(OutgoingFailed):
        only.target("https://example.com:9000/")
    for wrong in ("x", "0", "9-1", "70000", "1-", "", "-1", "1_0"):
        with pytest.raises(ConfigurationError):
            ports_of([wrong])
