"""``letterbox`` as a program of its own: the server, and the commands beside it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_READY_SECONDS = 30
_STOP_SECONDS = 35

FREE_PORTS = """\
hostname = "letterbox.example"
[http]
listen = "127.0.0.1:0"
[smtp]
listen = "127.0.0.1:0"
trusted_peers = [{ address = "127.0.0.0/8", asserts = "from" }]
[lmtp]
listen = "127.0.0.1:0"
[log]
format = "json"
"""


class Letterbox:
    """One installation in a folder: its configuration, its store, its server when started.

    ``configuration`` is a TOML document (free ports and a trusted loopback where none is given);
    the store lies in the folder, which is also the working directory. ``options`` are for the
    server.
    """

    def __init__(
        self, folder: Path, configuration: str = FREE_PORTS, options: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.config = folder / "letterbox.toml"
        self.config.write_text(configuration)
        self.options = options
        self.ready_file = folder / "ready.json"
        self.log = folder / "log"
        self.addresses: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        #: What runs the command line.
        self.command = [sys.executable, "-m", "letterbox.cli"]

    def start(self) -> dict[str, str]:
        """Start the server; return its addresses once it is ready."""
        self.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command("serve", "--ready-file", str(self.ready_file), *self.options),
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_SECONDS
        while not self.ready_file.exists():
            assert time.monotonic() < deadline, f"not ready in time:\n{self.log.read_text()}"
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"it did not start:\n{self.log.read_text()}")
        self.addresses = json.loads(self.ready_file.read_text())
        return self.addresses

    def address(self, gateway: str) -> tuple[str, int]:
        """Host and port of a gateway."""
        host, _, port = self.addresses[gateway].rpartition(":")
        return host, int(port)

    def stop(self) -> int:
        """Have it drain and end (SIGTERM); return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command with this configuration; ``variables`` go into its environment."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.folder,
            env=_environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, *arguments: str) -> Any:
        """The JSON answer of a command that must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def apply(self, people: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Apply a people file with this text."""
        (self.folder / "people.toml").write_text(people)
        return self.run("apply", "people.toml", *arguments)

    def _command(self, *arguments: str) -> list[str]:
        named = [] if "--config" in arguments else ["--config", str(self.config)]
        return [*self.command, *arguments, *named]


def _environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LETTERBOX")}
    here = Path(__file__).parents[2]
    return inherited | {"PYTHONPATH": str(here), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def ending(letterbox: Letterbox) -> Iterator[Letterbox]:
    """Whatever the test does, its server is gone at the end."""
    try:
        yield letterbox
    finally:
        if letterbox.process is not None and letterbox.process.poll() is None:
            letterbox.kill()


@contextmanager
def serving(folder: Path, configuration: str = FREE_PORTS) -> Iterator[Letterbox]:
    """A running server; ended at the end, however the test went."""
    with ending(Letterbox(folder, configuration)) as letterbox:
        letterbox.start()
        yield letterbox
