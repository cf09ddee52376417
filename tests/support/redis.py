"""A Redis server of the tests' own, on a socket in a folder: no port, nobody else's data."""

import signal
import subprocess
import time
from pathlib import Path

import redis

from tests.support.programs import program

_READY_SECONDS = 30
SAFE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


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

    def start(self) -> None:
        """Start it, and return when it serves: its log has been read back then."""
        words = {"port": "0", "unixsocket": str(self.socket), "save": "", "dir": str(self.folder)}
        command = [self._program]
        for name, value in (words | self._settings).items():
            command += [f"--{name}", value]
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server is not ready in time"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A connection of the test's own."""
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Let it stand still: connections stay, answers do not come."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove its socket."""
        if self._process is not None:
            self.kill()
        self.socket.unlink(missing_ok=True)
