"""``custodes serve``: Custodes as a server of its own, or around an app."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, err
from custodes.errors import ConfigurationError

#: Seconds that running requests get to finish after SIGTERM.
GRACEFUL_SHUTDOWN_SECONDS = 10


def serve(
    app: Annotated[
        str, typer.Option("--app", help="ASGI app to mount Custodes around, as module:attribute. Default: none.")
    ] = "",
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: CUSTODES_HOST, then 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. Default: CUSTODES_PORT, then 8321.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
    database: DatabaseOption = None,
) -> None:
    """Serve the dashboard, the admin API and the webhook routes."""
    if database:
        os.environ["CUSTODES_DATABASE_URL"] = database
    if app:
        os.environ["CUSTODES_APP"] = app
    if workers > 1:
        # Several processes must share their windows, or each would allow the whole limit.
        os.environ.setdefault("CUSTODES_LIMITER", "sqlite")
    settings = asyncio.run(prepare())
    run_server(
        "custodes.asgi.standalone:create_app", host or settings[0], settings[1] if port is None else port, workers
    )


async def prepare() -> tuple[str, int]:
    """Bring the schema up to date and print the one-time owner login of a first start, before any worker runs.

    Returns:
        Address and port of the settings.
    """
    custodes = Custodes()
    try:
        await custodes.open()
        await announce_owner(custodes)
    finally:
        await custodes.close()
    return custodes.settings.host, custodes.settings.port


async def announce_owner(custodes: Custodes) -> None:
    """Print the one-time login, when the install has no owner yet."""
    password = await custodes.identity.ensure_owner()
    if password is not None:
        err.print("[bold]First start: an owner account was made.[/]")
        err.print(f"  user      [bold]owner[/]\n  password  [bold]{password}[/]", soft_wrap=True)
        err.print("  It works once: you choose your own password after the first login.")


def run_server(factory: str, host: str, port: int, workers: int = 1, *, log_level: str = "warning") -> None:
    """Run uvicorn on an app factory until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: uvicorn is not installed.
    """
    try:
        import uvicorn
    except ImportError:
        msg = "custodes serve needs a server"
        raise ConfigurationError(msg, remedy="pip install 'custodes[server]'") from None
    uvicorn.run(
        factory,
        factory=True,
        host=host,
        port=port,
        workers=workers,
        # The client address is our own business: only proxies named in CUSTODES_TRUSTED_PROXIES are believed.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level=log_level,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
    )
