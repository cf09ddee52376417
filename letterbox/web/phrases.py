"""Interests and times as people say them."""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

from babel.dates import get_day_names
from babel.numbers import format_currency

from letterbox.model.kind import Kind
from letterbox.model.money import Money
from letterbox.model.preferences import Day, DayException, Interest, Pause, Window
from letterbox.web.kinds import KINDS
from letterbox.web.texts import N_
from letterbox.web.visit import Visit

#: Between a beginning and an end.
DASH: Final = "\u2013"
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: What windows do with mail that comes outside them, by their own word for it.
OUTSIDE = {
    "hold": N_("what comes at another time waits for the next one"),
    "refuse": N_("what comes at another time is refused"),
}


def day(visit: Visit, on: date) -> str:
    """A day, as short as it is clear."""
    return visit.texts.day(on, visit.local(visit.now).date())


def money(visit: Visit, price: Money) -> str:
    """An amount as it is written in the visitor's language."""
    return format_currency(price.amount, price.currency, locale=visit.language)


def weekday(visit: Visit, name: Day, width: Literal["wide", "abbreviated"] = "wide") -> str:
    """The name of a day of the week, ``wide`` or ``abbreviated``."""
    return str(get_day_names(width, locale=visit.language)[DAYS.index(name)])


# ---- interests ----


def wish(visit: Visit, interest: Interest) -> str:
    """What an interest asks for, in one sentence without its end."""
    return "; ".join(_wish(visit, interest))


def _wish(visit: Visit, interest: Interest) -> list[str]:
    say, words = visit.say, interest.keywords
    nodes = visit.parts.taxonomy.nodes
    names = [
        nodes[each].name(visit.language) if each in nodes else each for each in interest.categories
    ]
    said = [", ".join(names) if names else say("about anything")]
    for values, text in (
        (words.any, N_("with one of the words %(values)s")),
        (words.all, N_("with all of the words %(values)s")),
        (words.none, N_("without the words %(values)s")),
        (interest.brands, N_("of the brand %(values)s")),
        (interest.regions, N_("in %(values)s")),
        (interest.vendors, N_("only from %(values)s")),
    ):
        if values:
            said.append(say(text, values=", ".join(values)))
    if interest.max_price is not None:
        said.append(say("at most %(price)s", price=money(visit, interest.max_price)))
    if interest.declared_only:
        said.append(say("only where the company itself says what it is about"))
    if interest.open_to == "anyone":
        said.append(say("from companies you have not allowed, too"))
    return said


def period(visit: Visit, start: date | None, end: date | None) -> str:
    """The days that something holds."""
    if start and end:
        return visit.say(
            "from %(start)s until %(end)s", start=day(visit, start), end=day(visit, end)
        )
    if start:
        return visit.say("from %(start)s", start=day(visit, start))
    if end:
        return visit.say("until %(end)s", end=day(visit, end))
    return visit.say("always")


# ---- times ----


def kinds(visit: Visit, named: Sequence[Kind]) -> str:
    """The kinds that a time speaks of."""
    if not named:
        return visit.say("everything but service mail")
    return ", ".join(visit.say(KINDS[kind]) for kind in named)


def window(visit: Visit, of: Window) -> str:
    """When what may come, in one sentence without its end."""
    days = ", ".join(weekday(visit, each) for each in of.days) or visit.say("every day")
    said = visit.say(
        "%(days)s from %(start)s to %(end)s", days=days, start=of.from_, end=of.until
    )  # fmt: skip
    if of.until <= of.from_ and of.until != "00:00":
        if len(of.days) == 1:
            after = DAYS[(DAYS.index(of.days[0]) + 1) % len(DAYS)]
            said = visit.say("%(time)s, into %(day)s", time=said, day=weekday(visit, after))
        else:
            said = visit.say("%(time)s, into the next day", time=said)
    said = visit.say("%(kinds)s may come %(time)s", kinds=kinds(visit, of.kinds), time=said)
    return _from(visit, said, of.vendors)


def pause(visit: Visit, of: Pause) -> str:
    """The days on which nothing comes."""
    said = visit.say(
        "%(period)s, nothing of this comes: %(kinds)s",
        period=period(visit, of.from_, of.until),
        kinds=kinds(visit, of.kinds),
    )
    return _from(visit, said, of.vendors)


def exception(visit: Visit, of: DayException) -> str:
    """Other times on one day."""
    facts = {"day": day(visit, of.on), "kinds": kinds(visit, of.kinds)}
    if of.from_ is None:
        said = visit.say("%(day)s, nothing of this comes: %(kinds)s", **facts)
    else:
        said = visit.say(
            "%(day)s: %(kinds)s may come from %(start)s to %(end)s",
            start=of.from_,
            end=of.until,
            **facts,
        )
    return _from(visit, said, of.vendors)


def _from(visit: Visit, said: str, vendors: Sequence[str]) -> str:
    if not vendors:
        return said
    return visit.say("%(what)s; only from %(values)s", what=said, values=", ".join(vendors))
