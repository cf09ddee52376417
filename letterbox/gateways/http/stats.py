"""``GET /v1/stats``: what a vendor was told, in numbers by day."""

import re
from collections import Counter
from datetime import date
from typing import Final

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad
from letterbox.gateways.http.problems import mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.model.told import ToldVerdict
from letterbox.records.tallies import Of, TallyCount
from letterbox.wishes import Mistake

#: Days of one answer at most: a quarter, as long as feedback is kept unless told.
MOST_DAYS: Final = 92
_USUAL_DAYS: Final = 30
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class StatsItem(msgspec.Struct, frozen=True):
    """How often something was told on a day (UTC).

    ``of`` is ``answer``, one for each recipient of each message, or ``held``: what became of what
    had been held, on the day it was told. ``reason`` is the code as it was told.
    """

    day: date
    of: Of
    verdict: ToldVerdict
    reason_class: str | None = msgspec.field(name="class")
    reason: str | None
    count: int


class Stats(msgspec.Struct, frozen=True):
    """What was told from one day to another, both inclusive, and its sums by verdict."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    items: tuple[StatsItem, ...]
    answers: dict[ToldVerdict, int]
    held: dict[ToldVerdict, int]


async def get_stats(call: Call) -> web.Response:
    """What the vendor was told, by day, verdict, class and reason."""
    now = call.parts.clock.now()
    last = _day(call, "to") or now.date()
    first = _day(call, "from") or date.fromordinal(max(last.toordinal() - _USUAL_DAYS + 1, 1))
    if last < first:
        raise mistaken(
            Mistake("from", f"to, {last}, is before from, {first}", f"a day up to {last}")
        )
    if (last - first).days >= MOST_DAYS:
        mistake = f"from {first} to {last} are {(last - first).days + 1} days"
        raise mistaken(Mistake("from", mistake, f"1 to {MOST_DAYS} days, both named among them"))
    counts = await call.parts.tallies.of(call.owner, first, last, now)
    sums: dict[Of, Counter[ToldVerdict]] = {"answer": Counter(), "held": Counter()}
    for each in counts:
        sums[each.of][each.verdict] += each.count
    items = tuple(map(_item, counts))
    return answer(Stats(first, last, items, dict(sums["answer"]), dict(sums["held"])))


def _item(count: TallyCount) -> StatsItem:
    return StatsItem(
        day=count.day,
        of=count.of,
        verdict=count.verdict,
        reason_class=count.reason_class,
        reason=count.reason,
        count=count.count,
    )


def _day(call: Call, name: str) -> date | None:
    texts = call.request.query.getall(name, ())
    if len(texts) > 1:
        raise mistaken(Mistake(path=name, mistake="it stands there twice", allowed="it once"))
    if not texts:
        return None
    text = texts[0]
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else _no_day(name, text)
    except ValueError:
        return _no_day(name, text)


def _no_day(name: str, text: str) -> date:
    raise mistaken(bad(name, text, "a day such as 2026-12-24"))


ROUTES = (
    Route(
        "GET",
        "/v1/stats",
        "vendor",
        get_stats,
        "What the vendor was told, in numbers by day",
        gives={JSON: Stats},
        query=("from", "to"),
        problems=(403, 422),
        scope="feedback",
    ),
)
