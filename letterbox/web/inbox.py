"""``/inbox``: what came, and why."""

import asyncio
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import web

from letterbox.feedback.onward import OnwardWords
from letterbox.model.fold import fold
from letterbox.model.record import InboxEntry, MessageRecord
from letterbox.model.verdict import Finding, Hold
from letterbox.web import letter
from letterbox.web.failures import Failure, missing
from letterbox.web.kinds import KINDS
from letterbox.web.letter import Letter
from letterbox.web.listing import address, listing
from letterbox.web.live import stream
from letterbox.web.rules import facts_of_change, revision_of
from letterbox.web.texts import N_
from letterbox.web.tracking import Shown, shown_of
from letterbox.web.visit import ROWS, Page, Visit

_PATH = "/inbox"
#: A frame of its own, where nothing runs, nothing is loaded and no form goes anywhere. A link
#: that is clicked opens in a window that is not in the sandbox.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'self';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)


class Row(NamedTuple):
    """One message in the list."""

    entry: InboxEntry
    company: str
    because: str
    kind: str
    #: What became of handing it on, where there is something to look at.
    stuck: str = ""
    #: What would have become of it, had its reader not only watched.
    would: str = ""


class Opened(NamedTuple):
    """One message as it is read, and what was taken out of it."""

    letter: Letter
    tracking: Shown


async def show_list(visit: Visit) -> web.Response:
    """What came, newest first."""
    words = fold(visit.asked("q")).split()
    kind, archived = visit.asked("kind"), visit.asked("archived") == "yes"
    unread, vendor = visit.asked("unread") == "yes", visit.asked("vendor")

    def wanted(entry: InboxEntry) -> bool:
        if entry.archived is not archived or (unread and entry.read):
            return False
        if (kind and entry.kind != kind) or (vendor and entry.vendor.id != vendor):
            return False
        text = fold(f"{entry.subject} {entry.vendor.name} {entry.sender}") if words else ""
        return all(word in text for word in words)

    page = await visit.parts.mailboxes.inbox(
        visit.consumer, after=visit.after, limit=ROWS, wanted=wanted
    )
    filters = {
        "q": visit.asked("q"),
        "kind": kind,
        "unread": "yes" if unread else "",
        "archived": "yes" if archived else "",
        "vendor": vendor,
    }
    rows = [_row(visit, entry) for entry in page.items]
    return await visit.page(
        "inbox.html",
        list=listing(rows, _PATH, filters, after=visit.after, to=page.after),
        filters=filters,
        filtered=any(filters.values()),
        kinds=KINDS,
        newest=await visit.parts.mailboxes.newest(visit.consumer),
        here=address(_PATH, filters),
    )


async def show_message(visit: Visit) -> web.Response:
    """One message, and why it came. Whoever opens it has read it."""
    entry = await _entry(visit)
    if not entry.read:
        await visit.parts.mailboxes.mark(visit.consumer, entry.id, read=True, archived=None)
    decision = await visit.parts.mailboxes.decision(visit.consumer, entry.decision)
    explained = (
        visit.parts.explanations.lines(decision, visit.language) if decision is not None else ()
    )
    flags = [visit.parts.sentences.flag(flag, visit.language) for flag in entry.flags]
    opened = await _opened(entry, visit)
    return await visit.page(
        "message.html",
        row=_row(visit, entry),
        letter=opened.letter if opened else None,
        tracking=opened.tracking if opened else None,
        explained=explained,
        flags=flags,
        ours=entry.is_ours,
        onward=_onward(visit, entry),
    )


async def show_letter(visit: Visit) -> web.Response:
    """What stands in the message's frame."""
    entry = await _entry(visit)
    opened = await _opened(entry, visit)
    if opened is None or opened.letter.html is None:
        raise missing()
    return web.Response(
        text=letter.framed(opened.letter, entry.subject, visit.language),
        content_type="text/html",
        headers={"Content-Security-Policy": FRAME_POLICY},
    )


