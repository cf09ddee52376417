"""A mailbox read from where it was left to its end, and counted as it goes."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple

from letterbox.administration import Failed
from letterbox.administration.taking import plain
from letterbox.collecting.origins import Letter, Origin
from letterbox.model.proposal import Sighting
from letterbox.records.imports import Batch
from letterbox.shipment import reader_of_old_mail
from letterbox.starting.readers import read_all, readers

#: So many mails are counted at once.
BATCH: Final = 250
#: Processes that read.
_MOST_READERS: Final = 4

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
#: Told how far it is: how much is done, of how much, and how many mails were read.
Report = Callable[[int, int, int], None]


def collect(origin: Origin, consumer: str, *, ask: Ask, report: Report) -> dict[str, Any]:
    """Read on; how far it is then. ``ask`` does commands of the administration.

    Raises :class:`letterbox.administration.Failed`, OSError.
    """
    which = {"consumer": consumer, "source": origin.name}
    source = ask("import begin", which | {"sort": origin.sort, "total": origin.total})
    begun = source["read"] + source["unread"]
    report(source["done"], origin.total, begun)
    with closing(_read(origin.letters(source["position"]))) as parts:
        for part in parts:
            source = _count(origin, which, source, part, ask)
            report(source["done"], origin.total, source["read"] + source["unread"])
    if not source["ended"]:
        source = _count(origin, which, source, None, ask)
        report(source["done"], origin.total, source["read"] + source["unread"])
    return source | {"new": source["read"] + source["unread"] - begun}


class _Part(NamedTuple):
    """Some mails that were read, and where the last of them ends."""

    seen: list[Sighting | None]
    position: str
    done: int


def _count(
    origin: Origin, which: dict[str, str], source: dict[str, Any], part: _Part | None, ask: Ask
) -> dict[str, Any]:
    """Have a part counted; None: there are no more."""
    seen = part.seen if part else []
    batch = Batch(
        after=source["position"],
        position=part.position if part else source["position"],
        done=min(part.done if part else source["done"], origin.total),
        total=origin.total,
        sightings=tuple(each for each in seen if each is not None),
        unread=sum(each is None for each in seen),
        last=part is None,
    )
    return ask("import take", which | {"batch": plain(batch)})


def _read(letters: Iterator[Letter]) -> Generator[_Part]:
    """Read mails, some at once beside each other, and give them out in their order."""
    count = min(os.cpu_count() or 1, _MOST_READERS)
    pool = readers(reader_of_old_mail, count)
    now = datetime.now(UTC)
    waiting: deque[tuple[Future[list[Sighting | None]], Letter]] = deque()
    try:
        while some := list(islice(letters, BATCH)):
            raw = [letter.raw for letter in some]
            waiting.append((pool.submit(read_all, raw, now), some[-1]))
            if len(waiting) > count:
                yield _part(*waiting.popleft())
        while waiting:
            yield _part(*waiting.popleft())
    except BrokenProcessPool:
        raise Failed("a process that reads was killed; the same command goes on") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _part(seen: "Future[list[Sighting | None]]", last: Letter) -> _Part:
    return _Part(seen.result(), last.position, last.done)
