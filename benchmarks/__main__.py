"""Run every benchmark (or those named), print a table, write the results.

``benchmarks/results/latest.json`` is for programs, ``docs/reference/benchmarks.md`` for people. Both hold the latest
run of each benchmark on this machine, so that one can be measured anew without the hour that all of them take; rows
of another machine are forgotten.

Each module offers ``run() -> list[dict]`` with rows
``{name, ours, peer, peer_name, ratio, unit, target, met, command}``, to which ``benchmark``, ``measured_on`` and
``machine`` are added. Each runs in a process of its own, so that none inherits the other's warm caches, threads or
garbage.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
LATEST = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "reference" / "benchmarks.md"

STACK = ("uvicorn", "starlette", "sqlalchemy", "psycopg", "redis")
PEERS = (
    "limits",
    "slowapi",
    "throttled-py",
    "prometheus-fastapi-instrumentator",
    "opentelemetry-sdk",
    "sentry-sdk",
)

#: What a row that is only shown says in place of a target.
NO_TARGET = ("no target", "shown")

#: Longest one benchmark may take, seconds.
TIME_LIMIT = 3_600


def benchmarks() -> list[str]:
    return sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def run_alone(name: str) -> list[dict[str, Any]] | None:
    """Run one in a process of its own; None when it failed, and said why."""
    code = f"import json, sys; from benchmarks.{name} import run; json.dump(run(), sys.stderr)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=HERE.parent,
            check=False,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIME_LIMIT,
        )
    except subprocess.TimeoutExpired:
        print(f"{name} took more than {TIME_LIMIT} s", file=sys.stderr)
        return None
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return None
    return json.loads(done.stderr.strip().splitlines()[-1])


def verdict(row: dict[str, Any], missed: str) -> str:
    if row["target"] in NO_TARGET:
        return ""
    return "met" if row["met"] else missed


def table(rows: list[dict[str, Any]]) -> Table:
    drawn = Table("what", "ours", "peer", "ratio", "to reach", "", title=None, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(
            row["name"],
            f"{row['ours']:,.4g} {row['unit']}",
            f"{row['peer']:,.4g} ({row['peer_name']})" if row["peer"] is not None else row["peer_name"],
            f"{row['ratio']:.2f}" if row["ratio"] is not None else "",
            str(row["target"]),
            verdict(row, missed="MISSED"),
        )
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"any of {', '.join(benchmarks())}; all when none is named")
    names = parser.parse_args().names or benchmarks()
    console = Console(width=160)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for name in names:
        console.print(f"[bold]{name}[/bold] …")
        found = run_alone(name)
        if found is None:  # the others are worth their hour all the same
            failed.append(name)
            continue
        console.print(table(found))
        rows += found
        keep(name, found)
    console.print(
        f"{sum(row['met'] for row in rows)} of {len(rows)} targets met; "
        f"{LATEST.relative_to(HERE.parent)} and {PAGE.relative_to(HERE.parent)} written"
    )
    if failed:
        sys.exit(f"failed, and keep the figures of their last run: {', '.join(failed)}")


def keep(name: str, found: list[dict[str, Any]]) -> None:
    """Put the rows of one benchmark in the place of those of its last run, and write the page anew."""
    here = {"measured_on": time.strftime("%Y-%m-%d"), "machine": machine()}
    before = json.loads(LATEST.read_text()) if LATEST.exists() else []
    others = [row for row in before if row["machine"] == here["machine"] and row["benchmark"] != name]
    rows = [*others, *({"benchmark": name, **row, **here} for row in found)]
    rows.sort(key=lambda row: row["benchmark"])
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(rows, indent=1) + "\n")
    PAGE.write_text(page(rows))


def machine() -> str:
    """Tell what was measured on, in one line; the build of a kernel is left out, the figures of two are compared."""
    cpu = platform.machine()
    with contextlib.suppress(OSError):
        if found := re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()):
            cpu = found[1]
    return (
        f"{os.cpu_count()} cores, {cpu}, {platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def packages() -> str:
    """Tell the versions of what is measured with and against."""
    return ", ".join(f"{name} {version(name)}" for name in (*STACK, *PEERS) if _installed(name))


def _installed(name: str) -> bool:
    with contextlib.suppress(PackageNotFoundError):
        return bool(version(name))
    return False


def curves(rows: list[dict[str, Any]]) -> list[str]:
    """Draw a table for each curve: how a cost grows with the work."""
    lines: list[str] = []
    for of in dict.fromkeys(row["curve"] for row in rows if "curve" in row):
        points = [row for row in rows if row.get("curve") == of]
        lines += ["", f"### {of[0].upper()}{of[1:]}", ""]
        lines.append(f"| {' | '.join(row['at'] for row in points)} |")
        lines.append("| --- " * len(points) + "|")
        costs = [f"{row['ours']:,.3g} {row['unit']}" for row in points]
        lines.append(f"| {' | '.join(costs)} |")
    return lines


def page(rows: list[dict[str, Any]]) -> str:
    lines = [
        "<!-- Written by `python -m benchmarks`. Do not edit. -->",
        "",
        "# Benchmarks",
        "",
        "Each row is our part and its peer in the same run, medians of interleaved rounds. What was missed says so.",
        f"Measured on {machine()}; {packages()}. `make bench` measures all of it on your machine,",
        "`python -m benchmarks NAME` one.",
    ]
    for name in dict.fromkeys(row["benchmark"] for row in rows):
        of = [row for row in rows if row["benchmark"] == name]
        lines += ["", f"## {name}", "", f"`python -m benchmarks {name}`, {of[0]['measured_on']}."]
        compared = [row for row in of if "curve" not in row]
        if compared:
            lines += ["", "| what | ours | peer | ratio | to reach | |", "| --- | --- | --- | --- | --- | --- |"]
        for row in compared:
            peer = (
                f"{row['peer']:,.4g} {row['unit']} ({row['peer_name']})"
                if row["peer"] is not None
                else row["peer_name"]
            )
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
            ours = f"{row['ours']:,.4g} {row['unit']}"
            cells = (row["name"], ours, peer, ratio, row["target"], verdict(row, missed="**missed**"))
            lines.append(f"| {' | '.join(map(str, cells))} |")
        lines += curves(of)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
