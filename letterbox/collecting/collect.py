"""A mailbox read from where it was left to its end, and counted as it goes."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from letterbox.administration.taking import plain
from letterbox.collecting.origins import Origin
from letterbox.model.proposal import Sighting
from letterbox.reading.facts import Reader
from letterbox.reading.sightings import sight
from letterbox.records.imports import Batch

#: So many mails are counted at once: what is read again at most, when it is interrupted.
BATCH: Final = 500

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
#: Told how far it is: how much is done, of how much, and how many mails were read.
Report = Callable[[int, int, int], None]


def collect(
    origin: Origin, consumer: str, *, ask: Ask, reader: Reader, report: Report
) -> dict[str, Any]:
    """Read on; how far it is then. ``ask`` does commands of the administration.

    Raises :class:`letterbox.administration.Failed`, OSError.
    """
    which = {"consumer": consumer, "source": origin.name}
    source = ask("import begin", which | {"sort": origin.sort, "total": origin.total})
    begun = source["read"] + source["unread"]
    after, done = source["position"], source["done"]
    sightings: list[Sighting] = []
    now, unread, position = datetime.now(UTC), 0, after

    def count(*, last: bool) -> None:
        nonlocal after, source, unread
        batch = Batch(
            after=after,
            position=position,
            done=min(done, origin.total),
            total=origin.total,
            sightings=tuple(sightings),
            unread=unread,
            last=last,
        )
        source = ask("import take", which | {"batch": plain(batch)})
        after, unread = position, 0
        sightings.clear()
        report(batch.done, origin.total, source["read"] + source["unread"])

    report(done, origin.total, begun)
    for letter in origin.letters(after):
        seen = sight(letter.raw, reader, now)
        if seen is None:
            unread += 1
        else:
            sightings.append(seen)
        position, done = letter.position, letter.done
        if len(sightings) + unread >= BATCH:
            count(last=False)
    count(last=True)
    return source | {"new": source["read"] + source["unread"] - begun}
