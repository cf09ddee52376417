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
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from bench.inside import inside
from bench.mails import AUTHOR, Prepared
from bench.peers.ours import CONFIG
from bench.rules import USERS
from bench.source import send

SIZE: Final = 57 * 1024
MESSAGES: Final = 3_000
_EVERY: Final = 0.001  # seconds of CPU
#: The files of each stage; a function stands behind its file. The innermost in the stack counts.
_FILES: Final = {
    "words: cut, folded, looked up": "words.py cut.py phrases.py passages.py",
    "HTML: structured facts, text": "html.py structured.py",
    "prices, discounts, dates": "prices.py amounts.py validity.py",
    "header and parts, decoded": "mime.py mail.py header.py encoded.py charset.py",
    "kind, from what was found": "kinds.py prose.py facts.py",
    "digest that makes it one message": "claim.py",
    "proof (asserted by the peer)": "prover.py",
    "store: statements": "operations.py",
    "store: look-ups": "queries.py",
    "store: batches": "writer.py store.py",
    "log and counters": "logs.py receive.py:_account",
    "judging: wishes, filters, what is told": "judge.py decide.py disclosure.py",
    "records and commits made": "settle.py ledger.py coding.py receive.py",
    "SMTP: content off the wire": "content.py",
    "SMTP: commands and replies": "session.py dialog.py connection.py handover.py",
}
_STAGES: Final = {file: stage for stage, files in _FILES.items() for file in files.split()}
_REST: Final = "event loop, all else"


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
        while frame is not None:
            code = frame.f_code
            file = code.co_filename
            if "/letterbox/" in file:
                name = file.rpartition("/")[2]
                stage = _STAGES.get(f"{name}:{code.co_name}") or _STAGES.get(name)
                if stage:
                    self.found[stage] += 1
                    return
            frame = frame.f_back
        self.found[_REST] += 1


async def _measured(place: Path) -> tuple[Counter[str], float, float]:
    """What was found, and microseconds of CPU a message: of the main thread, and of the others."""
    async with inside(place, CONFIG.format(place=place)) as port:
        await _loaded(port, MESSAGES // 10, 1)
        sampler = _Sampler()
        main, whole = _cpu(resource.RUSAGE_THREAD), _cpu(resource.RUSAGE_SELF)
        sampler.on()
        await _loaded(port, MESSAGES, 2)
        sampler.off()
        main = _cpu(resource.RUSAGE_THREAD) - main
        whole = _cpu(resource.RUSAGE_SELF) - whole
    return sampler.found, main / MESSAGES * 1e6, (whole - main) / MESSAGES * 1e6


def _cpu(of: int) -> float:
    used = resource.getrusage(of)
    return used.ru_utime + used.ru_stime


async def _loaded(port: int, messages: int, turn: int) -> None:
    """Send from a process of its own."""
    command = (sys.executable, "-m", "bench.shares", str(port), str(messages), str(turn))
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait():
        raise RuntimeError("the load could not be sent")


def table() -> str:
    """The stages of one multipart message, dearest first."""
    import uvloop

    with TemporaryDirectory(prefix="letterbox-bench-") as place:
        found, main, others = uvloop.run(_measured(Path(place)))
    samples = sum(found.values())
    rows: list[tuple[str, float]] = [
        (stage, main * count / samples) for stage, count in found.most_common()
    ]
    rows.append(("threads: COMMIT, fsync, the log written back", others))
    whole = main + others
    lines = ["| one message of 57 KB | us of CPU | share |", "| --- | ---: | ---: |"]
    lines += [f"| {stage} | {us:,.0f} | {us / whole:.0%} |" for stage, us in rows]
    lines.append(f"| all | {whole:,.0f} | 100% |")
    return "\n".join(lines)


def _main(arguments: list[str]) -> Any:
    if not arguments:
        return sys.stdout.write(f"{table()}\n")
    port, messages, turn = map(int, arguments)
    recipients = [f"{user}@letterbox.example" for user in USERS]
    mails = Prepared.anew(messages, SIZE, first=turn * 1_000_000)
    return send(port, AUTHOR, recipients, mails, sessions=10)


if __name__ == "__main__":
    _main(sys.argv[1:])
