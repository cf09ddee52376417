"""``/delivery``: where mail goes on to by its kind, and what stayed here.

The link of a letter that asks to confirm a mailbox leads to ``/confirm``: whoever reads the mailbox
has it, whether or not they are signed in, and only the button confirms. Scanners follow links.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from letterbox.delivery.confirming import PATH as CONFIRM
from letterbox.feedback.onward import OnwardWords
from letterbox.model.destination import Destination
from letterbox.model.kind import Kind
from letterbox.model.onward import HandingOn
from letterbox.model.preferences import KEEP, MAILBOX, CleanedOnward, OnwardRule, Preferences
from letterbox.model.record import InboxEntry
from letterbox.records.consumers import Conflict, Stored
from letterbox.records.destinations import MOST, AskedEnough, OwnAddress, TooMany, Unfit
from letterbox.records.onward import NothingToRetry
from letterbox.web.companies import stored_of
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.listing import listing
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.signin import place
from letterbox.web.texts import N_
from letterbox.web.visit import ROWS, Page, Visit

_PATH: Final = "/delivery"
#: What of it goes on without what tells senders of its reader.
CLEANED: Final[Mapping[CleanedOnward, str]] = {
    "mailbox": N_("in the mailbox that your operator keeps"),
    "everywhere": N_("everywhere; your provider may then doubt who wrote it"),
    "nowhere": N_("nowhere: all as it came"),
}
_TOKEN = re.compile(r"[0-9A-Za-z]{1,100}")
#: What became of the letter that asks, by its state.
LETTERS: Final[Mapping[str, str]] = {
    "owed": N_("The letter that asks is on its way."),
    "sent": N_("A letter was sent there. Its link says yes, and works for three days."),
    "refused": N_("Its server refused our letter."),
    "failed": N_("Our letter could not be delivered."),
}


class Row(NamedTuple):
    """A message that stayed here, or waits for another try."""

    entry: InboxEntry
    company: str
    sentence: str
    onward: HandingOn


async def show(visit: Visit) -> web.Response:
    """Where mail goes."""
    return await _page(visit)


async def choose(visit: Visit) -> web.Response:
    """Say for each kind where it goes."""
    stored = await stored_of(visit)
    chosen = {kind: visit.field(f"to-{kind}") for kind in Kind}
    cleaned = next((each for each in CLEANED if each == visit.field("cleaned")), None)
    if cleaned is None or not set(chosen.values()) <= set(await _choices(visit, stored)):
        raise Failure(HTTPStatus.BAD_REQUEST)
    if visit.field("revision") != str(stored.revision):
        raise Conflict(stored.revision)
    after = msgspec.structs.replace(
        stored.preferences, onward=rules_of(chosen), cleaned_onward=cleaned
    )
    await visit.parts.consumers.revise(visit.consumer, after, expect=stored.revision, now=visit.now)
    return visit.see(_PATH, "onward-saved", **await facts_of_change(visit, stored.revision))


async def add(visit: Visit) -> web.Response:
    """Add a mailbox, and send it the letter that asks."""
    address = visit.field("address")[:320]
    mistake = ""
    try:
        row = await visit.parts.elsewhere.destinations.add(visit.consumer, address)
    except OwnAddress:
        mistake = visit.say("That address is this letterbox's own. Write one elsewhere.")
    except Unfit:
        mistake = visit.say("Write a mail address, such as anna@provider.example.")
    except TooMany:
        mistake = visit.say("You have %(count)s mailboxes. Remove one first.", count=MOST)
    except AskedEnough:
        mistake = visit.say("Enough letters were sent today. Try again tomorrow.")
    if mistake:
        return await _page(visit, mistakes={"address": mistake})
    if row.confirmed_at is not None:
        return visit.see(_PATH, "mailbox-there", address=row.address)
    return visit.see(_PATH, "mailbox-added", address=row.address)


async def ask_again(visit: Visit) -> web.Response:
    """Send the letter once more."""
    try:
        row = await visit.parts.elsewhere.destinations.ask_again(visit.consumer, visit.item)
    except AskedEnough:
        mistake = visit.say("Enough letters were sent today. Try again tomorrow.")
        return await _page(visit, mistakes={"address": mistake})
    if row is None:
        raise missing()
    return visit.see(_PATH, "mailbox-added", address=row.address)


async def remove(visit: Visit) -> web.Response:
    """Forget a mailbox."""
    destinations = visit.parts.elsewhere.destinations
    row = await destinations.get(visit.consumer, visit.item)
    if row is None or not await destinations.remove(visit.consumer, row.id):
        raise missing()
    return visit.see(_PATH, "mailbox-removed", address=row.address)


async def retry(visit: Visit) -> web.Response:
    """Hand a message on now."""
    try:
        entry = await visit.parts.handing.retry(visit.consumer, visit.item)
    except NothingToRetry:
        raise Failure(HTTPStatus.CONFLICT) from None
    if entry is None:
        raise missing()
    return visit.see(_PATH, "onward-tried", subject=entry.subject)


# ---- the link of the letter ----


async def show_link(visit: Visit) -> web.Response:
    """Is this mailbox yours? Nothing is used up by looking."""
    _not_guessing(visit)
    found = await visit.parts.elsewhere.destinations.confirmable(_token(visit))
    if found is None:
        return await _over(visit)
    return await visit.page(
        "confirm.html",
        state="asks",
        address=found.destination.address,
        letterbox=await _letterbox(visit, found.consumer),
    )


async def confirm(visit: Visit) -> web.Response:
    """Mail may come to this mailbox."""
    _not_guessing(visit)
    found = await visit.parts.elsewhere.destinations.confirm(_token(visit))
    if found is None:
        return await _over(visit)
    address = found.destination.address
    if visit.who is not None and (visit.who.owner.side, visit.who.owner.id) == (
        "consumer",
        found.consumer,
    ):
        return visit.see(_PATH, "mailbox-confirmed", address=address)
    return await visit.page("confirm.html", state="done", address=address)


def _token(visit: Visit) -> str:
    token = visit.request.match_info["token"]
    return token if _TOKEN.fullmatch(token) else ""


def _not_guessing(visit: Visit) -> None:
    """See that an address has not failed too often."""
    if visit.inside.guesses.locked(place(visit), ""):
        seconds = int(visit.parts.configuration.web.failure_period)
        raise Failure(HTTPStatus.TOO_MANY_REQUESTS, retry_after=seconds)


async def _over(visit: Visit) -> web.Response:
    """One answer for every link that confirms nothing."""
    visit.inside.guesses.failed(place(visit), "")
    return await visit.page("confirm.html", code=HTTPStatus.NOT_FOUND, state="over")


async def _letterbox(visit: Visit, consumer: str) -> str:
    """What a consumer's letterbox is called by whoever writes to it."""
    stored = await visit.parts.consumers.stored(consumer)
    addresses = stored.preferences.bound_addresses if stored else ()
    return addresses[0].address if addresses else consumer


