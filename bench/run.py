"""Measure letterbox and its peers side by side; print a table and write RESULTS.md."""

import argparse
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from os import cpu_count, getloadavg
from pathlib import Path
from signal import SIGTERM, signal
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench import chart, decide, feed, http, proof, prove, shares, strangers
from bench.load import Load, Run, run, waits
from bench.peers import Missing, Peer
from bench.peers.classic import CLASSIC
from bench.peers.dovecot import DOVECOT
from bench.peers.ours import OURS, SEVERAL, Footprint, footprint
from bench.peers.sink import SINK
from bench.peers.stock import STOCK

KIB = 1024


class Situation(msgspec.Struct, frozen=True):
    """One kind of load, and who is measured under it. ``share``: of a peer's pace at 10 KB."""

    name: str
    load: Load
    peers: tuple[Peer, ...]
    share: float = 1.0
    runs: int | None = None


_ALL = (SINK, STOCK, DOVECOT, CLASSIC, OURS, SEVERAL)
_FEW = (SINK, DOVECOT, CLASSIC, OURS, SEVERAL)
SITUATIONS = (
    Situation("plain, 10 KB", Load(0, 10 * KIB), _ALL),
    Situation("plain, 60 KB", Load(0, 60 * KIB), _ALL, share=1 / 3),
    Situation("multipart, 13 KB", Load(0, 13 * KIB, plain=False), _ALL, share=1 / 2),
    Situation("multipart, 57 KB", Load(0, 57 * KIB, plain=False), _ALL, share=1 / 4),
    Situation("1 session kept", Load(0, 10 * KIB, sessions=1), _FEW, share=1 / 3, runs=3),
    Situation("50 sessions kept", Load(0, 10 * KIB, sessions=50), _FEW, runs=3),
    Situation("a new one each", Load(0, 10 * KIB, kept=False), _FEW, share=1 / 2, runs=3),
)
#: What the table of sessions is beside: the same load over ten kept ones.
_TEN = SITUATIONS[0]
#: At half of the rate of this situation it is seen how long a reply takes.
_WAITING = SITUATIONS[2]
_WAITED = (DOVECOT, CLASSIC, OURS, SEVERAL)
_WAITING_SECONDS = 10.0
RESULTS = Path(__file__).with_name("RESULTS.md")
CHART = RESULTS.with_suffix(".svg")
SECONDS = 3.0  # one run, about, at a peer's own pace

_PAGE = """\
# What was measured
On {day}, {machine}, in one go. The load average before was {others:.1f}.

![Messages a second]({chart})

A message counts when it is safe: in the consumer's inbox for letterbox; in the maildir for the
others, with Postfix's queue empty. All apply the same keyword rules to subject and text, and all
believe the relay about the sender. The mail declares nothing, so that letterbox also reads which
kind it is and what it asks. `smtp-sink` and stock aiosmtpd throw everything away.

Plain messages come from Postfix's `smtp-source`; multipart ones (text and HTML alternatives in
quoted-printable, every message another) from the bench, which pipelines its commands. Ten
connections are kept, and two recipients share the messages. One run lasts about {seconds:.1f} s
at a peer's own pace.

{table}

## Sessions
Plain messages of 10 KB over one connection, over fifty, and over a new one for each message, ten at
a time.

{sessions}

Processor time of all processes of letterbox:

{cpu}

## From the final dot to the reply
Multipart messages of 13 KB over ten kept sessions, at half of the rate above.

{waiting}

"""

_DECISIONS = """
# One decision
Microseconds at the median, for a consumer with 200 relationships and 20 windows, in one process.

{table}

{more}
"""

_SHARES = """
# Where the time of one message goes
Both loads over 10 sessions kept; the server's stack is looked at each millisecond of CPU.

{table}
"""

_STRANGERS = """
# What a stranger can measure
One unproven message after another, to an address that somebody has and to one that nobody has,
in pairs whose order is drawn; from the final dot to the refusal.

{table}
"""

_PROOFS = """
# One proof of who sent it
Microseconds of CPU at the median, DNS answers and keys cached. dkimpy, in the same process,
verifies one signature and no more; ours reads From, evaluates SPF and decides as well.

{table}
"""

