"""``custodes demo``: live traffic for a look around."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from custodes.app import Custodes
from custodes.asgi.mount import DASHBOARD
from custodes.cli.console import JsonOption, err, out, write_json
from custodes.cli.demo.stock import shared_secrets
from custodes.cli.environment import environment
from custodes.cli.serve import announce_owner, check_server, leave, listen
from custodes.errors import ConfigurationError, CustodesError, NotFound
from custodes.planes.identity.model import HOST, Method, Role
from custodes.settings import load_settings

if TYPE_CHECKING:
    from custodes.cli.demo.driver import Driver, Tally

#: Where ``--serve`` keeps its database, below the working directory.
DEMO_DATABASE = Path(".custodes") / "demo.db"

#: Seconds that the server gets to stop.
STOP_SECONDS = 15

#: How often it is looked whether the server still runs, seconds: nobody waits for less.
LOOK_SECONDS = 0.5


def demo(
    serve: Annotated[bool, typer.Option("--serve", help="Also run the demo shop, with a database of its own.")] = False,
    url: Annotated[
        str, typer.Option(help="Where the shop runs. Default: this machine, at CUSTODES_PORT or 8321.")
    ] = "",
    rate: Annotated[float, typer.Option(min=0.1, max=2000, help="Requests a second, on average.")] = 20,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 until stopped.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed sends the same traffic, but for ids and moments.")] = 1,
    api_key: Annotated[
        str, typer.Option(envvar="CUSTODES_API_KEY", help="Key of an admin, for the operator's part of the demo.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Send traffic as real clients would: shoppers, signed webhooks, bursts, attacks, an operator."""
    # Late, so that the other commands do not pay for what only this one needs.
    from custodes.cli.demo.driver import Driver
    from custodes.cli.demo.receiver import receiving

    say = err if as_json else out  # a program reads JSON there and nothing else
    port = load_settings().port
    url = url or f"http://127.0.0.1:{port}"
    if not serve:
        if not shared_secrets():
            err.print("No webhook secrets in the environment (STRIPE_WEBHOOK_SECRET, …): no webhooks are sent.")
        driver = Driver(url, shared_secrets(), api_key=api_key, rate=rate, seed=seed)
        tally = asyncio.run(_drive(driver, url, seconds, say=say))
    else:
        check_server()
        # Before anything is made: whoever has the port is a stranger, to whom nothing of ours may be sent.
        listen("127.0.0.1", port).close()
        with environment(_missing()):
            key = asyncio.run(_prepare())
            signal.signal(signal.SIGTERM, leave)  # or the server would go on without us
            server = subprocess.Popen([sys.executable, "-m", "custodes.cli.demo.server", str(port)])
            try:
                driver = Driver(url, shared_secrets(), api_key=key, rate=rate, seed=seed)
                receiver = receiving(url, key, seed) if _keeps_secrets() else None
                tally = asyncio.run(_drive(driver, url, seconds, receiver=receiver, server=server, say=say))
            finally:
                server.terminate()
                with suppress(subprocess.TimeoutExpired):
                    server.wait(STOP_SECONDS)
    if as_json:
        write_json({"answers": dict(sorted(tally.answers.items())), "lost": tally.lost})


async def _drive(
    driver: Driver,
    url: str,
    seconds: float,
    *,
    receiver: AbstractAsyncContextManager[str] | None = None,
    server: subprocess.Popen[bytes] | None = None,
    say: Console = out,
) -> Tally:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # as on Windows
        # Else SIGTERM would be raised in whichever task runs just then.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        sending = _send(driver, url, seconds, receiver, say)
        await (sending if server is None else _while_it_runs(server, sending))
    return driver.tally


async def _while_it_runs(server: subprocess.Popen[bytes], sending: Coroutine[Any, Any, None]) -> None:
    """Send for as long as there is a server of ours to send to.

    Raises:
        CustodesError: it has ended by itself.
    """
    tasks = asyncio.create_task(sending), asyncio.create_task(_end_of(server))
    try:
        [first, *_], _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await first
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _end_of(server: subprocess.Popen[bytes]) -> None:
    while (code := server.poll()) is None:  # noqa: ASYNC110 - the end of a process sets no event
        await asyncio.sleep(LOOK_SECONDS)
    msg = f"The demo shop has ended by itself ({f'signal {-code}' if code < 0 else f'exit code {code}'})"
    raise CustodesError(msg, remedy="Read what it has said, or start the demo again with another CUSTODES_PORT")


async def _send(
    driver: Driver, url: str, seconds: float, receiver: AbstractAsyncContextManager[str] | None, say: Console
) -> None:
    from custodes.cli.demo.driver import wait_until_up

    if not await wait_until_up(url):
        msg = f"Nothing answers at {url}/healthz"
        raise ConfigurationError(msg, remedy="Start it with custodes demo --serve, or name it with --url")
    say.print(f"Dashboard: [bold]{url}{DASHBOARD}[/]   (Ctrl-C stops)", soft_wrap=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        bar = progress.add_task("sending …", total=None)

        def tick(tally: Tally) -> None:
            progress.update(bar, description=f"{tally.total:,} requests answered, {tally.lost} lost")

        async with receiver or nullcontext():
            await driver.run(seconds, tick)


def _missing() -> dict[str, str]:
    """Give shop and driver the same secrets and a database of their own; webhooks may go to the demo's receiver."""
    from custodes.cli.demo.receiver import ENVIRONMENT

    DEMO_DATABASE.parent.mkdir(exist_ok=True)
    wanted = {
        **ENVIRONMENT,
        "CUSTODES_DATABASE_URL": f"sqlite:///{DEMO_DATABASE}",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_hex(16)}",
        "GITHUB_WEBHOOK_SECRET": secrets.token_hex(16),
        "CLERK_WEBHOOK_SECRET": "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B"),
    }
    return {name: value for name, value in wanted.items() if name not in os.environ}


def _keeps_secrets() -> bool:
    """Tell whether endpoints can be made: on a database server their secrets need a key that stays."""
    settings = load_settings()
    kept = settings.database_url.startswith("sqlite") or bool(settings.secret_key.get_secret_value())
    if not kept:
        err.print("No CUSTODES_SECRET_KEY: the demo has no webhook endpoints.")
    return kept


async def _prepare() -> str:
    """Make the schema, print the owner's one-time login, and make a key for the demo's operator."""
    custodes = Custodes()
    try:
        await custodes.open()
        await announce_owner(custodes)
        return await _operator_key(custodes)
    finally:
        await custodes.close()


async def _operator_key(custodes: Custodes) -> str:
    """Make a key that lives for a day, of a profile of the demo's own."""
    profiles = custodes.identity.profiles
    try:
        profile = await profiles.find("demo-operator", issuer=HOST)
    except NotFound:
        profile = (await profiles.create("demo-operator", role=Role.ADMIN, issuer=HOST)).profile
    principal = await custodes.identity.principal_of_subject(HOST, profile.subject, Method.HOST)
    assert principal is not None
    made = await custodes.identity.keys.create("demo", owner=principal, days=1)
    return made.secret