async def show_part(visit: Visit) -> web.Response:
    """An attachment, to be saved."""
    entry = await _entry(visit)
    number = visit.request.match_info["number"]
    found = await _body(entry, visit)
    part = None
    if found is not None and number.isdecimal() and len(number) < len("10000"):
        part = await asyncio.to_thread(letter.read_part, *found, int(number))
    if part is None:
        raise missing()
    name, media_type, content = part
    return web.Response(
        body=content,
        content_type=media_type,
        headers={
            # Somebody else wrote it: no browser is to show or run any of it.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


async def set_marks(visit: Visit) -> web.Response:
    """Archive, mark as unread, or the other way round."""
    said = {name: visit.field(name) for name in ("read", "archived")}
    marks = {name: value == "yes" for name, value in said.items() if value in {"yes", "no"}}
    if not marks:
        raise Failure(HTTPStatus.BAD_REQUEST)
    entry = await visit.parts.mailboxes.mark(
        visit.consumer, visit.item, read=marks.get("read"), archived=marks.get("archived")
    )
    if entry is None:
        raise missing()
    if "archived" in marks:
        done = "archived" if marks["archived"] else "unarchived"
    else:
        done = "read" if marks["read"] else "unread"
    return visit.see(_PATH, done, id=entry.id, subject=entry.subject)


async def advertising(visit: Visit) -> web.Response:
    """This was advertising: its company may send no service mail any more."""
    entry = await _of_another(visit)
    before = await revision_of(visit)
    done = await visit.parts.relations.advertising(visit.consumer, entry.id)
    if done is None:
        raise missing()
    path, vendor = f"{_PATH}/{entry.id}", entry.vendor.name
    if done.before == done.after:
        return visit.see(path, "advertising-none", vendor=vendor)
    return visit.see(path, "advertising", vendor=vendor, **await facts_of_change(visit, before))


async def lock_out(visit: Visit) -> web.Response:
    """This was unwanted: its company is locked out."""
    entry = await _of_another(visit)
    before = await revision_of(visit)
    done = await visit.parts.complaints.unwanted(
        visit.consumer, entry.id, because="other", report=False, unsubscribe=False
    )
    if done is None:
        raise missing()
    facts = await facts_of_change(visit, before)
    return visit.see(f"{_PATH}/{entry.id}", "locked-out", vendor=entry.vendor.name, **facts)


async def events(visit: Visit) -> web.StreamResponse:
    """Tells a page that is open that something has come."""
    return await stream(visit, lambda: visit.parts.mailboxes.newest(visit.consumer))


# ---- read ----


def _row(visit: Visit, entry: InboxEntry) -> Row:
    because = visit.say("because %(interest)s", interest=", ".join(entry.interests))
    return Row(
        entry,
        company=entry.vendor.name or entry.sender,
        because=because if entry.interests else "",
        kind=visit.say(KINDS.get(entry.kind, entry.kind)),
        stuck=_onward(visit, entry) if entry.onward is not None and entry.onward.stuck else "",
        would=would(visit, entry.would) if entry.would else "",
    )


def _onward(visit: Visit, entry: InboxEntry) -> str:
    """What became of handing a message on; nothing where it was not to be."""
    if entry.onward is None:
        return ""
    return OnwardWords(visit.parts.sentences, visit.language).sentence(entry.onward)


def would(visit: Visit, finding: Finding) -> str:
    """What a rule would have done, and why."""
    held = isinstance(finding.verdict, Hold)
    text = N_("would have waited: %(sentence)s")
    if not held:
        text = N_("would have been refused: %(sentence)s")
    return visit.say(text, sentence=visit.parts.sentences.person(finding, visit.language))


async def _entry(visit: Visit) -> InboxEntry:
    entry = await visit.parts.mailboxes.entry(visit.consumer, visit.item)
    if entry is None:
        raise missing()
    return entry


async def _of_another(visit: Visit) -> InboxEntry:
    entry = await _entry(visit)
    if entry.is_ours:
        raise Failure(HTTPStatus.CONFLICT)
    return entry


async def _body(entry: InboxEntry, visit: Visit) -> tuple[MessageRecord, bytes] | None:
    record = await visit.parts.mailboxes.message(entry.message)
    body = await visit.parts.mailboxes.body(entry.message)
    return None if record is None or body is None else (record, body)


async def _opened(entry: InboxEntry, visit: Visit) -> Opened | None:
    """A message as it is read: cleaned, unless the original is asked for this once."""
    found = await _body(entry, visit)
    if found is None:
        return None
    record, body = found
    original = visit.asked("original") == "yes"
    trackers = visit.parts.trackers
    sight = await trackers.sight(visit.consumer, entry)
    cleaned = await trackers.cleaned(body, sight.grade, recipient=entry.recipient, shown=True)
    content = body if original else cleaned.content
    # A large one takes long to read, and others are served meanwhile.
    shown = await asyncio.to_thread(letter.read_letter, record, content)
    return Opened(shown, shown_of(visit, cleaned, sight, original=original))


PAGES = (
    Page("GET", "/inbox", "consumer", show_list),
    Page("GET", "/inbox/events", "consumer", events),
    Page("GET", "/inbox/{id}", "consumer", show_message),
    Page("GET", "/inbox/{id}/letter", "consumer", show_letter),
    Page("GET", "/inbox/{id}/parts/{number}", "consumer", show_part),
    Page("POST", "/inbox/{id}/marks", "consumer", set_marks),
    Page("POST", "/inbox/{id}/advertising", "consumer", advertising),
    Page("POST", "/inbox/{id}/lock-out", "consumer", lock_out),
)
