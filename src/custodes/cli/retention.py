"""``custodes retention``: what is deleted when, and doing it now."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, err, operator, out, run, write_json, write_table
from custodes.kernel.clock import SECOND, to_iso
from custodes.kernel.figures import length
from custodes.planes.retention.model import Policy, Run

app = typer.Typer(help="What is deleted when.", no_args_is_help=True)


@app.command("run")
def run_now(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; tell how much would go.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what is past its time, in bounded batches."""

    async def action(custodes: Custodes) -> list[Run]:
        entry = custodes.audit.admin_entry("retention.run", actor=operator(), context={"dry_run": dry_run})
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
            task = progress.add_task("", total=len(custodes.retention.policies))
            begun: set[str] = set()

            def tell(policy: Policy, removed: int) -> None:
                begun.add(policy.name)
                words = f"{policy.name}: {removed:,} removed" if removed else policy.name
                progress.update(task, completed=len(begun) - 1, description=words)

            return await custodes.retention.run(dry_run=dry_run, also=entry, tell=tell)

    runs = run(database, action)
    if as_json:
        write_json(runs)
    else:
        rows = (
            (done.policy, to_iso(done.before), "?" if done.removed is None else done.removed, done.error or "")
            for done in runs
        )
        write_table(("policy", "older than", "would go" if dry_run else "removed", ""), rows)
    if any(done.error for done in runs):
        raise typer.Exit(1)


@app.command("list")
def list_policies(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the policies and their last runs."""

    async def action(custodes: Custodes) -> list[dict[str, object]]:
        return [
            {
                "policy": report.policy.name,
                "description": report.policy.description,
                "keep": _span(report.policy.keep),
                "last_run": None if report.last_run is None else to_iso(report.last_run.started_at),
            }
            for report in await custodes.retention.get_policies()
        ]

    policies = run(database, action)
    if as_json:
        write_json(policies)
    elif policies:
        write_table(policies[0], ((str(value or "never") for value in policy.values()) for policy in policies))
    else:
        out.print("There are no policies.")


def _span(micros: int) -> str:
    return length(micros / SECOND)