_PROVEN = """
# Every author proven
Multipart messages of 13 KB, each with a signature of its own (RSA-2048, relaxed/relaxed) that alone
proves the author: the return path is a platform's. Both refuse what they cannot prove; both ask a
resolver on loopback, and OpenDMARC passes SPF for loopback without asking.

{table}
"""

_HTTP = """
# Over HTTP
wrk posts one offer of 2 KB again and again over 10 connections; each is a new message, decided and
on disk before its answer. A batch is one call of a blocking client, which writes all lines before
it reads; its lines are counted once all are answered.

{table}
"""

_FEED = """
# Following the feed
One reader gets a feed of 50,000 refusals, each with its reason, from a store that holds them
already; or 20,000 that lie in the outbox and are carried while it reads. Of those who wait there
are {readers}, each on a connection of its own, all at one vendor's feed: from the answer to a
message that is refused until each has read its event, {rounds} times.

{table}
"""

_IDLE = """
letterbox idle: {memory:.0f} MiB resident; ready {start:.2f} s after the command, where starting
Python and importing alone take {imports:.2f} s.
"""


class Measured(msgspec.Struct, frozen=True):
    """One peer's runs, by situation."""

    peer: Peer
    versions: str
    runs: Mapping[str, Sequence[Run]]
    #: Milliseconds from the final dot to the reply at half of the top rate, least first.
    waited: Sequence[float] = ()

    def rates(self, situation: Situation) -> list[float]:
        """Messages a second, every run."""
        return [each.rate for each in self.runs[situation.name]]


