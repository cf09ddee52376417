"""The Redis Cluster that deploy/ ships: six real nodes with its own configuration and scripts."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from letterbox.adapters.redis import server
from tests.support.programs import program

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
PASSWORD = "only-here"
PATIENCE = 30


class Node:
    """One server, at an address of its own and the port that all have."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.folder, self.host, self.port = folder, host, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        own = {"dir": str(self.folder), "bind": self.host, "port": str(self.port)}
        own |= {"requirepass": PASSWORD, "masterauth": PASSWORD, "cluster-announce-ip": self.host}
        words = [word for name, value in own.items() for word in (f"--{name}", value)]
        command = [program("redis-server"), str(KUBERNETES / "redis.conf"), *words]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, *words: str) -> str:
        with redis.Redis(host=self.host, port=self.port, password=PASSWORD) as client:
            answer = client.execute_command(*words)
        return answer.decode() if isinstance(answer, bytes) else str(answer)


@pytest.fixture
def nodes(tmp_path) -> Iterator[list[Node]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        # The bus has the port that is 10,000 higher.
        port = free.getsockname()[1] % 20_000 + 20_000
    made = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(Node(folder, f"127.77.0.{number + 1}", port))
    try:
        for node in made:
            node.start()
        yield made
    finally:
        for node in made:
            node.stop()


def scripted(name: str, nodes: list[Node], **more: str) -> str:
    """What a script says that deploy/ ships."""
    own = {"NODES": " ".join(node.host for node in nodes), "PORT": str(nodes[0].port)}
    done = subprocess.run(
        ["sh", str(KUBERNETES / name)],
        env=os.environ | {"REDISCLI_AUTH": PASSWORD} | own | more,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it does not become so in time"
        time.sleep(0.05)


def members(node: Node) -> dict[str, tuple[str, str]]:
    """Each that a node knows, by its id: its address, and whether it is a primary or a replica."""
    found = {}
    for line in node.ask("cluster", "nodes").splitlines():
        name, address, flags, *_ = line.split()
        role = "primary" if "master" in flags.split(",") else "replica"
        found[name] = (address.split(":")[0], role)
    return found


def test_the_scripts_make_a_cluster_and_find_a_node_that_has_moved(nodes):
    program("redis-cli")
    scripted("redis-create", nodes)
    until(lambda: all("cluster_state:ok" in node.ask("cluster", "info") for node in nodes))
    until(lambda: all(len(members(node)) == 6 for node in nodes))
    wanted = ["primary"] * 3 + ["replica"] * 3
    until(lambda: sorted(role for _, role in members(nodes[0]).values()) == wanted)
    # Once more is nothing more.
    assert "there is a cluster of 6 nodes" in scripted("redis-create", nodes)

    moved = nodes[-1]
    name = next(name for name, (at, _) in members(nodes[0]).items() if at == moved.host)
    moved.stop()
    moved.host = "127.77.0.77"
    moved.start()
    scripted("redis-meet", nodes, HOST=moved.host)
    until(lambda: all(members(node)[name][0] == moved.host for node in nodes))
    assert len(members(nodes[0])) == 6


def test_a_node_that_has_never_been_in_a_cluster_meets_nobody(nodes):
    program("redis-cli")
    scripted("redis-meet", nodes, HOST=nodes[0].host)
    assert len(members(nodes[0])) == 1


def test_its_settings_are_those_that_letterbox_asks_for(nodes):
    def up() -> bool:
        try:
            return nodes[0].ask("ping") == "True"
        except redis.ConnectionError:
            return False

    until(up)
    with redis.Redis(host=nodes[0].host, port=nodes[0].port, password=PASSWORD) as client:
        settings = client.config_get("*")
    assert {name: settings[name] for name in server._SAFE} == server._SAFE
    assert settings["min-replicas-to-write"] == "1"
    assert int(settings["maxmemory"]) > 0
