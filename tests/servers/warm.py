"""Processes that have imported everything before they begin: forks of one that did.

Each is a process of its own: it has its own pid, files, threads and connections, and can be killed like any other. What
it does not do again is import for two seconds what is the same for all. How a process begins from nothing is for the
tests that start one so (``cold``).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path

#: Commands that a process can be, beside ``python -m …`` and ``python -c …``: the module that has their ``main``.
COMMANDS = {"custodes": "custodes.cli.main", "uvicorn": "uvicorn.main"}

#: Settings of the machine that tests run on, which must not reach any server.
FOREIGN = ("CUSTODES_", "STRIPE_", "GITHUB_", "CLERK_", "ENTERPRISE_", "RATE_LIMIT", "AUDIT_", "WEBHOOK_", "API_LOG_")


class Warm:
    """A process; what tests need of :class:`subprocess.Popen`.

    Args:
        words: the command, as one would type it.
        log: file that takes what it writes.
        env: all of its environment.
        cwd: where it runs.
    """

    def __init__(self, words: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.servers.preloaded"])
        self._words = words
        self._process: BaseProcess = context.Process(target=_run, args=(list(words), str(log), dict(env), str(cwd)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it has ended; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._words, seconds or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(words: list[str], log: str, env: dict[str, str], cwd: str) -> None:
    """Become the process."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.close(out)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, "")
    command, *rest = words
    if command in COMMANDS:
        sys.argv = words
        import_module(COMMANDS[command]).main()
        return
    flag, what, *rest = rest
    sys.argv = [flag, *rest]
    if flag == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})