# ---- read ----


async def _page(visit: Visit, *, mistakes: Mapping[str, str] | None = None) -> web.Response:
    stored = await stored_of(visit)
    stuck = await visit.parts.elsewhere.onward.stuck(visit.consumer, after=visit.after, limit=ROWS)
    return await visit.page(
        "delivery.html",
        code=HTTPStatus.UNPROCESSABLE_ENTITY if mistakes else HTTPStatus.OK,
        mistakes=mistakes or {},
        typed=visit.field,
        revision=await revision_of(visit),
        kinds=KINDS,
        choices=await _choices(visit, stored),
        chosen=chosen_of(stored.preferences),
        cleaned={name: visit.say(text) for name, text in CLEANED.items()},
        cleans=stored.preferences.cleaned_onward,
        mailboxes=await visit.parts.elsewhere.destinations.listed(visit.consumer),
        letters=LETTERS,
        list=listing(_rows(visit, stuck.items), _PATH, {}, after=visit.after, to=stuck.after),
    )


def _rows(visit: Visit, entries: Sequence[InboxEntry]) -> list[Row]:
    words = OnwardWords(visit.parts.sentences, visit.language)
    return [
        Row(each, each.vendor.name or each.sender, words.sentence(each.onward), each.onward)
        for each in entries
        if each.onward is not None
    ]


async def _choices(visit: Visit, stored: Stored) -> dict[str, str]:
    """Where mail may go, as it is called: here, the operator's mailbox, mailboxes of one's own.

    What is chosen already is among them, so that saving changes nothing else.
    """
    words = OnwardWords(visit.parts.sentences, visit.language)
    confirmed: Sequence[Destination] = await visit.parts.elsewhere.destinations.confirmed(
        visit.consumer
    )
    found = {KEEP: visit.say("only here")}
    if visit.parts.configuration.onward.lmtp:
        found[MAILBOX] = words.place(MAILBOX)
    found |= {each.address: each.address for each in confirmed}
    for to in chosen_of(stored.preferences).values():
        found.setdefault(to, words.place(to))
    return found


def chosen_of(preferences: Preferences) -> dict[str, str]:
    """Where each kind goes by now."""
    others = next((rule.to for rule in preferences.onward if not rule.kinds), KEEP)
    chosen = {str(kind): others for kind in Kind}
    return chosen | {str(kind): rule.to for rule in preferences.onward for kind in rule.kinds}


def rules_of(chosen: Mapping[Kind, str]) -> tuple[OnwardRule, ...]:
    """The rules that say so: where all kinds go one way, one that names none."""
    ways = dict.fromkeys(chosen.values())
    if len(ways) == 1:
        (to,) = ways
        return () if to == KEEP else (OnwardRule(to=to),)
    return tuple(
        OnwardRule(to=to, kinds=tuple(kind for kind, way in chosen.items() if way == to))
        for to in ways
        if to != KEEP
    )


PAGES = (
    Page("GET", _PATH, "consumer", show),
    Page("POST", _PATH, "consumer", choose),
    Page("POST", f"{_PATH}/mailboxes", "consumer", add),
    Page("POST", f"{_PATH}/mailboxes/{{id}}/letter", "consumer", ask_again),
    Page("POST", f"{_PATH}/mailboxes/{{id}}/remove", "consumer", remove),
    Page("POST", f"{_PATH}/messages/{{id}}/retry", "consumer", retry),
    Page("GET", f"{CONFIRM}/{{token}}", "anyone", show_link),
    Page("POST", f"{CONFIRM}/{{token}}", "anyone", confirm),
)
