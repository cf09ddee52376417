"""Suggestions of rules, by what came and what of it was opened. Pure.

What somebody opened asks to be let in; what they left unread asks to be stopped. Each suggestion
is one change of one piece, as the consumer could write it by hand.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from math import ceil
from typing import Final, NamedTuple, TypeVar

import msgspec

from letterbox.hindsight.cases import PastMessage
from letterbox.hindsight.edits import Edit, Obstacle, edits, free_name, round_up, rule_for
from letterbox.model.case import Case
from letterbox.model.flag import resembled
from letterbox.model.fold import fold
from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.model.preferences import (
    Because,
    Interest,
    Keywords,
    Limit,
    Preferences,
    VendorRule,
    Window,
)
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Decision, Deliver, Fact, Finding, Refuse, reason_of

_WEEK: Final = timedelta(days=7)
#: Messages of a company from which on its silence says something, and its number is a question.
_FEW: Final = 2
_SEVERAL: Final = 3
#: A word of a subject that says something, and how many of them make an interest.
_LONG_WORD: Final = 5
_MOST_WORDS: Final = 5
#: How deep a category is that people would name: electronics/audio.
_DEPTH: Final = 2
_NO_INTEREST: Final = "no-matching-interest"
#: What a change of one rule that is there already answers.
_ONE_RULE: Final = frozenset({
    "kind-not-wanted", "price-above-limit", "brand-not-wanted", "region-not-wanted",
    "keyword-excluded", "interest-not-yet", "interest-over", "too-often", "window-closed",
    "address-of-another",
})  # fmt: skip


class Seen(NamedTuple):
    """One message that came, what the rules of now say of it, and whether it was opened."""

    message: PastMessage
    case: Case
    decision: Decision
    opened: bool

    @property
    def record(self) -> DecisionRecord:
        """The decision about it."""
        return self.message.record

    @property
    def kind(self) -> Kind:
        """As it was decided about."""
        return self.message.kind

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Its offers, as far as they were written down."""
        return (self.record.case and self.record.case.offers) or ()

    @property
    def topic(self) -> str:
        """What it is about, as people would name it; empty where that is not written down."""
        known = self.record.case.categories if self.record.case else None
        return "/".join(known.ids[0].split("/")[:_DEPTH]) if known and known.ids else ""

    @property
    def stopped(self) -> Finding | None:
        """What stands in its way; None where it comes now."""
        if isinstance(self.decision.verdict, Deliver):
            return None
        refusing = (f for f in self.decision.findings if isinstance(f.verdict, Refuse))
        return next(refusing, self.decision.deciding)


class Idea(NamedTuple):
    """A change to suggest, and the decisions about the messages that it is about."""

    edit: Edit
    about: frozenset[str]


def advise(seen: Sequence[Seen], preferences: Preferences) -> Iterator[Idea]:
    """What to suggest. Where two are about one piece, the better one comes first."""
    if not any(each.opened for each in seen):
        # Nobody reads it here: what is wanted cannot be told, and nothing is to be stopped.
        seen = [each._replace(opened=True) for each in seen]
    for vendor in dict.fromkeys(each.record.vendor.id for each in seen):
        yield from _company([e for e in seen if e.record.vendor.id == vendor], preferences)
    yield from _interests(seen, preferences)
    yield from _single(seen, preferences)
    yield from _hours(seen, preferences)


# ---- who, and how much ------------------------------------------------------------------------


def _company(seen: Sequence[Seen], preferences: Preferences) -> Iterator[Idea]:
    related = seen[0].case.relationship
    opened = [each for each in seen if each.opened]
    if related is None:
        if not any(each.stopped for each in seen):
            return
        if not opened and len(seen) >= _FEW:
            yield _locked_out(seen, preferences, None, "never-asked")
        # Who looks like somebody else is let in by whoever has looked, and never by many at once.
        if all(resembled(each.record.flags) is None for each in seen):
            yield _allowed(seen, opened, preferences)
    elif related.rule.standing != "blocked":
        if not opened and len(seen) >= _SEVERAL:
            yield _locked_out(seen, preferences, related.rule, "not-relevant")
        elif opened and related.rule.limit is None:
            yield from _limited(seen, related.rule, preferences)


