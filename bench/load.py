"""The load: Postfix's smtp-source over kept sessions, timed until the last message is safe."""

from subprocess import Popen
from time import perf_counter, sleep

import msgspec

from bench.peers import Running, program

AUTHOR = "news@greenleaf.example"
SUBJECT = "Every pruner at half price"


class Load(msgspec.Struct, frozen=True):
    """Messages of ``size`` octets over ``sessions`` connections that stay open."""

    messages: int
    size: int
    sessions: int = 10


def rate(peer: Running, load: Load, limit: float = 120.0) -> float:
    """Messages a second, from the first connection until nothing is on its way any more.

    Raises RuntimeError where a message was turned away or has got lost, TimeoutError when it
    takes more than ``limit`` seconds.
    """
    before = peer.arrived() if peer.arrived else 0
    start = perf_counter()
    _send(peer, load, start + limit)
    peer.drain()
    seconds = perf_counter() - start
    if peer.arrived:
        found = peer.arrived() - before
        if found != load.messages:
            raise RuntimeError(f"of {load.messages} messages sent {found} arrived")
    return load.messages / seconds


def _send(peer: Running, load: Load, deadline: float) -> None:
    """One smtp-source per recipient, which share the sessions and the messages evenly."""
    shares = len(peer.recipients)
    command = [
        program("smtp-source", "postfix"),
        "-d",  # keep the connection for the next message
        *("-s", str(load.sessions // shares)),
        *("-m", str(load.messages // shares)),
        *("-l", str(load.size)),
        *("-M", "load.greenleaf.example"),
        *("-f", AUTHOR),
        *("-S", SUBJECT),
    ]
    sources = [
        Popen([*command, "-t", recipient, f"127.0.0.1:{peer.port}"])
        for recipient in peer.recipients
    ]
    try:
        while any(source.poll() is None for source in sources):
            if perf_counter() > deadline:
                raise TimeoutError("smtp-source was stopped: the peer is too slow or stands still")
            sleep(0.005)
    finally:
        for source in sources:
            source.kill()
    if any(source.returncode for source in sources):
        raise RuntimeError("smtp-source met a reply that it did not expect")
