"""``/v1/me/inbox``: what was delivered to a consumer."""

from collections.abc import Callable

from aiohttp import web
from msgspec import UNSET

from letterbox.delivery.render import with_trace
from letterbox.feedback.onward import OnwardWords
from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.flags import worded
from letterbox.gateways.http.forms import (
    AdvertisingAnswer,
    InboxItem,
    Items,
    Marks,
    Nothing,
    UnwantedAnswer,
    UnwantedWord,
    inbox_item,
)
from letterbox.gateways.http.handed_on import onward_item
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.record import InboxEntry
from letterbox.records.onward import NothingToRetry


async def list_inbox(call: Call) -> web.Response:
    """What was delivered, newest first."""
    page = await call.parts.mailboxes.inbox(call.owner, after=call.after(), limit=call.limit)
    item = await itemed(call)
    return answer(Items(items=tuple(map(item, page.items)), after=page.after))


async def list_stuck(call: Call) -> web.Response:
    """What was to be handed on and was not, or not yet, newest first."""
    page = await call.parts.elsewhere.onward.stuck(call.owner, after=call.after(), limit=call.limit)
    item = await itemed(call)
    return answer(Items(items=tuple(map(item, page.items)), after=page.after))


async def retry(call: Call) -> web.Response:
    """Hand a message on now, to where mail of its kind goes by now."""
    await call.bare()
    try:
        entry = await call.parts.handing.retry(call.owner, call.item)
    except NothingToRetry:
        detail = "it was handed on, or never to be: there is nothing to try again"
        raise Problem("conflict", detail) from None
    if entry is None:
        raise Problem("not-found")
    return await _shown(call, entry)


async def get_entry(call: Call) -> web.Response:
    """One entry."""
    return await _shown(call, await _entry(call))


async def mark_entry(call: Call) -> web.Response:
    """Mark as read or archived, or take the mark away."""
    marks = await call.form(Marks)
    entry = await call.parts.mailboxes.mark(
        call.owner, call.item, read=marks.read, archived=marks.archived
    )
    if entry is None:
        raise Problem("not-found")
    return await _shown(call, entry)


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


async def advertising(call: Call) -> web.Response:
    """This was advertising: its vendor may send no service mail any more."""
    await call.bare()
    await of_another(call)
    done = await call.parts.relations.advertising(call.owner, call.item)
    if done is None:
        raise Problem("not-found")
    language = (await call.parts.consumers.wishes(call.owner)).language
    sentence = call.parts.sentences.person(done.finding, language)
    return answer(
        AdvertisingAnswer(id=call.item, sentence=sentence, before=done.before, after=done.after)
    )


async def unwanted(call: Call) -> web.Response:
    """This was unwanted: its vendor is locked out, and told as far as it has asked for it."""
    word = await call.form_if_any(UnwantedWord) or UnwantedWord()
    await of_another(call)
    done = await call.parts.complaints.unwanted(
        call.owner,
        call.item,
        because=word.because,
        report=word.report,
        unsubscribe=word.unsubscribe,
    )
    if done is None:
        raise Problem("not-found")
    language = (await call.parts.consumers.wishes(call.owner)).language
    relation = done.relation
    return answer(
        UnwantedAnswer(
            id=call.item,
            sentence=call.parts.sentences.person(relation.finding, language),
            before=relation.before,
            after=relation.after,
            reported=done.reported,
            unsubscribing=done.unsubscribing,
        )
    )


async def of_another(call: Call) -> None:
    """See that a message is not one of ours, which has no sender to do anything about."""
    entry = await call.parts.mailboxes.entry(call.owner, call.item)
    if entry is not None and entry.is_ours:
        detail = "letterbox wrote this itself: it is no vendor's; delete it when you have read it"
        raise Problem("conflict", detail)


async def itemed(call: Call) -> Callable[[InboxEntry], InboxItem]:
    """How entries are shown to the consumer who asks, in their language."""
    language = (await call.parts.consumers.wishes(call.owner)).language
    flags = await worded(call, language)
    words = OnwardWords(call.parts.sentences, language)

    def item(entry: InboxEntry) -> InboxItem:
        onward = entry.onward
        handed = onward_item(onward, words.sentence(onward)) if onward is not None else UNSET
        return inbox_item(entry, flags(entry.flags), handed)

    return item


async def _shown(call: Call, entry: InboxEntry) -> web.Response:
    return answer((await itemed(call))(entry))


async def _entry(call: Call) -> InboxEntry:
    entry = await call.parts.mailboxes.entry(call.owner, call.item)
    if entry is None:
        raise Problem("not-found")
    return entry


ROUTES = (
    Route(
        "GET",
        "/v1/me/inbox",
        "consumer",
        list_inbox,
        "What was delivered, newest first",
        gives={JSON: Items[InboxItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/inbox/{id}",
        "consumer",
        get_entry,
        "One message of the inbox",
        gives={JSON: InboxItem},
        problems=(404,),
    ),
    Route(
        "PATCH",
        "/v1/me/inbox/{id}",
        "consumer",
        mark_entry,
        "Mark a message as read or archived",
        takes={JSON: Marks},
        gives={JSON: InboxItem},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "DELETE",
        "/v1/me/inbox/{id}",
        "consumer",
        remove_entry,
        "Delete a message from the inbox",
        gives={},
        fields=("Idempotency-Key",),
        problems=(404,),
        status=204,
    ),
    Route(
        "POST",
        "/v1/me/inbox/{id}/advertising",
        "consumer",
        advertising,
        "This was advertising: take the vendor's right to send service mail away",
        takes={JSON: Nothing},
        gives={JSON: AdvertisingAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 409, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/inbox/{id}/unwanted",
        "consumer",
        unwanted,
        "This was unwanted: lock the vendor out, tell it where it asked for that, unsubscribe",
        takes={JSON: UnwantedWord},
        gives={JSON: UnwantedAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 409, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/inbox/{id}/onward",
        "consumer",
        retry,
        "Hand a message on now that stayed here, or waits for another try",
        takes={JSON: Nothing},
        gives={JSON: InboxItem},
        fields=("Idempotency-Key",),
        problems=(404, 408, 409, 413, 415, 422),
    ),
    Route(
        "GET",
        "/v1/me/onward",
        "consumer",
        list_stuck,
        "What was to be handed on and was not, or not yet, newest first",
        gives={JSON: Items[InboxItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/inbox/{id}/raw",
        "consumer",
        get_raw,
        "The message itself, with our trace fields or as received",
        gives={"message/rfc822": None},
        query=("original",),
        problems=(404, 422),
    ),
)
