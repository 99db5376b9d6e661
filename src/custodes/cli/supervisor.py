"""Several worker processes behind one socket: uvicorn's supervisor, which hears at once when one of them dies."""

from __future__ import annotations

from uvicorn.supervisors import Multiprocess


class Supervisor(Multiprocess):
    """Keeps as many workers as were asked for."""

    def keep_subprocess_alive(self) -> None:
        """Ask each worker whether it lives, and replace those that do not.

        A worker answers through a pipe. uvicorn keeps the worker's end of it open here too, so that the death of a
        worker that has just been asked is noticed only when the time for an answer is over.
        """
        for process in self.processes:
            process.child_conn.close()
        super().keep_subprocess_alive()