def _allowed(seen: Sequence[Seen], opened: Sequence[Seen], preferences: Preferences) -> Idea:
    """The kinds that were opened, and service mail: what is bought must arrive."""
    kinds = {Kind.SERVICE, *(each.kind for each in opened or seen)}
    left = [each for each in seen if not each.opened and each.kind in kinds & RULED_KINDS]
    rule = msgspec.structs.replace(
        rule_for(seen[0].case),
        accepts=tuple(kind for kind in Kind if kind in kinds),
        scope="interests" if left else "everything",
    )
    name = "company" if left else "company-all"
    return _idea(
        name, 3, seen, _with(preferences, None, rule), kinds=[str(kind) for kind in rule.accepts]
    )


def _locked_out(
    seen: Sequence[Seen], preferences: Preferences, rule: VendorRule | None, because: Because
) -> Idea:
    out = msgspec.structs.replace(
        rule or rule_for(seen[0].case), standing="blocked", because=because
    )
    return _idea("lock-out", 5, seen, _with(preferences, rule, out), n=len(seen))


def _limited(seen: Sequence[Seen], rule: VendorRule, preferences: Preferences) -> Iterator[Idea]:
    """As many a week as were opened, where the rules let in more than that."""
    ruled = [each for each in seen if each.kind in RULED_KINDS and each.stopped is None]
    opened = [each for each in ruled if each.opened]
    if len(ruled) < _SEVERAL or not opened or len(opened) == len(ruled):
        return
    kinds = tuple(dict.fromkeys(each.kind for each in ruled))
    times = [each.record.at for each in ruled]
    weeks = max((max(times) - min(times)) / _WEEK, 1)
    most = ceil(len(opened) / weeks)
    limit = Limit(messages=most, per="week", kinds=kinds if len(kinds) == 1 else ())
    after = msgspec.structs.replace(rule, limit=limit)
    facts: dict[str, Fact] = {"n": most, "period": "week", "kinds": [str(k) for k in limit.kinds]}
    yield _idea("limit", 2, ruled, _with(preferences, rule, after), **facts)


# ---- what -------------------------------------------------------------------------------------


def _interests(seen: Sequence[Seen], preferences: Preferences) -> Iterator[Idea]:
    """Interests in what was opened and fits none."""
    unmet = [each for each in seen if each.opened and _reason(each) == _NO_INTEREST]
    for topic in dict.fromkeys(each.topic for each in unmet if each.topic):
        yield _of_topic(topic, [each for each in seen if each.topic == topic], preferences)
    wordy = [each for each in unmet if not each.topic]
    for vendor in dict.fromkeys(each.record.vendor.id for each in wordy):
        opened = [each for each in wordy if each.record.vendor.id == vendor]
        others = [each for each in seen if each.record.vendor.id == vendor and not each.opened]
        yield from _of_words(opened, [e for e in others if not e.topic], preferences)


def _of_topic(topic: str, seen: Sequence[Seen], preferences: Preferences) -> Idea:
    """As narrow as tells what was opened from what was not."""
    opened = [offer for each in seen if each.opened for offer in each.offers]
    left = [offer for each in seen if not each.opened for offer in each.offers]
    interest = Interest(
        id=free_name(topic.rpartition("/")[2], preferences),
        categories=(topic,),
        brands=_telling(opened, left, lambda offer: offer.brand),
        max_price=_ceiling(opened, left),
        regions=_telling(opened, left, lambda offer: offer.region),
    )
    return _wanted("wanted", seen, interest, preferences, category=topic)


_Value = TypeVar("_Value", bound=str)


def _telling(
    opened: Iterable[Offer], left: Iterable[Offer], of: Callable[[Offer], _Value | None]
) -> tuple[_Value, ...]:
    """What the opened ones have, where others have something else."""
    wanted = tuple(dict.fromkeys(value for each in opened if (value := of(each))))
    others = {value for each in left if (value := of(each))}
    return wanted if others.difference(wanted) else ()


