"""``custodes serve``: Custodes as a server of its own, or around an app."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn

import typer

from custodes.asgi import standalone
from custodes.asgi.first_owner import announce_owner, signs_in_elsewhere
from custodes.cli.console import DatabaseOption, err
from custodes.cli.environment import environment
from custodes.errors import ConfigurationError
from custodes.settings import load_settings

#: Seconds that running requests get to finish once nothing more is taken. Containers are killed 10 s after SIGTERM
#: (``docker stop``): 2 are for balancers to hear of it (``CUSTODES_DRAIN_SECONDS``), the rest for writing what is
#: buffered.
GRACEFUL_SHUTDOWN_SECONDS = 5

#: Seconds that a worker may be deaf before it is replaced; one that dies is replaced at once. uvicorn's own 5 are less
#: than a process takes to start on a busy machine, where each new worker would be ended before it serves.
WORKER_DEAF_SECONDS = 60

#: Connections that wait in the kernel until a worker takes them; uvicorn's own figure.
BACKLOG = 2048


def serve(
    app: Annotated[
        str, typer.Option("--app", help="ASGI app to mount Custodes around, as module:attribute. Default: none.")
    ] = "",
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: CUSTODES_HOST, then 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on. Default: CUSTODES_PORT, then 8321.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
    forward_to: Annotated[
        list[str] | None,
        typer.Option(
            help="Where verified webhooks of a source go on to, as source=url; give it again for more. "
            "Default: CUSTODES_FORWARD_TO."
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Serve the dashboard, the admin API and the webhook routes."""
    asked = {
        "CUSTODES_DATABASE_URL": database,
        "CUSTODES_FORWARD_TO": ",".join(target.replace(",", "%2C") for target in forward_to or ()),
        standalone.APP_VARIABLE: app,
    }
    with ExitStack() as until_then:  # workers read their settings from the environment, as everybody
        until_then.enter_context(environment({name: value for name, value in asked.items() if value}))
        settings = load_settings()
        check_server()
        # The port first: whoever cannot have it must not have printed a login that nobody will look for.
        listener = listen(host or settings.host, settings.port if port is None else port)
        until_then.enter_context(listener)
        could_share = asyncio.run(prepare())
        if workers > 1 and could_share and settings.rate_limit_store == "auto":
            # Several processes must share their windows, or each would allow the whole limit.
            until_then.enter_context(environment({"CUSTODES_RATE_LIMIT_STORE": "sqlite"}))
        err.print(f"Custodes listens on {url_of(listener)}", soft_wrap=True)
        serve_on(listener, "custodes.asgi.standalone:create_app", workers)


async def prepare() -> bool:
    """Bring the schema up to date and print the one-time owner login of a first start, before any worker runs.

    Returns whether limits count in memory as things are and could be shared in a file beside the database: an app may
    name its database itself, whatever the environment says.

    A worker that cannot start tries again, since it may stand around an app that can. What will not mend itself ends
    the command here.

    Raises:
        CustodesError: the store cannot be opened, the app cannot be loaded, stored secrets do not open, or a source
            that is to be forwarded is not there.
    """
    custodes, _ = standalone.load()
    try:
        await custodes.open()
        await custodes.outbound.check_secrets()
        await custodes.forwarding.start()
        printed = await announce_owner(custodes)
        if not printed and signs_in_elsewhere(custodes) and not await custodes.identity.has_owner():
            err.print("Nobody is an owner yet: custodes user add SUBJECT --issuer URL --role owner", soft_wrap=True)
        return custodes.ratelimit.engine().name == "memory" and getattr(custodes.database, "path", None) is not None
    finally:
        await custodes.close()


def check_server() -> None:
    """Do nothing where the ``server`` extra is installed.

    Raises:
        ConfigurationError: it is not.
    """
    if find_spec("uvicorn") is None:
        msg = "custodes serve needs a server"
        raise ConfigurationError(msg, remedy="pip install 'custodes[server]'")


def listen(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        ConfigurationError: it is taken, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        msg = f"Cannot listen on {host} port {port}: {error.strerror or error}"
        raise ConfigurationError(
            msg, remedy="Choose another with --host, --port or CUSTODES_PORT, or end who has it"
        ) from None
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Write where a socket can be reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(factory: str, host: str, port: int, workers: int = 1, *, log_level: str = "warning") -> None:
    """Run uvicorn on an app factory until SIGTERM or SIGINT; see :func:`serve_on`."""
    with listen(host, port) as listener:
        serve_on(listener, factory, workers, log_level=log_level)


def serve_on(listener: socket.socket, factory: str, workers: int = 1, *, log_level: str = "warning") -> None:
    """Run uvicorn on a listening socket until SIGTERM or SIGINT; both end in exit code 0.

    Args:
        listener: taken over; closed at the end.
        factory: function that makes the app, as ``module:function``.
        workers: processes; one that dies is replaced.
        log_level: what uvicorn tells.

    Raises:
        ConfigurationError: uvicorn is not installed, or the app did not start.
    """
    check_server()
    from uvicorn import Config, Server
    from uvicorn.config import STARTUP_FAILURE

    from custodes.cli.supervisor import Supervisor

    protocol: Any = "auto"  # h11 without httptools, which has a bound of its own
    if find_spec("httptools") is not None:
        from custodes.cli.heads import BoundedHeads

        protocol = BoundedHeads
    # uvicorn sends itself the signal again once it has drained: asked to stop and stopped is no failure.
    signal.signal(signal.SIGTERM, leave)
    config = Config(
        factory,
        factory=True,
        workers=workers,
        http=protocol,
        # The client address is our own business: only proxies named in CUSTODES_TRUSTED_PROXIES are believed.
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level=log_level,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=WORKER_DEAF_SECONDS,
    )
    if workers > 1:
        supervisor = Supervisor(config, sockets=[listener])
        supervisor.run()
        started = all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)
    else:
        server = Server(config)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:  # Ctrl-C, sent again as above
            return
        except SystemExit as end:
            if end.code != STARTUP_FAILURE:
                raise
        started = server.started
    if not started:
        msg = "The app did not start"
        raise ConfigurationError(msg, remedy="What it raised is above")


def leave(number: int, frame: object) -> NoReturn:
    """Handle a signal: leave in good order, with exit code 0."""
    del number, frame
    sys.exit(0)
