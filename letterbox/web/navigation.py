"""Where one can go from every page."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from letterbox.records.sessions import Side
from letterbox.web.texts import N_


class Place(NamedTuple):
    """A page that the navigation names. ``counted`` is what of :class:`Counts` stands beside it."""

    path: str
    name: str
    counted: str = ""
    #: Under "More", and among which there; empty: it is always seen.
    group: str = ""


class Group(NamedTuple):
    """What stands together under "More"."""

    name: str
    places: tuple[Place, ...]


_RULES = N_("Rules")
_LETTERBOX = N_("Your letterbox")
_OTHERS = N_("Companies and you")
_PROGRAMS = N_("Programs")
_ACCOUNT = N_("Your account")

PLACES: Mapping[Side, tuple[Place, ...]] = {
    "consumer": (
        Place("/inbox", N_("Inbox")),
        Place("/waiting", N_("Waiting"), "waiting"),
        Place("/refused", N_("Refused"), "refused"),
        Place("/vendors", N_("Companies")),
        Place("/interests", N_("Interests")),
        Place("/times", N_("Times")),
        Place("/suggestions", N_("Suggestions"), group=_RULES),
        Place("/start", N_("Old mail"), group=_RULES),
        Place("/expecting", N_("Expecting mail"), group=_RULES),
        Place("/replay", N_("What if"), group=_RULES),
        Place("/delivery", N_("Where mail goes"), group=_LETTERBOX),
        Place("/notices", N_("Notices"), group=_LETTERBOX),
        Place("/settings", N_("Settings"), group=_LETTERBOX),
        Place("/addresses", N_("Addresses"), group=_OTHERS),
        Place("/objections", N_("Objections"), group=_OTHERS),
        Place("/activity", N_("Activity"), group=_OTHERS),
    ),
    "vendor": (
        Place("/vendor", N_("Overview")),
        Place("/vendor/feedback", N_("Feedback")),
        Place("/vendor/preflight", N_("Preflight")),
        Place("/vendor/domains", N_("Domains")),
        Place("/vendor/keys", N_("Keys"), group=_PROGRAMS),
        Place("/vendor/webhooks", N_("Webhooks"), group=_PROGRAMS),
        Place("/vendor/reporting", N_("Reporting"), group=_ACCOUNT),
        Place("/vendor/settings", N_("Settings"), group=_ACCOUNT),
    ),
}


def places(side: Side, there: Collection[str]) -> Iterator[Place]:
    """The pages of a side that there are: a page that has no route yet is not named."""
    return (place for place in PLACES[side] if place.path in there)


def groups(shown: Iterable[Place]) -> tuple[Group, ...]:
    """What is under "More", in groups."""
    hidden = [place for place in shown if place.group]
    return tuple(
        Group(name, tuple(place for place in hidden if place.group == name))
        for name in dict.fromkeys(place.group for place in hidden)
    )


def home(side: Side, there: Collection[str]) -> str:
    """Where somebody begins who has just signed in."""
    return next((place.path for place in places(side, there)), "/")
