"""``/activity``: who was told what about me, in the very words."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from aiohttp import web

from letterbox.model.record import DecisionRecord
from letterbox.model.told import Told
from letterbox.model.verdict import name_of
from letterbox.records.activity import Channel, Happened, Row, Telling, tellings
from letterbox.web.listing import listing
from letterbox.web.texts import N_
from letterbox.web.visit import ROWS, Page, Visit

_PATH: Final = "/activity"
_HAPPENED: Final[Mapping[Happened, str]] = {
    "relationship.blocked": N_("You locked it out"),
    "relationship.changed": N_("You changed what it may send"),
    "relationship.reinstated": N_("You let it back in"),
    "reconnect.asked": N_("It asked to come back"),
    "reconnect.accepted": N_("You said yes to its coming back"),
    "reconnect.declined": N_("You said no to its coming back"),
    "reconnect.unanswered": N_("Its request got no answer"),
    "reconnect.settled": N_("Its request was settled by a change of yours"),
    "unwanted.told": N_("Its sender was told that the mail was unwanted"),
    "unwanted.not-told": N_("Its sender could not be told that the mail was unwanted"),
    "unwanted.unsubscribed": N_("The subscription was ended"),
    "unwanted.not-unsubscribed": N_("The subscription could not be ended"),
    "unwanted.mailed": N_("Its sender was asked by mail to end the subscription"),
    "objection.made": N_("You objected to its advertising"),
    "objection.breached": N_("It went on advertising though you objected"),
    "objection.withdrawn": N_("You withdrew your objection"),
    "notice.address": N_("You were told: another used this address"),
    "notice.locked-out": N_("You were told: it keeps writing"),
    "notice.lookalike": N_("You were told: it looks like a company of yours"),
    "notice.objection": N_("You were told: it goes on advertising though you objected"),
}
_DECIDED: Final = {
    "deliver": N_("A message was delivered"),
    "hold": N_("A message waits"),
    "refuse": N_("A message was refused"),
    "defer": N_("A message was put off"),
}
_CHANNELS: Final[Mapping[Channel, str]] = {
    "reply": N_("in the reply"),
    "feed": N_("in its feed"),
    "page": N_("on the page of the reference"),
    "request": N_("as an answer to its request"),
    "notice": N_("to you"),
}


class Said(NamedTuple):
    """What was told by one channel: each line is word for word."""

    channel: str
    lines: tuple[str, ...]


class Entry(NamedTuple):
    """One entry, with what was told; ``text`` is what the company wrote or accepted."""

    row: Row
    company: str
    what: str
    subject: str
    said: tuple[Said, ...]
    text: tuple[str, ...]


async def show_list(visit: Visit) -> web.Response:
    """What was told, newest first."""
    page = await visit.parts.activity.page(visit.consumer, after=visit.after, limit=ROWS)
    entries = [_entry(visit, row) for row in page.items]
    return await visit.page(
        "activity.html", list=listing(entries, _PATH, {}, after=visit.after, to=page.after)
    )


def _entry(visit: Visit, row: Row) -> Entry:
    said = tuple(_said(visit, telling) for telling in tellings(row))
    if isinstance(row, DecisionRecord):
        what = _DECIDED[name_of(row.verdict)]
        company = row.vendor.name or row.sender
        return Entry(row, company, visit.say(what), row.subject, said, ())
    return Entry(row, row.vendor.name, visit.say(_HAPPENED[row.type]), "", said, row.text)


def _said(visit: Visit, telling: Telling) -> Said:
    lines = (telling.told.line,) if telling.spoken else tuple(_fields(telling.told))
    return Said(visit.say(_CHANNELS[telling.channel]), lines)


def _fields(told: Told) -> Iterator[str]:
    """What a program reads, field by field, under the names that it reads."""
    yield f"verdict: {told.verdict}"
    if told.reason is not None:
        yield f"reason: {told.reason.code}"
        yield f"title: {told.reason.title}"
        if told.reason.detail:
            yield f"detail: {told.reason.detail}"
        if told.reason.remedies:
            yield f"remedies: {'; '.join(told.reason.remedies)}"
        if told.reason.retry_after:
            yield f"retry_after: {told.reason.retry_after.isoformat()}"
    if told.until is not None:
        yield f"until: {told.until.isoformat()}"
    yield f"reference: {told.reference}"


PAGES = (Page("GET", _PATH, "consumer", show_list),)
