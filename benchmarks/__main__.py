"""Run every benchmark (or those named), print a table, write the results.

``benchmarks/results/latest.json`` is for programs, ``docs/reference/benchmarks.md`` for people.

Each module offers ``run() -> list[dict]`` with rows
``{name, ours, peer, peer_name, ratio, unit, target, met, command}``. Each runs in a process of its own, so that none
inherits the other's warm caches, threads or garbage.
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
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "reference" / "benchmarks.md"

#: What a row that is only shown says in place of a target.
NO_TARGET = ("no target", "shown")

#: Longest one benchmark may take, seconds.
TIME_LIMIT = 3_600


def benchmarks() -> list[str]:
    return sorted(path.stem for path in HERE.glob("[a-z]*.py"))


def run_alone(name: str) -> list[dict[str, Any]]:
    code = f"import json, sys; from benchmarks.{name} import run; json.dump(run(), sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE.parent,
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIME_LIMIT,
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(f"benchmark {name} failed")
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
    for name in names:
        console.print(f"[bold]{name}[/bold] …")
        found = run_alone(name)
        console.print(table(found))
        rows += found
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(json.dumps({**environment(), "rows": rows}, indent=1) + "\n")
    if names == benchmarks():
        PAGE.write_text(page(rows))
    console.print(
        f"{sum(row['met'] for row in rows)} of {len(rows)} targets met; benchmarks/results/latest.json written"
    )


def environment() -> dict[str, str]:
    """Tell what was measured on."""
    cpu = ""
    with contextlib.suppress(OSError):
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        cpu = found[1] if found else ""
    peers = (
        "limits",
        "slowapi",
        "throttled-py",
        "prometheus-fastapi-instrumentator",
        "opentelemetry-sdk",
        "sentry-sdk",
    )
    stack = ("uvicorn", "starlette", "sqlalchemy", "psycopg", "redis")
    return {
        "machine": f"{os.cpu_count()} cores, {cpu or platform.machine()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {version(name)}" for name in (*stack, *peers) if _installed(name)),
    }


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
        lines += ["", f"`{points[0]['command']}`"]
    return ["", "## How costs grow", *lines] if lines else []


def page(rows: list[dict[str, Any]]) -> str:
    found = environment()
    machine = f"{found['machine']}, Python {found['python']}, SQLite {found['sqlite']}; {found['packages']}"
    lines = [
        "<!-- Written by `make bench`. Do not edit. -->",
        "",
        "# Benchmarks",
        "",
        "Each row is our part and its peer in the same run, medians of interleaved rounds. What was missed says so.",
        f"Measured on {time.strftime('%Y-%m-%d')}: {machine}. `make bench` measures on your machine.",
        "",
        "| what | ours | peer | ratio | to reach | | command |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        if "curve" in row:
            continue
        peer = f"{row['peer']:,.4g} {row['unit']} ({row['peer_name']})" if row["peer"] is not None else row["peer_name"]
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        ours = f"{row['ours']:,.4g} {row['unit']}"
        outcome = verdict(row, missed="**missed**")
        cells = (row["name"], ours, peer, ratio, row["target"], outcome, f"`{row['command']}`")
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, *curves(rows)]) + "\n"


if __name__ == "__main__":
    main()
