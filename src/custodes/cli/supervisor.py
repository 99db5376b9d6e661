"""Several worker processes behind one socket: uvicorn's supervisor, which hears at once when one of them dies."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from socket import socket

from uvicorn import Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from custodes.runtime.log import get_logger, log_to_stderr

#: Longest that a worker may take to say whether it is ready, seconds; it is asked again half a second later.
ASK_SECONDS = 1.0

#: Number → name; those for programs' own use have none.
_SIGNALS = {int(one): one.name for one in signal.Signals}

_log = get_logger("custodes.workers")


class Supervisor(Multiprocess):
    """Keeps as many workers as were asked for, and says when one of them is ready or has died."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        #: Process ids of the workers that have started.
        self._ready: set[int] = set()
        log_to_stderr()

    def keep_subprocess_alive(self) -> None:
        """Ask each worker whether it lives, and replace those that do not.

        A worker answers through a pipe. uvicorn keeps the worker's end of it open here too, so that the death of a
        worker that has just been asked is noticed only when the time for an answer is over.
        """
        before = tuple(self.processes)
        for process in before:
            process.child_conn.close()
        super().keep_subprocess_alive()
        if not self.should_exit.is_set():
            self._tell_who_died(process for process in before if process not in self.processes)
            self._tell_who_is_ready()

    def terminate_all(self) -> None:
        """Have the workers end, and let go of the socket: what knocks once they have is refused, and does not hang."""
        super().terminate_all()
        for one in self.sockets:
            one.close()

    def _tell_who_died(self, replaced: Iterable[Process]) -> None:
        """Say how those ended that had to be replaced: SIGKILL is the kernel's when memory runs out, or ours."""
        for process in replaced:
            code = process.exitcode or 0
            ended = f"by {_SIGNALS.get(-code, f'signal {-code}')}" if code < 0 else f"with exit code {code}"
            _log.warning("worker_died", pid=process.pid, ended=ended, workers=self.processes_num)

    def _tell_who_is_ready(self) -> None:
        """Ask those that were not ready yet; one that has died is told of no more."""
        alive = {process.pid: process for process in self.processes if process.pid is not None}
        self._ready &= set(alive)
        for pid, process in alive.items():
            if pid not in self._ready and process.is_ready(ASK_SECONDS):
                self._ready.add(pid)
                _log.info("worker_ready", pid=pid, ready=len(self._ready), workers=self.processes_num)
