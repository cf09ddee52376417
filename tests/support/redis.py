"""Redis servers of the tests' own: nobody else's data."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.crc import key_slot

from tests.support.ports import free_port
from tests.support.programs import program

_READY_SECONDS = 30
_SLOTS = 16384
SAFE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


def until(holds: Callable[[], bool]) -> None:
    """Return when something holds, looked at again and again."""
    deadline = time.monotonic() + _READY_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it does not come to be so in time"
        time.sleep(0.02)


class RedisServer:
    """A real redis-server, with what the store asks for unless ``settings`` say otherwise."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        # A socket's path may have 107 octets; a test's folder is often longer.
        self.socket = Path(f"/tmp/letterbox-{time.monotonic_ns():x}.sock")
        self.url = f"unix://{self.socket}"
        self._program = program("redis-server")
        self._settings = SAFE | {name.replace("_", "-"): value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    def start(self) -> None:
        """Start it, and return when it serves: its log has been read back then."""
        words = {"port": "0", "unixsocket": str(self.socket), "save": "", "dir": str(self.folder)}
        words["repl-diskless-sync-delay"] = "0"  # a replica has its copy at once
        command = [self._program]
        for name, value in (words | self._settings).items():
            command += [f"--{name}", value]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "redis.log").read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A connection of the test's own."""
        return redis.Redis.from_url(self.url)

    def ask(self, *words: object) -> Any:
        """One command's answer."""
        with self.client() as client:
            return client.execute_command(*words)

    def empty(self) -> None:
        """Forget all data."""
        self.ask("FLUSHALL")

    def is_running(self) -> bool:
        """Whether its process is there and does not stand still."""
        return self._process is not None and self._process.poll() is None and not self._paused

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it stand still: connections stay, answers do not come."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def close(self) -> None:
        """End it, and remove its socket."""
        if self._process is not None:
            self.kill()
        self.socket.unlink(missing_ok=True)


