"""Until when a text says that something is to be had, where it says so unmistakably."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

_MAX_MARKS: Final = 100  # places of each word like "until" that are looked at
_REACH: Final = 100  # characters from such a word to the end of its date
_BEFORE: Final = 60  # characters before it whose words count

_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            "january januari jan", "february februari feb", "march maart mar mrt",
            "april apr", "may mei", "june juni jun", "july juli jul", "august augustus aug",
            "september sept sep", "october oktober oct okt", "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_DAYS: Final = (
    r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|satur|sat|sun)(?:day)?"
    r"|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag|ma|di|wo|do|vr|za|zo)\.?,?\s{1,2}"
)
_MONTH: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE: Final = re.compile(
    rf"""(?:{_DAYS})?(?:the\s)?(?:
      (?P<iso>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})
    | (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th|e)?\s(?:of\s)?(?P<month>{_MONTH})\b\.?
      (?:,?\s(?P<year>20[0-9]{{2}})\b)?
    | (?P<us_month>{_MONTH})\.?\s(?P<us_day>[0-9]{{1,2}})(?:st|nd|rd|th)?\b
      (?:,?\s(?P<us_year>20[0-9]{{2}})\b)?
    | (?P<first>[0-9]{{1,2}})[-/.](?P<second>[0-9]{{1,2}})
      (?:[-/.](?P<numbers_year>20[0-9]{{2}}|[0-9]{{2}}))?(?![0-9/-])
    )""",
    re.VERBOSE,
)
# What a date must follow to be an end.
_END: Final = re.compile(
    r"""(?:
      t/m | t\.e\.m\. | (?:geldig\s|nog\s|loopt\s|alleen\s|duurt\s)?tot\sen\smet
    | (?:geldig|nog|loopt|alleen|duurt)\stot | uiterlijk | until | till | (?:valid\s)?thr(?:u|ough)
    | valid\sto | expires? | ends? | ending | eindigt | verloopt | loopt\saf | no\slater\sthan
    )\s(?:and\sincluding\s|op\s|on\s|midnight\son\s|midnight\s)?""",
    re.VERBOSE,
)
#: How each of these begins: what is searched for in the whole of a text.
_BEGIN: Final = (
    "t/m", "t.e.m.", "tot en met", "geldig tot", "nog tot", "loopt tot", "alleen tot",
    "duurt tot", "uiterlijk", "until", "till", "through", "thru", "valid to", "expire", "ends",
    "ending", "eindigt", "verloopt", "loopt af", "no later than",
)  # fmt: skip
_SPACE: Final = re.compile(r"\s+")
# What ends is the time to do something else: to send a thing back, to be open, to be away.
_ELSE: Final = re.compile(
    r"\b(?:retour\w*|return\w*|ruilen|open|geopend|opening\w*|closed|gesloten|vakantie|holiday|"
    r"bezorg\w*|deliver\w*|lever\w*|garantie|warranty|guarantee|abonnement|subscription|contract|"
    r"password|wachtwoord|solliciteren|apply|registration|inschrij\w*|aanmeld\w*|register|rsvp)\b"
)
_SENT: Final = re.compile(r"\b([0-9]{1,2})\s{1,3}([A-Za-z]{3})[a-z]*\s{1,3}([0-9]{4})\b")


def sent_on(value: str) -> date | None:
    """The day a Date field names, as its sender counts it (RFC 5322, section 3.3)."""
    found = _SENT.search(value[:200])
    month = _MONTHS.get(found[2].lower()) if found else None
    return _day(int(found[3]), month, int(found[1])) if found and month else None


def valid_until(text: str, sent: date | None, *, day_first: bool) -> date | None:
    """The one last day a text names; None for none, and for several.

    A date without a year is the nearest one not before ``sent``, the day of the mail; one that
    is in the past already is no end. ``day_first``: how 3/4 is read where it could be either.
    """
    days = set(_ends(text.lower(), sent, day_first=day_first))
    return days.pop() if len(days) == 1 else None


def _ends(lower: str, sent: date | None, *, day_first: bool) -> Iterator[date]:
    for begin in _BEGIN:
        at = lower.find(begin)
        for _ in range(_MAX_MARKS):
            if at < 0:
                break
            day = _end_at(lower, at, sent, day_first=day_first)
            if day and (sent is None or sent <= day):
                yield day
            at = lower.find(begin, at + len(begin))


def _end_at(lower: str, at: int, sent: date | None, *, day_first: bool) -> date | None:
    """The day that something ends on whose end is told of at a place; None where it is none."""
    if lower[at - 1 : at].isalnum():
        return None
    after = _SPACE.sub(" ", lower[at : at + _REACH])
    end = _END.match(after)
    found = _DATE.match(after, end.end()) if end else None
    if found is None or _ELSE.search(lower, max(0, at - _BEFORE), at):
        return None
    return _date_of(found, sent, day_first=day_first)


def _date_of(found: re.Match[str], sent: date | None, *, day_first: bool) -> date | None:
    if found["iso"]:
        try:
            return date.fromisoformat(found["iso"])
        except ValueError:
            return None
    if found["day"]:
        return _nearest(found["year"], _MONTHS[found["month"]], int(found["day"]), sent)
    if found["us_day"]:
        return _nearest(found["us_year"], _MONTHS[found["us_month"]], int(found["us_day"]), sent)
    first, second, year = int(found["first"]), int(found["second"]), found["numbers_year"]
    if first <= 12 and second <= 12 and first != second and not day_first:  # noqa: PLR2004 - months
        return None  # English is read either way
    day, month = (first, second) if second <= 12 else (second, first)  # noqa: PLR2004
    return _nearest(f"20{year}" if year and len(year) < len("2000") else year, month, day, sent)


def _nearest(year: str | None, month: int, day: int, sent: date | None) -> date | None:
    if year:
        return _day(int(year), month, day)
    if sent is None:
        return None
    this = _day(sent.year, month, day)
    return this if this and sent <= this else _day(sent.year + 1, month, day)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
