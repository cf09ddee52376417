"""What is delivered a second where every author has to be proven first.

python -m bench.proof
"""

import re
import sys
from collections.abc import Sequence
from functools import cache
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import msgspec

from bench.mails import AUTHOR, multipart
from bench.peers import Running
from bench.peers.proving import Proving, classic_proving, ours_proving, several_proving
from bench.source import on_the_wire, send
from tests.support.signing import Signer, craft

SIZE: Final = 13 * 1024  # octets, about
SESSIONS: Final = 10
SECONDS: Final = 3.0  # one run, about, at a peer's own pace
#: The platform that sends for the vendor: SPF is right about it and proves no author, as with most
#: newsletters, so that the vendor's signature must.
_BOUNCES: Final = "bounces@platform.example"
_DOMAIN: Final = AUTHOR.rpartition("@")[2]
_SIGNED: Final = "from:to:subject:date:message-id:list-unsubscribe:mime-version:content-type"
_DIFFERENT: Final = 50  # texts; each comes again with other links and a signature of its own
_NUMBERS: Final = count()
_RECORDS: Final = {
    **Signer(domain=_DOMAIN).records,
    _DOMAIN: {"TXT": ["v=spf1 include:platform.example -all"]},
    "platform.example": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]},
    f"_dmarc.{_DOMAIN}": {"TXT": ["v=DMARC1; p=reject; aspf=s; adkim=s"]},
}


class Measured(msgspec.Struct, frozen=True):
    """Messages a second of one peer, every run."""

    name: str
    versions: str
    rates: Sequence[float]


def table() -> str:
    """Both systems under the same load; raises Missing where one cannot run here."""
    # The rarer one first: where it is missing nothing has been measured in vain.
    kinds = (classic_proving, ours_proving, several_proving)
    theirs, *ours = (measure(each(_RECORDS)) for each in kinds)
    head = ["messages a second, every author proven", "median", "from", "to", "of Postfix…"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for one in (theirs, *ours):
        numbers = (median(one.rates), min(one.rates), max(one.rates))
        ratio = f"{median(one.rates) / median(theirs.rates):.2f}"
        rows.append([one.name, *(f"{each:,.0f}" for each in numbers), ratio])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [
        "",
        *(f"- {one.name}: {one.versions}, {len(one.rates)} runs" for one in (theirs, *ours)),
    ]
    return "\n".join(lines)


def measure(proving: Proving) -> Measured:
    """Start a peer, see that it proves, warm it up, and load it again and again."""
    peer = proving.peer
    messages = int(peer.pace * SECONDS / SESSIONS) * SESSIONS
    with TemporaryDirectory(prefix="letterbox-bench-") as folder:
        place = Path(folder)
        with peer.start(place) as running:
            _see(running, proving, place)
            rate(running, messages // 4)
            rates = [rate(running, messages) for _ in range(peer.runs)]
    shown = f"{median(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"
    print(f"  {peer.name}, every author proven: {shown}", file=sys.stderr)
    return Measured(name=peer.name, versions=peer.versions(), rates=rates)


def rate(peer: Running, messages: int) -> float:
    """Messages a second, from the first connection until all of them have arrived.

    Raises RuntimeError where one was turned away or has got lost.
    """
    mails = [on_the_wire(signed()) for _ in range(messages)]
    before = _arrived(peer)
    start = perf_counter()
    send(peer.port, _BOUNCES, peer.recipients, mails, sessions=SESSIONS)
    peer.drain()
    seconds = perf_counter() - start
    found = _arrived(peer) - before
    if found != messages:
        raise RuntimeError(f"of {messages} messages sent {found} arrived")
    return messages / seconds


def signed() -> bytes:
    """A newsletter that was never sent before, with its author's signature."""
    number = next(_NUMBERS)
    token, text = _text(number % _DIFFERENT)
    fresh = text.replace(token, f"{number:0{len(token)}x}".encode())
    return craft(fresh, {"h": _SIGNED})


@cache
def _text(seed: int) -> tuple[bytes, bytes]:
    """A newsletter, and what in it makes it another when it is replaced."""
    text = multipart(seed, SIZE)
    found = re.search(rb"^Message-ID: <(\w+)@", text, re.MULTILINE)
    if not found:
        raise RuntimeError("the newsletters of the bench have no Message-ID")
    return found[1], text


def _see(running: Running, proving: Proving, place: Path) -> None:
    """RuntimeError unless the peer delivers what is proven, says why, and refuses what is not."""
    good, to = signed(), running.recipients[:1]
    send(running.port, _BOUNCES, to, [on_the_wire(good)], sessions=1)
    running.drain()
    said = proving.said(place)
    lacking = [proof for proof in proving.proofs if proof not in said]
    if lacking or _arrived(running) != 1:
        raise RuntimeError(f"{proving.peer.name} does not say {lacking} of what it delivers")
    broken = signed().replace(b"at half price", b"at full price")
    try:
        send(running.port, _BOUNCES, to, [on_the_wire(broken)], sessions=1)
    except RuntimeError as refused:
        if ": 550 " not in str(refused):
            raise
    else:
        raise RuntimeError(f"{proving.peer.name} takes a message whose signature is broken")
    running.drain()
    if _arrived(running) != 1:
        raise RuntimeError(f"{proving.peer.name} delivers what it has refused")


def _arrived(peer: Running) -> int:
    if peer.arrived is None:
        raise RuntimeError("the peer keeps nothing that could be counted")
    return peer.arrived()


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
