"""``custodes``: the command line. Every subcommand is one module beside this one, imported when it is asked for."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from custodes.cli.console import as_utf8, err, fail, out, say_no_more, say_the_rest
from custodes.errors import CustodesError, InvalidInput, StorageUnavailable
from custodes.version import __version__


class _Place(NamedTuple):
    """Where a command is."""

    #: Module below ``custodes.cli``.
    module: str
    #: Its function, or its app of further commands.
    attribute: str
    #: What it is for, as the command itself says; here so that the list of commands imports none of them.
    help: str


#: The commands, in the order in which they are listed.
COMMANDS = {
    "serve": _Place("serve", "serve", "Serve the dashboard, the admin API and the webhook routes."),
    "demo": _Place(
        "demo.command",
        "demo",
        "Send traffic as real clients would: shoppers, signed webhooks, bursts, attacks, an operator.",
    ),
    "doctor": _Place(
        "doctor",
        "doctor",
        "Tell what is configured, what is reachable and what is unsafe; exit with 1 when something does not work.",
    ),
    "status": _Place(
        "status", "status", "Tell how it has been lately: key figures, alerts that fire, open errors, blocks in force."
    ),
    "trace": _Place("calls", "trace", "Tell everything that belongs to one trace, across all parts, in order of time."),
    "replay": _Place(
        "replay", "replay", "Have one event, or a selection, handled again by all handlers of the running server."
    ),
    "export": _Place(
        "export", "export", "Write monitoring data, newest first. The export itself is in the audit trail."
    ),
    "mcp": _Place(
        "mcp",
        "mcp",
        "Offer what the dashboard shows to a coding agent, which starts this (MCP over stdio). It only reads.",
    ),
    "migrate": _Place(
        "migrate", "app", "Bring the tables of Custodes to this version; the host's own tables are not touched."
    ),
    "user": _Place("user", "app", "Who may administer."),
    "retention": _Place("retention", "app", "What is deleted when."),
    "webhooks": _Place(
        "webhooks",
        "app",
        "Webhooks: endpoints and deliveries of those that go out, completeness of those that come in.",
    ),
    "portal": _Place("portal", "app", "Links to the customer portal."),
    "metrics": _Place("metrics", "app", "Metrics: which there are, their course, their greatest values."),
    "alerts": _Place("alerts", "app", "Alerts: what fires, who was told, saying that somebody looks; rules and sinks."),
    "events": _Place(
        "events",
        "app",
        "Incoming webhooks: events, their exact bytes, what was refused. To have them handled again: custodes replay.",
    ),
    "calls": _Place("calls", "app", "API calls: one by one, the slowest endpoints, kinds of errors."),
    "audit": _Place("audit", "app", "The audit trail, reviews of what was flagged, and how actors behave."),
    "limits": _Place("limits", "app", "Rate limit rules made at run time; those in code are changed in code."),
    "blocks": _Place("access", "blocks", "Blocks and bans: who is shut out."),
    "lists": _Place("access", "lists", "The allow list (no limit counts) and the deny list (always refused)."),
    "views": _Place("views", "app", "Saved views of the dashboard: your own and those that others share."),
}


class _Commands(Mapping[str, Any]):
    """The commands by name; each is imported when it is looked at."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            place = COMMANDS[name]
            found: Any = getattr(import_module(f"custodes.cli.{place.module}"), place.attribute)
            if isinstance(found, typer.Typer):
                self._made[name] = get_group(found)
            else:
                alone = typer.Typer(add_completion=False)
                alone.command(name)(found)
                self._made[name] = get_command(alone)
            self._made[name].name = name
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Root(TyperGroup):
    """Imports a command when it is asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Commands()
        self._lists_only = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Name them; without looking at any."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find one; for a list of them, what the list says of it is enough."""
        if self._lists_only and cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name].help)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands."""
        self._lists_only = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._lists_only = False


app = typer.Typer(
    name="custodes",
    cls=_Root,
    help="The control room of a SaaS back end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"custodes {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The control room of a SaaS back end."""
    del version


#: Exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it.
_INTERRUPTED = 130

#: Errors of whoever reads what is written: a disk without room or a quota that is used up, a device that fails.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


#: What Typer raises when a command is not understood; of these classes it exports no more than one.
_NotUnderstood: Any = typer.BadParameter.__mro__[2]


def _for_programs() -> None:
    """Run the command of a program, which gets JSON when it is not understood too: Typer would draw a box.

    Raises:
        SystemExit: with its exit code.
    """
    try:
        code = app(standalone_mode=False, prog_name="custodes")
    except _NotUnderstood as raised:
        error: Any = raised
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "custodes"
        remedy = f"{path} -h tells what it takes"
        fail(InvalidInput(error.format_message(), remedy=remedy), as_json=True, code=error.exit_code)
    except typer.Abort:
        err.print("Aborted.")
        raise SystemExit(1) from None
    raise SystemExit(code)


def main() -> None:
    """Run the command; what Custodes raises on purpose is shown as a sentence, not as a traceback."""
    as_utf8()
    try:
        try:
            _for_programs() if "--json" in sys.argv else app()
        finally:
            say_the_rest()  # here, where it can still be said that it did not work
    except CustodesError as error:
        fail(error, as_json="--json" in sys.argv)
    except KeyboardInterrupt:  # before a command has begun, or after its end
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:  # it is no failure of ours that nobody reads on
        say_no_more()
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        say_no_more()
        msg = f"The output could not be written: {error.strerror}"
        fail(StorageUnavailable(msg, remedy="Make room, or write to another place"))
