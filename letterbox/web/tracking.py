"""What was taken out of a message and why, in words, and whom the reader lets see it."""

from collections import Counter
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.delivery.tracking import Sight
from letterbox.model.preferences import Preferences, Tracking
from letterbox.reading.trackers import Cleaned, Finding, Untouched, Why
from letterbox.records.consumers import Conflict
from letterbox.web.failures import Failure, missing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.visit import Page, Visit

#: How much is taken out; what each means.
GRADES: Final[dict[Tracking, str]] = {
    "off": N_("nothing"),
    "careful": N_("what certainly tells who reads"),
    "strict": N_("whatever may tell who reads; some links then lead nowhere"),
}
#: The same of one company.
SEES: Final = {
    "": N_("as of all others"),
    "off": N_("whether I read it"),
    "careful": N_("nothing that certainly tells"),
    "strict": N_("nothing that may tell"),
}
_REMOVED: Final[dict[Why, str]] = {
    "tiny": N_("a picture too small to be seen, which tells that you opened the message"),
    "hidden": N_("a picture that is hidden, which tells that you opened the message"),
    "open-counter": N_("a picture that tells that you opened the message"),
    "address": N_("your own address within a link or a picture"),
    "parameter": N_("a part of a link that says who follows it"),
    "token": N_("what looks like your number within a link or a picture"),
    "redirect": N_("a detour that counts clicks: the link leads there straight"),
    "target-in-text": N_("a detour that counts clicks: the message's text says where it leads"),
    "target-hidden": N_("a link whose detour hides where it leads"),
    "ping": N_("an order to tell of a click"),
    "too-long": N_("an address too long to look into"),
}
_KEPT: Final[dict[Why, str]] = {
    "unsubscribe": N_("a link to unsubscribe, which only works as it is"),
    "account": N_("a link to your account, an order or a confirmation, which is your own"),
    "signed": N_("a link that is signed and only works as it is"),
    "redirect-kept": N_("a link by way of a detour that counts clicks"),
    "token-in-path": N_("a link that may hold a number of yours, or name what it shows"),
    "too-long": N_("an address too long to look into"),
}
_UNTOUCHED: Final[dict[Untouched, str]] = {
    "signed-part": N_("It is signed, and was left as it is."),
    "encrypted-part": N_("It is encrypted, and was left as it is."),
    "unreadable-part": N_("A part of it could not be read, and was left as it is."),
    "unreadable-message": N_("It could not be read, and was left as it is."),
}


class Line(NamedTuple):
    """So many findings of one sort, and where they would have told."""

    number: int
    text: str
    hosts: str


class Shown(NamedTuple):
    """What a message's page says of what was taken out of it.

    ``removed`` and ``kept`` are each counted in all, and then by why. ``grade`` is what holds,
    ``original`` whether the message is shown without it this once.
    """

    grade: Tracking
    original: bool
    total: int
    removed: list[Line]
    kept: list[Line]
    untouched: list[str]
    #: Whether a relationship covers the sender, in which consent can be kept.
    covered: bool
    allowed: bool


def shown_of(visit: Visit, cleaned: Cleaned, sight: Sight, *, original: bool) -> Shown:
    """What a message's page says."""
    found = cleaned.found
    return Shown(
        grade=sight.grade,
        original=original,
        total=len(found.removed),
        removed=_lines(visit, found.removed, _REMOVED),
        kept=_lines(visit, found.kept, _KEPT),
        untouched=[visit.say(_UNTOUCHED[why]) for why in dict.fromkeys(cleaned.untouched)],
        covered=sight.rule is not None,
        allowed=sight.rule is not None and sight.rule.tracking == "off",
    )


def _lines(visit: Visit, findings: tuple[Finding, ...], words: dict[Why, str]) -> list[Line]:
    counts = Counter(each.why for each in findings)
    lines = []
    for why, count in counts.most_common():
        hosts = dict.fromkeys(each.host for each in findings if each.why == why and each.host)
        few = ", ".join(list(hosts)[:_FEW]) + ("…" if len(hosts) > _FEW else "")
        lines.append(Line(count, visit.say(words[why]), few))
    return lines


_FEW: Final = 4


async def consent(visit: Visit) -> web.Response:
    """Let a company see that its messages are read, or see no more of it than others."""
    entry = await visit.parts.mailboxes.entry(visit.consumer, visit.item)
    if entry is None:
        raise missing()
    said = visit.field("see")
    if said not in {"yes", "no"}:
        raise Failure(HTTPStatus.BAD_REQUEST)
    before = await revision_of(visit)
    tracking: Tracking | None = "off" if said == "yes" else None
    if await visit.parts.trackers.consent(visit.consumer, entry.id, tracking) is None:
        raise Failure(HTTPStatus.CONFLICT)
    done = "tracking-allowed" if said == "yes" else "tracking-ended"
    facts = await facts_of_change(visit, before)
    vendor = entry.vendor.name or entry.sender
    return visit.see(f"/inbox/{entry.id}", done, vendor=vendor, **facts)


async def change(visit: Visit) -> web.Response:
    """Set how much is taken out of every message."""
    grade = visit.field("tracking")
    stored = await visit.parts.consumers.stored(visit.consumer)
    if grade not in GRADES:
        raise Failure(HTTPStatus.BAD_REQUEST)
    if stored is None:
        raise missing()
    changed: Preferences = msgspec.structs.replace(stored.preferences, tracking=grade)
    if visit.field("revision") not in {"", str(stored.revision)}:
        raise Failure(HTTPStatus.PRECONDITION_FAILED, versions=_versions(visit, stored.preferences))
    try:
        await visit.parts.consumers.revise(
            visit.consumer, changed, expect=stored.revision, now=visit.now
        )
    except Conflict:
        versions = _versions(visit, stored.preferences)
        raise Failure(HTTPStatus.PRECONDITION_FAILED, versions=versions) from None
    return visit.see(
        "/settings", "tracking-changed", **await facts_of_change(visit, stored.revision)
    )


def _versions(visit: Visit, now: Preferences) -> list[tuple[str, str, str]]:
    given = GRADES.get(visit.field("tracking"), "")  # type: ignore[call-overload]
    return [(visit.say("What is taken out"), visit.say(given), visit.say(GRADES[now.tracking]))]


PAGES = (
    Page("POST", "/inbox/{id}/tracking", "consumer", consent),
    Page("POST", "/settings/tracking", "consumer", change),
)