def _ceiling(opened: Iterable[Offer], left: Iterable[Offer]) -> Money | None:
    """A round price above what was opened, where all that was left is dearer than that."""
    prices = [each.price for each in opened if each.price is not None]
    if not prices:
        return None
    currency = prices[0].currency
    most = round_up(max(each.amount for each in prices if each.currency == currency))
    others = [each.price for each in left if each.price and each.price.currency == currency]
    dearer = any(each.amount > most for each in others)
    return Money(amount=most, currency=currency) if dearer else None


def _of_words(
    opened: Sequence[Seen], left: Sequence[Seen], preferences: Preferences
) -> Iterator[Idea]:
    """The words of the subjects that were opened, without those of the others."""
    wanted, unwanted = _words(opened), _words(left)
    either = Keywords(
        any=tuple(wanted)[:_MOST_WORDS],
        none=tuple(word for word in unwanted if word not in wanted)[:_MOST_WORDS],
    )
    if either.any:
        name = free_name(either.any[0], preferences)
        interest = Interest(id=name, keywords=either)
        about = (*opened, *left)
        yield _wanted("wanted-words", about, interest, preferences, words=list(either.any))


def _words(seen: Iterable[Seen]) -> dict[str, None]:
    words = (word for each in seen for word in fold(each.record.subject).split())
    plain = ("".join(filter(str.isalnum, word)) for word in words)
    return dict.fromkeys(word for word in plain if len(word) >= _LONG_WORD and word.isalpha())


def _wanted(
    name: str, seen: Sequence[Seen], interest: Interest, preferences: Preferences, **facts: Fact
) -> Idea:
    interests = (*preferences.interest, interest)
    return _idea(name, 3, seen, msgspec.structs.replace(preferences, interest=interests), **facts)


# ---- one rule that is there already -----------------------------------------------------------


def _single(seen: Sequence[Seen], preferences: Preferences) -> Iterator[Idea]:
    """The smallest change for what was opened and one rule stopped."""
    found: dict[Preferences, tuple[Edit, list[Seen]]] = {}
    for each in seen:
        finding = each.stopped
        # What would only wait comes all the same.
        if finding is None or not isinstance(finding.verdict, Refuse) or not each.opened:
            continue
        if finding.verdict.reason not in _ONE_RULE or each.case.footing == "newcomer":
            continue
        edit = next(edits(Obstacle(finding, each.case, each.message, preferences)), None)
        if edit is not None:
            found.setdefault(edit.preferences, (edit, []))[1].append(each)
    for edit, about in found.values():
        yield Idea(edit, _names(about))


# ---- when -------------------------------------------------------------------------------------


def _hours(seen: Sequence[Seen], preferences: Preferences) -> Iterator[Idea]:
    """Newsletters on a morning of the weekend, where they come at any time."""
    kind = Kind.NEWSLETTER
    came = [each for each in seen if each.kind == kind and each.case.footing == "allowed"]
    if len(came) < _FEW or any(not w.kinds or kind in w.kinds for w in preferences.window):
        return
    window = Window(from_="09:00", until="12:00", days=("sat",), kinds=(kind,))
    after = msgspec.structs.replace(preferences, window=(*preferences.window, window))
    yield _idea("hours", 2, came, after, **{"kind": str(kind), "from": "09:00", "until": "12:00"})


# ---- what several need ------------------------------------------------------------------------


def _reason(seen: Seen) -> str | None:
    return reason_of(seen.stopped.verdict) if seen.stopped else None


def _names(seen: Collection[Seen]) -> frozenset[str]:
    return frozenset(each.record.id for each in seen)


def _idea(
    name: str, reach: int, seen: Sequence[Seen], preferences: Preferences, **facts: Fact
) -> Idea:
    said = {"vendor": seen[0].record.vendor.name or seen[0].record.sender, **facts}
    return Idea(Edit(name, said, reach, preferences), _names(seen))


def _with(preferences: Preferences, before: VendorRule | None, after: VendorRule) -> Preferences:
    rules: Sequence[VendorRule] = preferences.vendor
    changed = (
        (*rules, after)
        if before is None
        else tuple(after if each == before else each for each in rules)
    )
    return msgspec.structs.replace(preferences, vendor=changed)
