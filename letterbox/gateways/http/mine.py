"""``/v1/me``: a consumer's own preferences, inbox, held messages, decisions."""

from typing import get_args

from aiohttp import web

from letterbox.delivery.render import with_trace
from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import KEPT, Call, bad
from letterbox.gateways.http.forms import (
    HeldAnswer,
    Items,
    Marks,
    Nothing,
    StrangersItem,
    decision_item,
    held_item,
    inbox_item,
)
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.model.preferences import Preferences
from letterbox.model.record import DecisionRecord, InboxEntry
from letterbox.model.verdict import Decision, VerdictName
from letterbox.records.consumers import Conflict, Refused, Stored
from letterbox.records.strangers import StrangerCounts

_NOT_MODIFIED = 304

# ---- preferences ------------------------------------------------------------------------------


async def get_preferences(call: Call) -> web.Response:
    """The whole document, with its ETag."""
    stored = await _stored(call)
    etag = _etag(stored.revision)
    if etag in _tags(call.request.headers.get("If-None-Match", "")):
        return web.Response(status=_NOT_MODIFIED, headers={"ETag": etag})
    return answer(stored.preferences, headers={"ETag": etag})


async def put_preferences(call: Call) -> web.Response:
    """Replace the whole document, guarded by If-Match (RFC 9110, section 13.1.1)."""
    expected = call.request.headers.get("If-Match")
    if expected is None:
        raise Problem("precondition-required")
    preferences = await call.form(Preferences)
    stored = await _stored(call)
    if expected.strip() != "*" and _etag(stored.revision) not in _tags(expected):
        raise _changed(stored.revision)
    try:
        revision = await call.parts.consumers.revise(
            call.owner, preferences, expect=stored.revision, now=call.parts.clock.now()
        )
    except Refused as refused:
        raise mistaken(*refused.mistakes) from None
    except Conflict as conflict:
        raise _changed(conflict.revision) from None
    return answer(preferences, headers={"ETag": _etag(revision)})


async def _stored(call: Call) -> Stored:
    stored = await call.parts.consumers.stored(call.owner)
    if stored is None:
        raise Problem("not-found")
    return stored


def _etag(revision: int) -> str:
    return f'"{revision}"'


def _tags(field: str) -> set[str]:
    """The strong tags of a list; ours hold no comma."""
    return {tag.strip() for tag in field.split(",")}


def _changed(revision: int) -> Problem:
    tag = _etag(revision)
    return Problem("changed", f"its ETag is {tag} now", headers={"ETag": tag})


# ---- inbox ------------------------------------------------------------------------------------


async def list_inbox(call: Call) -> web.Response:
    """What was delivered, newest first."""
    page = await call.parts.mailboxes.inbox(call.owner, after=call.after(), limit=call.limit)
    return answer(Items(items=tuple(map(inbox_item, page.items)), after=page.after))


async def get_entry(call: Call) -> web.Response:
    """One entry."""
    return answer(inbox_item(await _entry(call)))


async def mark_entry(call: Call) -> web.Response:
    """Mark as read or archived, or take the mark away."""
    marks = await call.form(Marks)
    entry = await call.parts.mailboxes.mark(
        call.owner, call.item, read=marks.read, archived=marks.archived
    )
    if entry is None:
        raise Problem("not-found")
    return answer(inbox_item(entry))


async def remove_entry(call: Call) -> web.Response:
    """Delete from the inbox; the decision stays in the log."""
    if not await call.parts.mailboxes.remove(call.owner, call.item):
        raise Problem("not-found")
    return nothing()


async def get_raw(call: Call) -> web.Response:
    """The message: with our trace fields, or with ``original=1`` the bytes as received."""
    entry = await _entry(call)
    original = call.number("original", 1)
    body = await call.parts.mailboxes.body(entry.message)
    record = await call.parts.mailboxes.message(entry.message)
    if body is None or record is None:
        raise Problem("not-found")
    if not original:
        body = with_trace(record, entry, body, call.parts.configuration.hostname)
    return web.Response(
        body=body,
        content_type="message/rfc822",
        headers={
            # Somebody else wrote it: no browser is to show or run any of it.
            "Content-Disposition": f'attachment; filename="{entry.id}.eml"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


async def _entry(call: Call) -> InboxEntry:
    entry = await call.parts.mailboxes.entry(call.owner, call.item)
    if entry is None:
        raise Problem("not-found")
    return entry


# ---- held -------------------------------------------------------------------------------------


async def list_held(call: Call) -> web.Response:
    """What waits, newest first."""
    page = await call.parts.mailboxes.held(call.owner, after=call.after(), limit=call.limit)
    return answer(Items(items=tuple(map(held_item, page.items)), after=page.after))


async def release(call: Call) -> web.Response:
    """Let a held message through."""
    await _say(call, yes=True)
    return answer(HeldAnswer(id=call.item, answer="release"))


async def refuse(call: Call) -> web.Response:
    """Refuse a held message."""
    await _say(call, yes=False)
    return answer(HeldAnswer(id=call.item, answer="refuse"))


async def _say(call: Call, *, yes: bool) -> None:
    # A body that was read already, for its Idempotency-Key, counts as well.
    if call.request.get(KEPT) or call.request.can_read_body:
        await call.form(Nothing)
    if not await call.parts.holds.answer(call.owner, call.item, yes=yes):
        raise Problem("not-found")


# ---- decisions --------------------------------------------------------------------------------


async def list_decisions(call: Call) -> web.Response:
    """Every decision with its findings, newest first."""
    verdict = call.request.query.get("verdict") or None
    known = get_args(VerdictName)
    if verdict is not None and verdict not in known:
        raise mistaken(bad("verdict", verdict, ", ".join(known)))
    page = await call.parts.mailboxes.decisions(
        call.owner, after=call.after(), limit=call.limit, verdict=verdict
    )
    language = (await call.parts.consumers.wishes(call.owner)).language
    items = tuple(decision_item(row, _sentence(call, row, language)) for row in page.items)
    return answer(Items(items=items, after=page.after))


async def get_decision(call: Call) -> web.Response:
    """One decision."""
    row = await call.parts.mailboxes.decision(call.owner, call.item)
    if row is None:
        raise Problem("not-found")
    language = (await call.parts.consumers.wishes(call.owner)).language
    return answer(decision_item(row, _sentence(call, row, language)))


def _sentence(call: Call, row: DecisionRecord, language: str) -> str:
    """Why, in the consumer's language; empty where nothing stood in the way."""
    deciding = Decision(verdict=row.verdict, findings=row.findings).deciding
    return call.parts.sentences.person(deciding, language) if deciding else ""


async def list_strangers(call: Call) -> web.Response:
    """How many messages of unproven senders were refused, by day and reason, newest first."""
    counts = StrangerCounts(call.parts.store, call.parts.registry)
    items = tuple(
        StrangersItem(day=row.day, reason=row.reason, count=row.count)
        for row in await counts.of(call.owner, call.parts.clock.now())
    )
    return answer(Items(items=items, after=None))
