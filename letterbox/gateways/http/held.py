"""``/v1/me/held``: what waits in a consumer's custody."""

import msgspec
from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.flags import worded
from letterbox.gateways.http.forms import HeldAnswer, HeldItem, HeldWord, Items, held_item
from letterbox.gateways.http.problems import Problem, mistaken
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.record import Word
from letterbox.records.consumers import Refused
from letterbox.wishes import Mistake


async def list_held(call: Call) -> web.Response:
    """What waits, newest first."""
    page = await call.parts.mailboxes.held(call.owner, after=call.after(), limit=call.limit)
    word = await worded(call)
    items = tuple(held_item(entry, word(entry.flags)) for entry in page.items)
    return answer(Items(items=items, after=page.after))


async def release(call: Call) -> web.Response:
    """Let a held message through."""
    return answer(await _say(call, "yes"))


async def refuse(call: Call) -> web.Response:
    """Refuse a held message."""
    return answer(await _say(call, "no"))


async def _say(call: Call, word: Word) -> HeldAnswer:
    said = await call.form_if_any(HeldWord)
    done = HeldAnswer(id=call.item, answer="release" if word == "yes" else "refuse")
    if said is None or said.relationship is None:
        if not await call.parts.holds.answer(call.owner, call.item, yes=word == "yes"):
            raise Problem("not-found")
        return done
    try:
        rule = await call.parts.relations.answer(
            call.owner, call.item, word=word, rule=said.relationship
        )
    except Refused as refused:
        raise mistaken(*map(_within, refused.mistakes)) from None
    if rule is None:
        raise Problem("not-found")
    return msgspec.structs.replace(done, relationship=rule)


def _within(mistake: Mistake) -> Mistake:
    """A mistake in the relationship, by its place in the body."""
    path = "relationship" if mistake.path == "(all)" else f"relationship.{mistake.path}"
    return Mistake(path=path, mistake=mistake.mistake, allowed=mistake.allowed)


ROUTES = (
    Route(
        "GET",
        "/v1/me/held",
        "consumer",
        list_held,
        "What waits for its time or for a yes, newest first",
        gives={JSON: Items[HeldItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/release",
        "consumer",
        release,
        "Let a held message through; a relationship may be set with it",
        takes={JSON: HeldWord},
        gives={JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
    Route(
        "POST",
        "/v1/me/held/{id}/refuse",
        "consumer",
        refuse,
        "Refuse a held message; a relationship may be set with it",
        takes={JSON: HeldWord},
        gives={JSON: HeldAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 413, 415, 422),
    ),
)