class RedisNode(RedisServer):
    """A server on a port of the loopback, where others find it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir()
        self.port = free_port()
        super().__init__(folder, port=str(self.port), bind="127.0.0.1", **settings)
        self.url = f"redis://127.0.0.1:{self.port}"

    def known(self) -> list[str]:
        """The servers of the cluster that it is in touch with."""
        lines = self.ask("CLUSTER", "NODES").decode().splitlines()
        return [line for line in lines if "handshake" not in line]

    def has_its_copy(self) -> bool:
        """Whether it has all that its primary has, where it has one."""
        with self.client() as client:
            role = client.info("replication")
        return role["role"] == "master" or role.get("master_link_status") == "up"

    def is_ready(self) -> bool:
        """Whether its cluster serves, and it has its copy."""
        try:
            return b"cluster_state:ok" in self.ask("CLUSTER", "INFO") and self.has_its_copy()
        except redis.BusyLoadingError:  # it takes over what its primary has
            return False


class RedisCluster:
    """Servers that share the slots between them, each with ``replicas`` of its own.

    ``timeout``: milliseconds after which one that does not answer is replaced.
    """

    def __init__(
        self, folder: Path, *, primaries: int = 3, replicas: int = 0, timeout: int = 15_000
    ) -> None:
        self._buses = [free_port() for _ in range(primaries * (1 + replicas))]
        self.nodes = [
            RedisNode(
                folder / f"node-{nth}",
                cluster_enabled="yes",
                cluster_port=str(bus),
                cluster_node_timeout=str(timeout),
                # A replica takes over however long ago it last heard of its primary.
                cluster_replica_validity_factor="0",
            )
            for nth, bus in enumerate(self._buses)
        ]
        self.primaries = self.nodes[:primaries]
        self.replicas = self.nodes[primaries:]
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"redis+cluster://{places}"

    def start(self) -> None:
        """Start all, and return when they are one cluster and every replica has its copy."""
        for node in self.nodes:
            node.start()
        share = _SLOTS // len(self.primaries)
        for nth, node in enumerate(self.primaries):
            end = _SLOTS if node is self.primaries[-1] else (nth + 1) * share
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", nth + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", nth * share, end - 1)
        # Each meets all: hearing of the others from the first may take a while.
        for nth, node in enumerate(self.nodes):
            for other, bus in zip(self.nodes[:nth], self._buses[:nth], strict=True):
                node.ask("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
        until(lambda: all(len(node.known()) == len(self.nodes) for node in self.nodes))
        for nth, node in enumerate(self.replicas):
            primary = self.primaries[nth % len(self.primaries)]
            node.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        until(lambda: all(node.is_ready() for node in self.nodes))

    def empty(self) -> None:
        """Forget all data."""
        for node in self.primaries:
            node.empty()

    def close(self) -> None:
        """End all."""
        for node in self.nodes:
            node.close()

    def primary_of(self, slot: int) -> RedisNode:
        """The server that has a slot, as one that is there says."""
        for begin, end, (_, port, *_), *_ in self._anyone().ask("CLUSTER", "SLOTS"):
            if begin <= slot <= end:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def _anyone(self) -> RedisNode:
        return next(node for node in self.nodes if node.is_running())

    def begin_move(self, slot: int, target: RedisNode) -> None:
        """Let a slot be on its way: what is not at its old place is asked for at the new one."""
        source = self.primary_of(slot)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ask("CLUSTER", "MYID"))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ask("CLUSTER", "MYID"))

    def move(self, slot: int, target: RedisNode, *keys: bytes) -> None:
        """Take some keys of a slot to its new place."""
        source = self.primary_of(slot)
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_move(self, slot: int, target: RedisNode) -> None:
        """Take what is left, and say where the slot is from now on."""
        source = self.primary_of(slot)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            self.move(slot, target, *keys)
        name = target.ask("CLUSTER", "MYID")
        for node in (target, source, *self.primaries):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", name)

    def take_out(self, node: RedisNode) -> None:
        """Give a server's slots to another, and have all forget it, as ``redis-cli`` does.

        It runs on, by itself.
        """
        others = [each for each in self.primaries if each is not node]
        target = others[0]
        name = node.ask("CLUSTER", "MYID")

        def its_slots(seen: RedisNode) -> list[tuple[int, int]]:
            rows = seen.ask("CLUSTER", "SLOTS")
            return [(begin, end) for begin, end, (_, port, *_), *_ in rows if port == node.port]

        with node.client() as client:
            slots = {key_slot(key) for key in client.scan_iter()}
        for slot in slots:
            self.begin_move(slot, target)
            self.end_move(slot, target)
        for begin, end in its_slots(node):
            node.ask("CLUSTER", "DELSLOTSRANGE", begin, end)
            target.ask("CLUSTER", "DELSLOTSRANGE", begin, end)
            target.ask("CLUSTER", "ADDSLOTSRANGE", begin, end)
        target.ask("CLUSTER", "BUMPEPOCH")
        until(lambda: not any(map(its_slots, others)))
        for each in others:
            each.ask("CLUSTER", "FORGET", name)
        node.ask("CLUSTER", "RESET", "SOFT")


class RedisSentinel:
    """A Sentinel that watches a primary by the name ``letterbox``, and decides alone."""

    def __init__(self, folder: Path, primary: RedisNode) -> None:
        folder.mkdir()
        self.port = free_port()
        self._configuration = folder / "sentinel.conf"
        self._configuration.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor letterbox 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds letterbox 2000\n"
            "sentinel failover-timeout letterbox 5000\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, replicas: int) -> None:
        """Start it, and return when so many replicas of the primary can take over."""
        command = [program("redis-server"), str(self._configuration), "--sentinel"]
        with self._configuration.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self._replicas() == replicas)

    def _replicas(self) -> int:
        try:
            with redis.Redis(port=self.port) as client:
                told = client.sentinel_slaves("letterbox")
            return sum(row["master-link-status"] == "ok" for row in told)
        except redis.RedisError:
            return -1

    def primary(self) -> int:
        """The port of whoever is the primary now."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "letterbox")[1])

    def ask(self, *words: object) -> Any:
        """One command's answer."""
        with redis.Redis(port=self.port) as client:
            return client.execute_command(*words)

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
