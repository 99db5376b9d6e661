"""Real server processes on free ports; each test ends the ones it started, by pid."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from tests.acceptance import plain
from tests.servers.programs import free_port
from tests.servers.warm import FOREIGN, Warm

T = TypeVar("T")

#: Apps that the servers serve, unless told otherwise.
APPS = Path(__file__).parent / "serve" / "apps"

#: Longest that a server may take to come up on a busy machine, seconds.
PATIENCE = 90.0


@pytest.fixture(name="until")
def wait_until() -> Callable[..., Any]:
    return until


def until(promise: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Ask again and again until the answer is truthy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := promise():
                return found
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {seconds:g} s")


class Server:
    """One server process and what it printed.

    Args:
        words: the command.
        log: file that takes what it prints.
        env: what its environment has beside that of the tests.
        cwd: where it runs.
        cold: whether it begins from nothing, as an operator's does; else it is a fork that has imported everything.
    """

    def __init__(self, words: list[str], log: Path, env: dict[str, str], cwd: Path, *, cold: bool) -> None:
        self._log = log
        self._clients: list[httpx2.Client] = []
        clean = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        env = {**clean, "COLUMNS": "200", **env}
        log.touch()
        self.process = self._cold(words, env, cwd) if cold else Warm(words, log, env, cwd)

    def _cold(self, words: list[str], env: dict[str, str], cwd: Path) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        with self._log.open("wb") as out:
            return subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT)

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def logins(self) -> list[str]:
        """One-time passwords that were printed."""
        return re.findall(r"password  (\S+)", self.said)

    @property
    def url(self) -> str:
        """Where it listens, as it says itself."""

        def told() -> str:
            assert self.process.poll() is None, self.said
            found = re.search(r"(?:listens|running) on (http://[\w.:\[\]]+)", self.said)
            return found[1] if found else ""

        return until(told, f"the server says where it listens:\n{self.said}")

    def client(self) -> httpx2.Client:
        """A client, once the server is ready."""
        client = plain.Client(base_url=self.url)
        self._clients.append(client)
        until(lambda: client.get("/readyz").status_code == 200, "readyz")
        return client

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Ask it to end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds)

    def hang_up(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()

    def wait(self, seconds: float = PATIENCE) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"it did not end within {seconds:g} s:\n{self.said}")


@pytest.fixture(name="free_port")
def make_free_port() -> int:
    return free_port()


@pytest.fixture(name="find_free_port", scope="session")
def make_find_free_port() -> Callable[[], int]:
    return free_port


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start ``custodes serve``, or another command of the environment, on the test's own database."""
    with servers_in(tmp_path) as start:
        yield start


@pytest.fixture(name="servers_in", scope="session")
def make_servers_in() -> Callable[[Path], Any]:
    return servers_in


@contextlib.contextmanager
def servers_in(folder: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on a database in this folder; all are ended at the end."""
    servers: list[Server] = []

    def start(*words: str, command: str = "custodes", cwd: Path = APPS, cold: bool = False, **env: str) -> Server:
        env = {
            "CUSTODES_DATABASE_URL": f"sqlite:///{folder}/custodes.db",
            "CUSTODES_DRAIN_SECONDS": "0",  # nothing stands before these servers that would have to hear of it
            **env,
        }
        if command == "custodes":
            line = ["custodes", "serve", *([] if "--port" in words else ["--port", "0"]), *words]
            if "--workers" in words:  # a fork of the warm process cannot supervise others
                cold = cold or words[words.index("--workers") + 1] != "1"
        else:
            line = [command, *words]
        servers.append(Server(line, folder / f"server{len(servers)}.log", env, cwd, cold=cold))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.hang_up()
            if server.process.poll() is None:
                server.process.terminate()
        for server in servers:
            try:
                server.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
