"""Calls that others report: what is taken, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.fingerprint import fingerprint, type_name
from custodes.planes.traffic.report import CallReport, exchange_of

NOW = 1_790_000_000 * SECOND


def report(**fields: Any) -> CallReport:
    return CallReport(**{"method": "POST", "route": "/orders", "status": 201, "total_us": 5_000, **fields})


def test_what_is_left_out_gets_sensible_values():
    exchange = exchange_of(report(), NOW, "default")

    assert exchange.started_at == NOW - 5_000
    assert exchange.ttfb_us == 5_000
    assert exchange.path == "/orders"
    assert exchange.tenant == "default"
    assert exchange.error is None


def test_errors_of_one_type_are_one_kind_and_of_two_types_two():
    first, same, other = (
        exchange_of(report(error_type=kind, error_message=message), NOW, "default").error
        for kind, message in (("OrderError", "a"), ("OrderError", "b"), ("com.shop.StockError", "c"))
    )
    assert first is not None
    assert same is not None
    assert other is not None
    assert type_name(first) == "OrderError"
    assert fingerprint(first) == fingerprint(same) != fingerprint(other)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "get"},
        {"method": "G" * 33},
        {"status": 99},
        {"status": 600},
        {"total_us": -1},
        {"total_us": 2 * DAY},
        {"ttfb_us": 6_000},
        {"ttfb_us": -1},
        {"started_at": NOW - 2 * DAY},
        {"started_at": NOW + HOUR},
        {"request_bytes": -1},
        {"response_bytes": 1 << 41},
        {"route": "/" * 600},
        {"path": "/a\0b"},
        {"user": "\ud800"},
        {"tenant": "*"},
        {"trace_id": "0AF7651916CD43DD8448EB211C80319C"},
        {"span_id": "xyz"},
        {"error_type": "not a type"},
        {"error_message": "x" * 2_000},
    ],
)
def test_fields_out_of_bounds_are_named_and_never_shown(fields: dict[str, Any]):
    with pytest.raises(InvalidInput) as refused:
        exchange_of(report(**fields), NOW, "default")

    (name, value), *_ = fields.items()
    assert name in refused.value.message
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        *({name: value} for name in ("status", "total_us", "request_bytes", "response_bytes") for value in (1.5, None)),
        *({name: value} for name in ("ttfb_us", "started_at") for value in (1.5, "now")),
        {"method": None},
        *({name: 7} for name in ("method", "route", "path", "user", "api_key", "tenant", "client_ip", "user_agent")),
        *({name: 7} for name in ("trace_id", "span_id", "parent_id", "error_type", "error_message")),
    ],
)
def test_what_is_of_another_type_is_refused_and_not_left_to_the_flush(fields: dict[str, Any]):
    with pytest.raises(InvalidInput, match=f"field {next(iter(fields))} "):
        exchange_of(report(**fields), NOW, "default")


def test_none_is_as_good_as_empty_for_what_is_unknown():
    names = ("user", "api_key", "client_ip", "user_agent", "trace_id", "span_id", "parent_id", "error_message")

    exchange = exchange_of(
        report(**dict.fromkeys(names), tenant=None, path=None, error_type="OrderError"), NOW, "default"
    )

    assert (exchange.user, exchange.api_key, exchange.client_ip, exchange.user_agent) == ("", "", "", "")
    assert (exchange.ids, exchange.tenant, exchange.path) == (("", "", "", ""), "default", "/orders")
    assert str(exchange.error) == ""