def measure(peer: Peer, seconds: float) -> Measured:
    """Start a peer in a place of its own, warm it up, and load it again and again."""
    runs: dict[str, list[Run]] = {}
    with TemporaryDirectory(prefix="letterbox-bench-") as place, peer.start(Path(place)) as running:
        shares = len(running.recipients)
        for situation in SITUATIONS:
            if peer not in situation.peers:
                continue
            unit = max(shares, situation.load.sessions)
            messages = max(1, int(peer.pace * situation.share * seconds / unit)) * unit
            load = msgspec.structs.replace(situation.load, messages=messages)
            run(
                running,
                msgspec.structs.replace(load, messages=max(1, messages // 10 // unit) * unit),
            )
            found = [run(running, load) for _ in range(situation.runs or peer.runs)]
            runs[situation.name] = found
            print(f"  {peer.name}, {situation.name}: {_spread(found)}", file=sys.stderr)
        waited: Sequence[float] = ()
        if peer in _WAITED:
            top = median(each.rate for each in runs[_WAITING.name])
            waited = waits(running, _WAITING.load.size, top / 2, _WAITING_SECONDS)
    return Measured(peer=peer, versions=peer.versions(), runs=runs, waited=waited)


def _spread(runs: Sequence[Run]) -> str:
    rates = [each.rate for each in runs]
    return f"{median(rates):,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})"


def table(measured: Sequence[Measured], situations: Sequence[Situation]) -> str:
    """Rates, and what they are relative to the limit and to what most sites have."""
    bases = (SINK, DOVECOT, CLASSIC)
    head = ["", "messages a second", "median", "from", "to"]
    head += [f"of {each.name}" for each in bases]
    rows = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for situation in situations:
        beside = [_middle(measured, base, situation) for base in bases]
        for one in measured:
            if situation.name not in one.runs:
                continue
            rates = one.rates(situation)
            middle = median(rates)
            numbers = [f"{each:,.0f}" for each in (middle, min(rates), max(rates))]
            ratios = [f"{middle / base:.2f}" if base else "" for base in beside]
            rows.append([situation.name, one.peer.name, *numbers, *ratios])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _middle(measured: Sequence[Measured], peer: Peer, situation: Situation) -> float | None:
    for one in measured:
        if one.peer is peer and situation.name in one.runs:
            return median(one.rates(situation))
    return None


def _cpu(measured: Sequence[Measured]) -> str:
    """What our processes used, in every situation."""
    ours = [one for one in measured if one.peer in {OURS, SEVERAL}]
    rows = [
        "| CPU a message, ms | " + " | ".join(one.peer.name for one in ours) + " |",
        "| --- | " + " | ".join("---:" for _ in ours) + " |",
    ]
    for situation in SITUATIONS:
        used = [
            f"{median([each.cpu or 0.0 for each in one.runs.get(situation.name, ())] or [0.0]):.2f}"
            for one in ours
        ]
        rows.append(f"| {situation.name} | " + " | ".join(used) + " |")
    return "\n".join(rows)


def waiting(measured: Sequence[Measured]) -> str:
    """How long replies took, where few of ten sessions were busy."""
    rows = ["| ms | median | 99 % | 99.9 % | longest |", "| --- | ---: | ---: | ---: | ---: |"]
    for one in measured:
        if one.waited:
            found = [
                one.waited[int(share * (len(one.waited) - 1))] for share in (0.5, 0.99, 0.999, 1)
            ]
            rows.append(f"| {one.peer.name} | " + " | ".join(f"{ms:.1f}" for ms in found) + " |")
    return "\n".join(rows)


def drawn(measured: Sequence[Measured]) -> str:
    """The chart of the ten kept sessions."""
    groups = [
        (
            situation.name,
            [
                (one.peer.name, median(one.rates(situation)))
                for one in measured
                if situation.name in one.runs
            ],
        )
        for situation in SITUATIONS[:4]
    ]
    return chart.bars("Messages a second, ten kept sessions", groups)


def report(
    measured: Sequence[Measured],
    missing: Sequence[str],
    idle: Footprint | None,
    busy: float,
    seconds: float,
) -> str:
    """The page that is written beside this file."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}, {cpu_count()} cores"
    page = _PAGE.format(
        day=datetime.now(UTC).date(),
        machine=f"{system}, Python {platform.python_version()}",
        others=busy,
        seconds=seconds,
        chart=CHART.name,
        table=table(measured, SITUATIONS[:4]),
        sessions=table(measured, (*SITUATIONS[4:5], _TEN, *SITUATIONS[5:])),
        cpu=_cpu(measured),
        waiting=waiting(measured),
    )
    for one in measured:
        page += f"- {one.peer.name}: {one.versions}, {one.peer.runs} runs of each\n"
    page += "".join(f"- not measured: {reason}\n" for reason in missing)
    if idle:
        page += _IDLE.format(memory=idle.memory, start=idle.start, imports=idle.imports)
    return page


def _if_there(section: str, table: Callable[[], str]) -> str:
    """A section of the page, or why it could not be measured."""
    try:
        return section.format(table=table())
    except Missing as reason:
        return section.format(table=f"Not measured: {reason}")


def _footprint() -> Footprint:
    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        return footprint(Path(place))


def main() -> int:
    """Run it all; 1 where something that is here could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [peer.name.split()[0].strip(",").lower() for peer in _ALL]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[*names, "feed"],
        help="these alone; writes no file",
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of one run")
    chosen = parser.parse_args()
    # Whoever ends the bench wants what it has started to end too.
    signal(SIGTERM, lambda *_: sys.exit(1))
    measured: list[Measured] = []
    missing: list[str] = []
    idle: Footprint | None = None
    failed = False
    busy = getloadavg()[0]
    for name, peer in zip(names, _ALL, strict=True):
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
    page = ""
    if chosen.only != ["feed"]:
        page = report(measured, missing, idle, busy, chosen.seconds)
    if not chosen.only:
        page += _DECISIONS.format(table=decide.table(), more=decide.more())
        page += _SHARES.format(table=shares.table())
        page += _PROOFS.format(table=prove.table())
        page += _if_there(_PROVEN, proof.table)
        page += _STRANGERS.format(table=strangers.table())
        page += _if_there(_HTTP, http.table)
    if not chosen.only or "feed" in chosen.only:
        page += _FEED.format(readers=feed.READERS, rounds=feed.ROUNDS, table=feed.table())
    print(page)
    if not chosen.only and not failed:
        RESULTS.write_text(page)
        CHART.write_text(drawn(measured))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
