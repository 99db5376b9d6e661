"""The demo shop's server process: ``python -m custodes.cli.demo.server PORT``."""

from __future__ import annotations

import sys

from custodes.cli.console import fail
from custodes.cli.serve import run_server
from custodes.errors import CustodesError

if __name__ == "__main__":
    # The shop fails on purpose: its tracebacks are in the dashboard, not on the terminal.
    try:
        run_server("custodes.cli.demo.shop:create_app", "127.0.0.1", int(sys.argv[1]), log_level="critical")
    except CustodesError as error:
        fail(error)
