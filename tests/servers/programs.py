"""Finding the programs of servers, and starting them so that none outlives the test run."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

#: Where Debian keeps what it does not put on the PATH.
_DEBIAN_POSTGRESQL = Path("/usr/lib/postgresql")

#: Longest an installation may take, seconds.
_INSTALL_SECONDS = 300

#: ``prctl`` option: the signal that this process gets when the thread that started it ends (Linux).
_PR_SET_PDEATHSIG = 1


class NotFound(Exception):
    """A program is not there and cannot be installed."""


def find(program: str, package: str) -> Path:
    """Return the path of a program; installs its Debian package when that is possible.

    Raises:
        NotFound: it is not there; the message says how to get it.
    """
    found = _look(program)
    if found is None:
        _install(package)
        found = _look(program)
    if found is None:
        msg = f"{program} was not found. On Debian: apt-get install {package}"
        raise NotFound(msg)
    return found


def required(start: Callable[[], object]) -> object:
    """Start a server, or skip the test visibly where it cannot be had; in CI that is a failure."""
    try:
        return start()
    except NotFound as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error} (CI must run every test)")
        pytest.skip(str(error))


def _look(program: str) -> Path | None:
    on_path = shutil.which(program)
    if on_path:
        return Path(on_path)
    versions = sorted(_DEBIAN_POSTGRESQL.glob("*"), key=lambda path: path.name.zfill(4), reverse=True)
    return next((path for version in versions if os.access(path := version / "bin" / program, os.X_OK)), None)


def _install(package: str) -> None:
    """Ask apt, as root only; one test process at a time."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with Path(tempfile.gettempdir(), "custodes-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", package]):
            subprocess.run(
                [apt, *arguments], env=environment, timeout=_INSTALL_SECONDS, check=False, capture_output=True
            )


#: Where servers listen whose port has to be known before they begin: below what systems give to whoever connects
#: (Linux: 32768 on), so that none of the thousands of connections of other tests takes it meanwhile.
_PORTS = range(12_000, 22_000)


def free_port() -> int:
    """Return a port that nobody listens on just now, and that nobody will be given who asks for any."""
    choose = random.SystemRandom()
    while True:
        port = choose.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Program:
    """A server's process in a folder of its own.

    Args:
        name: for the folder.
        user: account to run as when the tests run as root, which some servers refuse to run as.
    """

    def __init__(self, name: str, user: str | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"custodes-{name}-"))
        self.user = user if user and os.geteuid() == 0 else None
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path]) -> None:
        """Run a program to its end, as the server's user.

        Raises:
            RuntimeError: it failed; what it said is in the message.
        """
        done = subprocess.run(command, cwd=self.folder, user=self.user, capture_output=True, check=False, timeout=60)
        if done.returncode:
            msg = f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace')}"
            raise RuntimeError(msg)

    def start(self, command: Sequence[str | Path], *, at_end: signal.Signals = signal.SIGKILL) -> None:
        """Start the server; it gets ``at_end`` when the test process ends, however that ends."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                user=self.user,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=lambda: ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, at_end),  # noqa: PLW1509 - one call into libc
            )

    def log(self, *, whole: bool = False) -> str:
        """Return the end of what the server said, or all of it."""
        said = (self.folder / "log").read_text(errors="replace")
        return said if whole else said[-2_000:]

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals, *, wait: bool = False) -> None:
        """Send a signal to the server."""
        if self._process is None:
            return
        self._process.send_signal(number)
        if wait:
            self._process.wait(30)

    def freeze(self) -> None:
        """Stop the server and its children where they stand (SIGSTOP)."""
        self.signal(signal.SIGSTOP)  # it first, so that it makes no further children
        self._each(psutil.Process.suspend)

    def thaw(self) -> None:
        """Have them go on."""
        self._each(psutil.Process.resume)

    def _each(self, do: Callable[[psutil.Process], None]) -> None:
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # children come and go
                do(process)

    def remove(self) -> None:
        """End the server and delete its folder."""
        if self.running:
            self.freeze()
            self._each(psutil.Process.kill)
            assert self._process is not None
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
