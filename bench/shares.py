"""Where the time of one message goes: letterbox under load, its stack looked at again and again.

The signal of a timer that counts CPU interrupts the server's main thread every millisecond of it;
what stands in the stack then is counted for the stage it belongs to. The disk's own
thread is measured by the system.
"""

import asyncio
import resource
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final

import filters
import letterbox
from bench.inside import inside
from bench.mails import AUTHOR, Prepared
from bench.peers.ours import CONFIG
from bench.rules import USERS
from bench.source import send

MESSAGES: Final = 3_000
_EVERY: Final = 0.001  # seconds of CPU
#: What is sent: octets of a message, and whether it is plain text.
SENT: Final = {"57 KB, multipart": (57 * 1024, False), "10 KB, plain": (10 * 1024, True)}
#: The files of each stage, below letterbox/. A function stands behind its file and goes before it,
#: as that goes before its folder. The innermost in the stack counts; of what is not named here,
#: such as the model and the clocks, the caller does.
_PLACES: Final = {
    "words: cut, folded, looked up": (
        "reading/words.py reading/cut.py reading/phrases.py reading/passages.py"
    ),
    "HTML: structured facts, text": "reading/html.py reading/structured.py",
    "prices, discounts, dates": "reading/prices.py reading/amounts.py reading/validity.py",
    "header and parts, decoded": "reading/",
    "kind, from what was found": "reading/kinds.py reading/prose.py reading/facts.py",
    "digest that makes it one message": "reading/claim.py",
    "proof (asserted by the peer)": "identity/",
    "store: statements": "adapters/sqlite/operations.py",
    "store: look-ups": "adapters/sqlite/queries.py adapters/sqlite/counts.py",
    "store: batches": "adapters/sqlite/ adapters/bell.py",
    "log and counters": "logs.py metrics.py intake/receive.py:_account",
    "judging: wishes, filters, what is told": "judge.py decide.py filters/ wishes/ feedback/",
    "records and commits made": "intake/ records/",
    "SMTP: content off the wire": "gateways/smtp/content.py",
    "SMTP: commands and replies": "gateways/smtp/",
}
_STAGES: Final = {place: stage for stage, places in _PLACES.items() for place in places.split()}
_OURS: Final = tuple(f"{Path(each.__file__).parent}/" for each in (letterbox, filters))
_UNNAMED: Final = "letterbox, in none of these"
_REST: Final = "event loop, all else"


@cache
def _stage(file: str, function: str) -> str | None:
    """The stage of a function; empty where it is ours and has none, None where it is not ours."""
    if not file.startswith(_OURS):
        return None
    package = Path(letterbox.__file__).parent
    place = Path(file).relative_to(package if file.startswith(_OURS[0]) else package.parent)
    names = [f"{place}:{function}", str(place), *(f"{each}/" for each in place.parents)]
    return next((_STAGES[name] for name in names if name in _STAGES), "")


class _Sampler:
    """Counts stages while it is on."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def on(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    def off(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        found = _REST
        while frame is not None:
            stage = _stage(frame.f_code.co_filename, frame.f_code.co_name)
            if stage:
                found = stage
                break
            if stage is not None:
                found = _UNNAMED
            frame = frame.f_back
        self.found[found] += 1


async def _measured(place: Path, sent: str) -> tuple[Counter[str], float, float]:
    """What was found, and microseconds of CPU a message: of the main thread, and of the others."""
    async with inside(place, CONFIG.format(place=place)) as port:
        await _loaded(port, sent, MESSAGES // 10, 1)
        sampler = _Sampler()
        main, whole = _cpu(resource.RUSAGE_THREAD), _cpu(resource.RUSAGE_SELF)
        sampler.on()
        await _loaded(port, sent, MESSAGES, 2)
        sampler.off()
        main = _cpu(resource.RUSAGE_THREAD) - main
        whole = _cpu(resource.RUSAGE_SELF) - whole
    return sampler.found, main / MESSAGES * 1e6, (whole - main) / MESSAGES * 1e6


def _cpu(of: int) -> float:
    used = resource.getrusage(of)
    return used.ru_utime + used.ru_stime


async def _loaded(port: int, sent: str, messages: int, turn: int) -> None:
    """Send from a process of its own."""
    command = (sys.executable, "-m", "bench.shares", str(port), sent, str(messages), str(turn))
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError("the load could not be sent")


def table() -> str:
    """The stages of one message of each sort, dearest first."""
    return "\n\n".join(map(_table, SENT))


def _table(sent: str) -> str:
    import uvloop

    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        found, main, others = uvloop.run(_measured(Path(place), sent))
    samples = sum(found.values())
    rows: list[tuple[str, float]] = [
        (stage, main * count / samples) for stage, count in found.most_common()
    ]
    rows.append(("threads: COMMIT, fsync, the log written back", others))
    whole = main + others
    lines = [f"| one message, {sent} | us of CPU | share |", "| --- | ---: | ---: |"]
    lines += [f"| {stage} | {us:,.0f} | {us / whole:.0%} |" for stage, us in rows]
    lines.append(f"| all | {whole:,.0f} | 100% |")
    return "\n".join(lines)


def _send(port: str, sent: str, messages: str, turn: str) -> None:
    recipients = [f"{user}@letterbox.example" for user in USERS]
    size, plain = SENT[sent]
    mails = Prepared.anew(int(messages), size, first=int(turn) * 1_000_000, plain=plain)
    send(int(port), AUTHOR, recipients, mails, sessions=10)


if __name__ == "__main__":
    if sys.argv[1:]:
        _send(*sys.argv[1:])
    else:
        sys.stdout.write(f"{table()}\n")
