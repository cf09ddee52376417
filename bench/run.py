"""Measure letterbox and its peers side by side; print a table and write RESULTS.md."""

import argparse
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from os import cpu_count, getloadavg
from pathlib import Path
from signal import SIGTERM, signal
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench import decide, http, prove
from bench.load import Load, rate
from bench.peers import Missing, Peer
from bench.peers.classic import CLASSIC
from bench.peers.ours import OURS, Footprint, footprint
from bench.peers.sink import SINK
from bench.peers.stock import STOCK

PEERS = (SINK, STOCK, CLASSIC, OURS)
SIZES = (10 * 1024, 60 * 1024)  # octets
RESULTS = Path(__file__).with_name("RESULTS.md")
SECONDS = 4.0  # one run, about, at a peer's own pace

_PAGE = """\
# What was measured
On {day}, {machine}, in one go. The load average before was {others:.1f}.

Postfix's `smtp-source` sends over 10 kept sessions to two recipients. A message counts when it is
safe: in the consumer's inbox for letterbox; in the maildir, with Postfix's queue empty, for
Postfix + Dovecot + Sieve. Both apply the same keyword rules to subject and text, and both believe
the relay about the sender. The mail declares nothing, so that letterbox also reads which kind it is
and what it asks. `smtp-sink` and stock aiosmtpd throw everything away.

{table}

"""

_DECISIONS = """
# One decision
Microseconds at the median, for a consumer with 200 relationships and 20 windows, in one process.

{table}

{more}
"""

_PROOFS = """
# One proof of who sent it
Microseconds of CPU at the median, DNS answers and keys cached. dkimpy, in the same process,
verifies one signature and no more; ours reads From, evaluates SPF and decides as well.

{table}
"""

_HTTP = """
# Over HTTP
wrk posts one offer of 2 KB again and again over 10 connections; each is a new message, decided and
on disk before its answer. A batch is one call of a blocking client, which writes all lines before
it reads; its lines are counted once all are answered.

{table}
"""

_IDLE = """
letterbox idle: {memory:.0f} MiB resident; ready {start:.2f} s after the command, where starting
Python and importing alone take {imports:.2f} s.
"""


class Measured(msgspec.Struct, frozen=True):
    """One peer's rates, by size: messages a second, every run."""

    peer: Peer
    versions: str
    rates: dict[int, list[float]]

    def middle(self, size: int) -> float:
        """The median rate."""
        return median(self.rates[size])


def measure(peer: Peer, seconds: float) -> Measured:
    """Start a peer in a place of its own, warm it up, and load it again and again."""
    rates: dict[int, list[float]] = {}
    with TemporaryDirectory(prefix="letterbox-bench-") as place, peer.start(Path(place)) as running:
        shares = len(running.recipients)
        for size in SIZES:
            # Larger messages take about three times as long everywhere; whole shares only.
            pace = peer.pace if size <= SIZES[0] else peer.pace / 3
            messages = max(1, int(pace * seconds / shares)) * shares
            rate(running, Load(messages=max(shares, messages // 10 // shares * shares), size=size))
            rates[size] = [
                rate(running, Load(messages=messages, size=size)) for _ in range(peer.runs)
            ]
            print(f"  {peer.name}, {size // 1024} KB: {_spread(rates[size])}", file=sys.stderr)
    return Measured(peer=peer, versions=peer.versions(), rates=rates)


def _spread(rates: Sequence[float]) -> str:
    return f"{median(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"


def table(measured: Sequence[Measured]) -> str:
    """Rates, and what they are relative to the limit and to the classic combination."""
    head = ["messages a second", "KB", "median", "from", "to", "of smtp-sink", "of Postfix…"]
    rows = [head, ["---"] + ["---:"] * 6]
    for size in SIZES:
        bases = [_of(measured, base, size) for base in (SINK, CLASSIC)]
        for one in measured:
            middle = one.middle(size)
            ratios = [f"{middle / base:.2f}" if base else "" for base in bases]
            numbers = (middle, min(one.rates[size]), max(one.rates[size]))
            cells = [one.peer.name, str(size // 1024), *(f"{n:,.0f}" for n in numbers)]
            rows.append([*cells, *ratios])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _of(measured: Sequence[Measured], peer: Peer, size: int) -> float | None:
    return next((one.middle(size) for one in measured if one.peer is peer), None)


def report(
    measured: Sequence[Measured], missing: Sequence[str], idle: Footprint | None, busy: float
) -> str:
    """The page that is written beside this file."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}, {cpu_count()} cores"
    page = _PAGE.format(
        day=datetime.now(UTC).date(),
        machine=f"{system}, Python {platform.python_version()}",
        others=busy,
        table=table(measured),
    )
    for one in measured:
        page += f"- {one.peer.name}: {one.versions}, {one.peer.runs} runs of each size\n"
    page += "".join(f"- not measured: {reason}\n" for reason in missing)
    if idle:
        page += _IDLE.format(memory=idle.memory, start=idle.start, imports=idle.imports)
    return page


def _footprint() -> Footprint:
    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        return footprint(Path(place))


def main() -> int:
    """Run it all; 1 where something that is here could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [peer.name.split()[0].strip(",").lower() for peer in PEERS]
    parser.add_argument("--only", nargs="+", choices=names, help="these peers; writes no file")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of one run")
    chosen = parser.parse_args()
    # Whoever ends the bench wants what it has started to end too.
    signal(SIGTERM, lambda *_: sys.exit(1))
    measured: list[Measured] = []
    missing: list[str] = []
    idle: Footprint | None = None
    failed = False
    busy = getloadavg()[0]
    for name, peer in zip(names, PEERS, strict=True):
        if chosen.only and name not in chosen.only:
            continue
        try:
            measured.append(measure(peer, chosen.seconds))
            idle = _footprint() if peer is OURS else idle
        except Missing as reason:
            missing.append(f"{peer.name}: {reason}")
        except (RuntimeError, TimeoutError, OSError) as reason:
            missing.append(f"{peer.name}: {reason}")
            failed = True
    page = report(measured, missing, idle, busy)
    if not chosen.only:
        page += _DECISIONS.format(table=decide.table(), more=decide.more())
        page += _PROOFS.format(table=prove.table())
        try:
            page += _HTTP.format(table=http.table())
        except Missing as reason:
            page += f"\n- HTTP is not measured: {reason}\n"
    print(page)
    if not chosen.only and not failed:
        RESULTS.write_text(page)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
