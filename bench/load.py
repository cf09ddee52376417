"""The load: Postfix's smtp-source over kept sessions, timed until the last message is safe."""

from random import Random
from subprocess import Popen
from textwrap import wrap
from time import perf_counter, sleep

import msgspec

from bench.peers import Running, program
from bench.rules import WANTED

AUTHOR = "news@greenleaf.example"
#: What the text is made of, besides the one wanted word at its end.
PROSE = (
    "and are as autumn before bed bulbs by carefully choose cold cut deep dig early every frost "
    "fruit garden good ground growing half hands in it leaves light moss neighbours of old or "
    "our path plant price rain ripe roots rows seed shade shed slowly small soil spring stems "
    "sun sunny the their then this to tree under until warm watch week when which winter with "
    "without worms year yellow you your"
)


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


def newsletter(size: int) -> str:
    """Subject, a mailing list's mark and a text, together about ``size`` octets.

    smtp-source writes From, To, Date and a Message-ID of its own before it; its own text is one
    letter over and over, which no reader of words would find hard.
    """
    random = Random(size)
    words = random.choices(PROSE.split(), k=size // 5)
    lines = wrap(" ".join(words), width=74)
    head = "In the garden this week\r\nList-Unsubscribe: <https://greenleaf.example/stop>\r\n\r\n"
    last = f"\r\nAnd a {WANTED[0]} at half price."
    return head + "\r\n".join(lines)[: size - len(head) - len(last)] + last


def _send(peer: Running, load: Load, deadline: float) -> None:
    """One smtp-source per recipient, which share the sessions and the messages evenly."""
    shares = len(peer.recipients)
    command = [
        program("smtp-source", "postfix"),
        "-d",  # keep the connection for the next message
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
