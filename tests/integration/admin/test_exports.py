"""Every list that monitors something can be taken away whole: the same rows, as lines and as a table."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from tests.integration.admin.conftest import API, MARK

from custodes import Custodes
from custodes.cli.export import Kind
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.metrics.takeout import Takeout
from custodes.storage.sql.metrics import SqlMetricStore
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

#: Lists that nothing is exported of: what one sets up, what is in the trail, and metrics at a glance (exported by
#: bucket).
NOT_EXPORTED = {
    "/api-keys", "/retention/runs", "/saved-views", "/sessions", "/system-metrics/courses",
    "/webhook-configurations",
    "/webhook-portal-links",
}  # fmt: skip

#: Metrics are listed by name and exported by bucket.
OTHERWISE = {"/system-metrics"}

#: The list whose entries the exports themselves add to.
GROWS = {"/audit-logs"}


def lists_of(app: FastAPI) -> set[str]:
    """Return the paths of all lists that come in pages."""
    found: set[str] = set()
    for path, methods in app.openapi()["paths"].items():
        schema = (
            methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
        )
        if "PageModel" in str(schema) and "{" not in path:
            found.add(path.removeprefix(API))
    return found


async def test_what_a_list_finds_can_be_taken_away_and_the_trail_says_so(
    app: FastAPI,
    custodes: Custodes,
    client: httpx2.AsyncClient,
    filled: tuple[dict[str, str], dict[str, str]],
    clock: FakeClock,
):
    """Given rows in every table, When each list is exported, Then lines and table are its rows, once in the trail."""
    owner, _ = filled
    assert lists_of(app) > NOT_EXPORTED
    lists = lists_of(app) - NOT_EXPORTED

    for path in sorted(lists):
        clock.advance(SECOND)
        shown = (await client.get(f"{API}{path}", headers=owner)).json()["items"]
        lines = await client.get(f"{API}{path}/export", headers=owner)
        table = await client.get(f"{API}{path}/export?format=csv&limit=1", headers=owner)

        assert (lines.status_code, table.status_code) == (200, 200), path
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert table.headers["content-type"].startswith("text/csv")
        told = [json.loads(line) for line in lines.text.splitlines()]
        rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
        assert MARK in lines.text, path
        if path not in OTHERWISE | GROWS:
            assert told == shown, path
        if path not in GROWS:
            assert [first_cells(row, rows[0]) for row in told[:1]] == rows, path
        entries = (await custodes.audit.list_entries(AuditQuery(tenant="other", action="*.exported", limit=2))).items
        asked = {(entry.context.extra["format"], entry.context.extra["limit"]) for entry in entries}
        assert asked == {("csv", 1), ("ndjson", 10_000_000)}, path
        assert {str(entry.targets[0]).split(":")[1] for entry in entries} == {"selection"}


def test_each_export_has_its_command_of_the_same_name(app: FastAPI):
    paths = {path for path in app.openapi()["paths"] if path.endswith("/export")}
    names = {path.removeprefix(API)[1:].removesuffix("/export").replace("/", "-") for path in paths}

    assert {name.replace("rate-limits-", "rate-limit-") for name in names} == {
        "rate-limit-blocks" if kind is Kind.BLOCKS else kind.value for kind in Kind
    }


def first_cells(row: dict[str, Any], columns: dict[str, str]) -> dict[str, str]:
    """Write a line of JSON as its cells."""

    def cell(value: Any) -> str:
        if value is None or value in ([], {}):
            return ""
        return (
            json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            if isinstance(value, list | dict)
            else str(value)
        )

    return {name: cell(row[name]) for name in columns}


async def test_metrics_are_taken_away_bucket_by_bucket(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
):
    """Given two series over twenty minutes, Then each minute of each is a row, in the labels' order; nested is JSON."""
    for _ in range(20):
        custodes.metrics.observe("checkout.seconds", 0.5, labels={"plan": "=pro"})
        custodes.metrics.observe("checkout.seconds", 0.25, labels={"plan": "free"})
        custodes.metrics.gauge("queue.depth", -3)
        await custodes.metrics.flush()
        clock.advance(60 * SECOND)
    admin = await key_for(custodes)

    lines = await client.get(f"{API}/system-metrics/export?name=checkout.seconds", headers=admin)
    coarse = await client.get(f"{API}/system-metrics/export?step_seconds=86400&format=csv", headers=admin)

    told = [json.loads(line) for line in lines.text.splitlines()]
    assert [row["labels"]["plan"] for row in told] == ["=pro"] * 20 + ["free"] * 20
    assert len({row["at"] for row in told}) == 20
    assert {(row["count"], row["step_seconds"]) for row in told} == {(1, 60)}
    assert {round(row["p95"], 2) for row in told} == {0.5, 0.25}
    rows = list(csv.DictReader(io.StringIO(coarse.text, newline="")))
    depth = [(row["count"], row["sum"], row["last"], row["p95"]) for row in rows if row["name"] == "queue.depth"]
    assert sum(int(count) for count, *_ in depth) == 20
    assert {(last, p95) for *_, last, p95 in depth} == {("-3.0", "")}
    assert {row["labels"] for row in rows} >= {'{"plan":"=pro"}', ""}
    tight = Takeout(SqlMetricStore(custodes.database), clock, max_samples=1)
    begin, end = clock.now() - HOUR, clock.now()
    in_pieces = [bucket async for bucket in tight.buckets(begin, end)]
    at_once = [bucket async for bucket in custodes.metrics.takeout.buckets(begin, end)]
    assert sorted(map(repr, in_pieces)) == sorted(map(repr, at_once))
    assert len(at_once) == 60
    # And one bucket of one series that has more rows than are read at once has all of them
    days = [bucket async for bucket in tight.buckets(begin, end, step=DAY)]
    assert [bucket.count for bucket in days] == [20, 20, 20]
    assert days == [bucket async for bucket in custodes.metrics.takeout.buckets(begin, end, step=DAY)]
    other = Custodes(custodes.settings.database_url, clock=clock)
    await other.database.open()
    clock.advance(-60 * SECOND)
    other.metrics.gauge("queue.depth", 4)
    await other.metrics.flush()
    await other.database.close()
    with pytest.raises(InvalidInput, match=r"queue\.depth has more than 1 rows that begin at 2"):
        [bucket async for bucket in tight.buckets(begin, end, name="queue.depth")]
    clock.advance(60 * SECOND)
    for refused in ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "limit=0", "format=xlsx"):
        assert (await client.get(f"{API}/system-metrics/export?{refused}", headers=admin)).status_code == 422


async def test_a_metric_with_more_series_than_are_held_at_a_time_is_taken_away_whole(
    custodes: Custodes, clock: FakeClock
):
    """Given a series for each of many customers, Then none of them is left out, nor told twice."""
    for number in range(7):
        custodes.metrics.count("orders", labels={"customer": f"c{number}"})
    custodes.metrics.gauge("queue.depth", 4)
    await custodes.metrics.flush()
    begin, end = clock.now() - HOUR, clock.now() + 1

    for held in (1, 3, 7):
        takeout = Takeout(SqlMetricStore(custodes.database), clock, max_series=held)
        found = [dict(bucket.labels).get("customer") async for bucket in takeout.buckets(begin, end, name="orders")]
        assert sorted(found, key=str) == [f"c{number}" for number in range(7)]
