"""Postfix's smtp-sink: the limit, a C program that reads and throws away."""

from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

from bench.peers import Peer, Running, daemon, free_port, greets, program, said_by, until_ready


@contextmanager
def _started(place: Path) -> Iterator[Running]:
    port, log = free_port(), place / "sink.log"
    # Started by root it insists on being told whose rights to take.
    command = [program("smtp-sink", "postfix"), "-u", getuser(), f"127.0.0.1:{port}", "100"]
    with daemon(command, log) as process:
        until_ready(process, log, lambda: greets(port))
        yield Running(port=port, recipients=("anna@letterbox.example",))


def _versions() -> str:
    return f"Postfix {said_by(program('postconf', 'postfix'), '-hd', 'mail_version')}"


SINK = Peer(name="smtp-sink", versions=_versions, start=_started, pace=10_000)
