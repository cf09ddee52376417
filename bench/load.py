"""The load, timed until the last message is safe: smtp-source's own messages, or prepared ones."""

import os
from pathlib import Path
from subprocess import Popen
from time import perf_counter, sleep

import msgspec

from bench.mails import AUTHOR, Prepared, newsletter
from bench.peers import Running, program
from bench.source import send


class Load(msgspec.Struct, frozen=True):
    """``messages`` of about ``size`` octets over ``sessions`` connections at once.

    ``kept``: each connection carries one message after another; else it carries one. ``plain``
    messages are written by smtp-source; others are multipart, prepared beforehand.
    """

    messages: int
    size: int
    sessions: int = 10
    kept: bool = True
    plain: bool = True


class Run(msgspec.Struct, frozen=True):
    """Messages a second, and milliseconds of CPU that each took of all processes that serve."""

    rate: float
    cpu: float | None


def run(peer: Running, load: Load, limit: float = 120.0) -> Run:
    """Load a peer, from the first connection until nothing is on its way any more.

    Raises RuntimeError where a message was turned away or has got lost, TimeoutError when it
    takes more than ``limit`` seconds.
    """
    mails = Prepared.anew(load.messages, load.size)
    before = peer.arrived() if peer.arrived else 0
    used = cpu_of(peer.process) if peer.process else 0.0
    start = perf_counter()
    if load.plain:
        _send(peer, load, start + limit)
    else:
        send(peer.port, AUTHOR, peer.recipients, mails, sessions=load.sessions, lmtp=peer.lmtp)
    peer.drain()
    seconds = perf_counter() - start
    cpu = (cpu_of(peer.process) - used) / load.messages * 1e3 if peer.process else None
    if peer.arrived:
        found = peer.arrived() - before
        if found != load.messages:
            raise RuntimeError(f"of {load.messages} messages sent {found} arrived")
    return Run(rate=load.messages / seconds, cpu=cpu)


def waits(peer: Running, size: int, pace: float, seconds: float) -> list[float]:
    """Milliseconds from each final dot to its reply, at so many multipart messages a second."""
    mails = Prepared.anew(int(pace * seconds), size)
    sent = send(peer.port, AUTHOR, peer.recipients, mails, sessions=10, lmtp=peer.lmtp, pace=pace)
    peer.drain()
    return sorted(each * 1e3 for each in sent.waited)


def cpu_of(process: int) -> float:
    """Seconds of CPU that a process has used, and those it keeps running (proc(5), stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    kept = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(cpu_of(int(each)) for each in kept)


def _send(peer: Running, load: Load, deadline: float) -> None:
    """One smtp-source per recipient, which share the sessions and the messages evenly."""
    shares = min(len(peer.recipients), load.sessions)
    command = [
        program("smtp-source", "postfix"),
        *(["-d"] if load.kept else []),  # keep the connection for the next message
        *(["-L"] if peer.lmtp else []),
        *("-s", str(load.sessions // shares)),
        *("-m", str(load.messages // shares)),
        *("-l", "1"),
        *("-M", "load.greenleaf.example"),
        *("-f", AUTHOR),
        # The rest of the message stands in the subject, which is written out as it is.
        *("-S", newsletter(load.size)),
    ]
    sources = [
        Popen([*command, "-t", recipient, f"127.0.0.1:{peer.port}"])
        for recipient in peer.recipients[:shares]
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
