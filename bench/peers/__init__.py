"""The mail systems that letterbox is measured against, each started in a place of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from shutil import which
from socket import create_connection, socket
from subprocess import STDOUT, Popen, TimeoutExpired, run
from time import monotonic, sleep

import msgspec

#: Distributions keep daemons where an ordinary PATH does not look.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
REPOSITORY = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds for a peer to start, or to stop


class Missing(Exception):
    """A peer cannot run here; the text says what would make it run."""


class Running(msgspec.Struct, frozen=True):
    """A peer that takes SMTP on a port of 127.0.0.1."""

    port: int
    #: Recipients that exist there; load is spread over them.
    recipients: tuple[str, ...]
    #: How many messages have arrived for good; None where it keeps none to count.
    arrived: Callable[[], int] | None = None
    #: Returns once nothing accepted is still on its way.
    drain: Callable[[], None] = lambda: None
    lmtp: bool = False
    #: The process that serves, or that keeps others which do.
    process: int | None = None


class Peer(msgspec.Struct, frozen=True):
    """One system under measurement. ``start`` raises Missing where it cannot run."""

    name: str
    versions: Callable[[], str]
    start: Callable[[Path], AbstractContextManager[Running]]
    #: Rough capacity in messages of 10 KB a second, to keep a run at some seconds.
    pace: int
    runs: int = 5


def program(name: str, package: str) -> str:
    """Path of an installed program; Missing names the distribution's package."""
    found = which(name) or which(name, path=SYSTEM_PATH)
    if found is None:
        raise Missing(f"{name} is not installed: apt-get install {package}")
    return found


def said_by(*command: str) -> str:
    """What a short command prints, on one line; RuntimeError where it fails."""
    done = run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip().rpartition(chr(10))[2]}")
    return " ".join(done.stdout.split())


def free_port() -> int:
    """A loopback port that nobody holds at this moment."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Ask again and again until it is so; TimeoutError names what was waited for."""
    end = monotonic() + seconds
    while not ready():
        if monotonic() > end:
            raise TimeoutError(f"{what} took more than {seconds:.0f} s")
        sleep(0.02)


def greets(port: int) -> bool:
    """Whether an SMTP greeting comes from that port."""
    try:
        with create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(512).startswith(b"220")
    except OSError:
        return False


@contextmanager
def daemon(command: list[str], log: Path) -> Iterator[Popen[bytes]]:
    """A process in the foreground that ends with the block, whatever happens in it."""
    with log.open("ab") as output:
        process = Popen(command, stdout=output, stderr=STDOUT, cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(TimeoutExpired):
            process.wait(PATIENCE)
        if process.poll() is None:
            process.kill()
            process.wait()


def until_ready(process: Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    """Wait for a daemon; a RuntimeError has the last line of one that ended instead."""

    def settled() -> bool:
        if process.poll() is not None:
            words = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"{log.stem} ended with {process.returncode}: {words}")
        return ready()

    wait_until(settled, f"the start of {log.stem}")
