"""``custodes``: the command line. Every subcommand is one module beside this one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from custodes.cli import (
    access,
    alerts,
    audit,
    calls,
    doctor,
    events,
    export,
    limits,
    migrate,
    portal,
    replay,
    retention,
    serve,
    status,
    user,
    views,
    webhooks,
)
from custodes.cli.console import fail
from custodes.cli.demo import command as demo
from custodes.errors import CustodesError
from custodes.version import __version__

app = typer.Typer(
    name="custodes",
    help="The control room of a SaaS back end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("trace")(calls.trace)
app.command("replay")(replay.replay)
app.command("export")(export.export)
app.add_typer(migrate.app, name="migrate")
app.add_typer(user.app, name="user")
app.add_typer(retention.app, name="retention")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(portal.app, name="portal")
app.add_typer(alerts.app, name="alerts")
app.add_typer(events.app, name="events")
app.add_typer(calls.app, name="calls")
app.add_typer(audit.app, name="audit")
app.add_typer(limits.app, name="limits")
app.add_typer(access.blocks, name="blocks")
app.add_typer(access.lists, name="lists")
app.add_typer(views.app, name="views")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"custodes {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The control room of a SaaS back end."""
    del version


def main() -> None:
    """Run the command; what Custodes raises on purpose is shown as a sentence, not as a traceback."""
    try:
        app()
    except CustodesError as error:
        fail(error, as_json="--json" in sys.argv)
