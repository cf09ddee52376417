"""Whether a stranger can tell by the clock which addresses somebody has.

Refusals of unproven mail to a known and to an unknown address are timed in pairs. If the address
made no difference, each of a pair would be the slower one as often as the other: the sign test
tells how likely what was seen would be then.
"""

import asyncio
import socket
from math import erfc, sqrt
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from bench.inside import inside
from bench.mails import AUTHOR, Prepared
from bench.rules import USERS
from letterbox.demo.dns import DnsServer

PAIRS: Final = 3_000
SIZE: Final = 2 * 1024
_CONFIG: Final = """\
hostname = "letterbox.example"
domains = ["letterbox.example"]
[http]
listen = ""
[smtp]
listen = "127.0.0.1:0"
max_transactions = 1000000
max_errors = 1000000
[dns]
servers = ["{resolver}"]
[store]
url = "sqlite:{place}/letterbox.db"
"""


async def _measured(place: Path) -> tuple[list[float], list[float]]:
    """Microseconds each refusal took: to the known address, and to the unknown one."""
    dns = DnsServer({})  # it knows nothing, and says so
    text = _CONFIG.format(place=place, resolver=await dns.start())
    try:
        async with inside(place, text) as port:
            return await asyncio.to_thread(_timed, port)
    finally:
        await dns.close()


def _timed(port: int) -> tuple[list[float], list[float]]:
    random = Random(1)
    known, unknown = f"{USERS[0]}@letterbox.example", "nobody@letterbox.example"
    found: dict[str, list[float]] = {known: [], unknown: []}
    mails = iter(Prepared.anew(2 * PAIRS + 200, SIZE))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as link:
        replies = link.makefile("rb")

        def say(octets: bytes) -> bytes:
            link.sendall(octets)
            while (line := replies.readline())[3:4] == b"-":
                pass
            return line

        replies.readline()
        say(b"EHLO stranger.example\r\n")
        for nth in range(PAIRS + 100):
            pair = [known, unknown]
            random.shuffle(pair)
            for recipient in pair:
                for command in (f"MAIL FROM:<{AUTHOR}>", f"RCPT TO:<{recipient}>", "DATA"):
                    say(f"{command}\r\n".encode())
                start = perf_counter()
                reply = say(next(mails))
                if not reply.startswith(b"550 5.7.1"):
                    raise RuntimeError(f"a stranger was told {reply!r}")
                if nth >= 100:  # caches are warm
                    found[recipient].append((perf_counter() - start) * 1e6)
        link.sendall(b"QUIT\r\n")
    return found[known], found[unknown]


def table() -> str:
    """Medians, and what the sign test says."""
    import uvloop

    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        known, unknown = uvloop.run(_measured(Path(place)))
    slower = sum(a > b for a, b in zip(known, unknown, strict=True))
    pairs = len(known)
    # The normal approximation of the binomial distribution, both sides.
    chance = erfc(abs(slower - pairs / 2) / sqrt(pairs / 4) / sqrt(2))
    return (
        f"- to an address that somebody has: {median(known):,.0f} us at the median\n"
        f"- to one that nobody has: {median(unknown):,.0f} us\n"
        f"- of {pairs:,} pairs the first took longer in {slower / pairs:.1%}; so much of a"
        f" difference, or more, comes by chance with a probability of {chance:.2f}"
    )


if __name__ == "__main__":
    print(table())
