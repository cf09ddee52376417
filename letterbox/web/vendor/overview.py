"""``/vendor``: what became of a vendor's mail, and what to mend first."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from aiohttp import web
from babel.dates import format_date

from letterbox.model.told import Event, ToldVerdict
from letterbox.records.tallies import TallyCount
from letterbox.web.failures import missing
from letterbox.web.texts import N_
from letterbox.web.vendor import chart
from letterbox.web.vendor.told import reference, spoken, title
from letterbox.web.visit import Page, Visit

#: Days that may be looked at: as many as ``GET /v1/stats`` gives at most.
PERIODS: Final = (7, 30, 92)
_USUAL: Final = 30
_CAUSES: Final = 3
_REMEDIES: Final = 2
#: So many of the newest events are looked at for what helps.
_LOOKED_AT: Final = 500
#: What was answered, as it is called in the chart and its table.
NAMES: Final[dict[ToldVerdict, str]] = {
    "deliver": N_("delivered"),
    "hold": N_("held"),
    "refuse": N_("refused"),
    "accepted": N_("not told"),
}


class Remedy(NamedTuple):
    """What one recipient said would help."""

    text: str
    language: str


class Cause(NamedTuple):
    """Why messages were refused, how many, and what helps."""

    code: str
    title: str
    messages: int
    final: bool
    remedies: tuple[Remedy, ...]


async def show(visit: Visit) -> web.Response:
    """The overview."""
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None:
        raise missing()
    days = days_of(visit)
    last = visit.now.date()
    first = last - timedelta(days=days - 1)
    counts = await visit.parts.tallies.of(visit.vendor, first, last, visit.now)
    rows = chart.bars(counts, first, last)
    sums = {each: sum(row.counts[each] for row in rows) for each in chart.SERIES}
    later: Counter[ToldVerdict] = Counter()
    for each in counts:
        if each.of == "held":
            later[each.verdict] += each.count
    return await visit.page(
        "vendor/overview.html",
        vendor=vendor,
        days=days,
        periods=PERIODS,
        sums=sums,
        total=sum(sums.values()),
        later=later,
        names=NAMES,
        chart=chart.draw(rows),
        series=chart.SERIES,
        size=(chart.WIDTH, chart.HEIGHT),
        day=lambda day: format_date(day, "d MMM", locale=visit.language),
        causes=await _causes(visit, counts, first),
        proven=bool(vendor.own_domains),
    )


def days_of(visit: Visit) -> int:
    """How many days are asked for."""
    asked = visit.asked("days")
    return next((days for days in PERIODS if str(days) == asked), _USUAL)


async def _causes(visit: Visit, counts: Sequence[TallyCount], first: date) -> list[Cause]:
    """The most frequent reasons of refusals."""
    refused: Counter[str] = Counter()
    for each in counts:
        if each.verdict == "refuse" and each.reason:
            refused[each.reason] += each.count
    top = refused.most_common(_CAUSES)
    if not top:
        return []
    events = await _newest(visit)
    causes = []
    for code, count in top:
        told = [
            each
            for each in events
            if each.reason and each.reason.code == code and each.at.date() >= first
        ]
        registered = visit.parts.registry.get(code)
        final = registered.final if registered else False
        remedies = await _remedies(visit, told)
        causes.append(Cause(code, title(visit, code), count, final, remedies))
    return causes


async def _newest(visit: Visit) -> list[Event]:
    end = await visit.parts.feed.end(visit.vendor)
    found, _ = await visit.parts.feed.back(visit.vendor, before=end + 1, limit=_LOOKED_AT)
    return [event for _, event in found]


async def _remedies(visit: Visit, told: Sequence[Event]) -> tuple[Remedy, ...]:
    """What recipients said of late, each once, the newest first."""
    newest: dict[tuple[str, ...], Event] = {}
    for event in told:
        if event.reason and event.reason.remedies:
            newest.setdefault(event.reason.remedies, event)
    found = []
    for event in list(newest.values())[:_REMEDIES]:
        said, language = await spoken(visit, event, await reference(visit, event))
        found.append(Remedy("; ".join(said.remedies), language))
    return tuple(found)


PAGES = (Page("GET", "/vendor", "vendor", show),)
