"""What the process does once that all of :mod:`tests.servers.warm` are forks of: import everything they need.

Nothing is left of the install that starts and stops here, in memory, but what it imported and what it worked out.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from importlib import import_module

from tests.servers.warm import FOREIGN

# What is set where tests are run is nothing to the install that starts here.
for name in [name for name in os.environ if name.startswith(FOREIGN)]:
    del os.environ[name]

# Consoles ask once, when they are made. Lines that tests read are not broken.
os.environ["COLUMNS"] = "200"

#: What no import of ours asks for before a server serves.
LATE = (
    "custodes.cli.main",
    "custodes.cli.demo.command",
    "custodes.cli.serve",
    "custodes.cli.user",
    "custodes.storage.sql.postgresql",
    "custodes.storage.sql.postgresql_notices",
    "custodes.storage.sql.ratelimit_postgresql",
    "httptools",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)


async def start_and_stop() -> None:
    from custodes import Custodes
    from custodes.admin.app import create_admin_app
    from custodes.asgi.standalone import nothing_here

    custodes = Custodes("sqlite://", enterprise_monitoring_enabled=False)
    custodes.source("stripe", ["whsec_of_nobody"])
    custodes.wrap(nothing_here)
    create_admin_app(custodes)
    await custodes.start()
    await custodes.stop()


for module in LATE:
    import_module(module)
asyncio.run(start_and_stop())
assert threading.active_count() == 1, "a fork has none of the other threads, and all of their locks"
gc.collect()
gc.freeze()
