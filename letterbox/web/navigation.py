"""Where one can go from every page."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from letterbox.records.sessions import Side
from letterbox.web.texts import N_


class Place(NamedTuple):
    """A page that the navigation names. ``counted`` is what of :class:`Counts` stands beside it."""

    path: str
    name: str
    counted: str = ""
    #: Under "More".
    more: bool = False


PLACES: Mapping[Side, tuple[Place, ...]] = {
    "consumer": (
        Place("/inbox", N_("Inbox")),
        Place("/waiting", N_("Waiting"), "waiting"),
        Place("/refused", N_("Refused"), "refused"),
        Place("/vendors", N_("Companies")),
        Place("/interests", N_("Interests")),
        Place("/times", N_("Times")),
        Place("/addresses", N_("Addresses"), more=True),
        Place("/expecting", N_("Expecting mail"), more=True),
        Place("/start", N_("Old mail"), more=True),
        Place("/delivery", N_("Where mail goes"), more=True),
        Place("/suggestions", N_("Suggestions"), more=True),
        Place("/objections", N_("Objections"), more=True),
        Place("/activity", N_("Activity"), more=True),
        Place("/replay", N_("What if"), more=True),
        Place("/notices", N_("Notices"), more=True),
        Place("/settings", N_("Settings"), more=True),
    ),
    "vendor": (
        Place("/vendor", N_("Overview")),
        Place("/vendor/feedback", N_("Feedback")),
        Place("/vendor/preflight", N_("Preflight")),
        Place("/vendor/domains", N_("Domains")),
        Place("/vendor/keys", N_("Keys"), more=True),
        Place("/vendor/webhooks", N_("Webhooks"), more=True),
        Place("/vendor/reporting", N_("Reporting"), more=True),
        Place("/vendor/settings", N_("Settings"), more=True),
    ),
}


def places(side: Side, there: Collection[str]) -> Iterator[Place]:
    """The pages of a side that there are: a page that has no route yet is not named."""
    return (place for place in PLACES[side] if place.path in there)


def home(side: Side, there: Collection[str]) -> str:
    """Where somebody begins who has just signed in."""
    return next((place.path for place in places(side, there)), "/")
