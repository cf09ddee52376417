"""``/v1/me/objections``: objecting to a company's advertising, and what came in spite of that."""

from datetime import datetime
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.delivery.objecting import Objected
from letterbox.gateways.http.answers import answer, nothing
from letterbox.gateways.http.call import Call
from letterbox.gateways.http.decisions import asked_language
from letterbox.gateways.http.forms import Form, Items
from letterbox.gateways.http.inbox import of_another
from letterbox.gateways.http.problems import Problem
from letterbox.gateways.http.route import JSON, PAGED, Route
from letterbox.model.objection import Asked, Evidence, Objection, Outcome, Way
from letterbox.model.preferences import Because, VendorRule
from letterbox.model.sender import How

_ATTACHED: Final = 'attachment; filename="{name}.txt"'


class ObjectWord(Form, frozen=True):
    """Why, as the vendor may be told it, and whether its service mail goes on."""

    because: Because = "other"
    service: bool = True


class AskedItem(msgspec.Struct, frozen=True):
    """How the sender was asked to end the subscription, and what it answered.

    ``to`` is the URL or address that it signed; ``answer`` the status of HTTP or the reply over
    SMTP, ``at`` when that came.
    """

    way: Way
    outcome: Outcome
    to: str | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    at: datetime | UnsetType = UNSET


class EvidenceItem(msgspec.Struct, frozen=True):
    """One message, as it can be shown to others: what it said, and what proves its sender.

    ``results`` is our Authentication-Results (RFC 8601), ``sha256`` of the bytes as received, empty
    where they were gone.
    """

    decision: str
    received: datetime
    sender: str
    recipient: str
    subject: str
    kind: str
    domain: str
    how: How
    message_id: str
    results: str
    sha256: str


class ObjectionItem(msgspec.Struct, frozen=True):
    """An objection. ``breaches`` is how many messages came in spite of it, ``last`` the newest.

    ``service``: its service mail was to go on.
    """

    id: str
    at: datetime
    vendor: str
    name: str
    domains: tuple[str, ...]
    service: bool
    evidence: EvidenceItem
    asked: AskedItem
    breaches: int
    last: datetime | UnsetType = UNSET


class ObjectionDetail(ObjectionItem, frozen=True, kw_only=True):
    """An objection, with each message that came in spite of it, the oldest first; 1,000 at most."""

    came: tuple[EvidenceItem, ...]


class ObjectedAnswer(msgspec.Struct, frozen=True):
    """The relationship before and after, and the objection. ``made``: just now; else it stood.

    ``sentence`` says in the consumer's language what the vendor's mail meets from now on.
    """

    id: str
    sentence: str
    before: VendorRule | None
    after: VendorRule | None
    made: bool
    objection: ObjectionItem


async def object_to(call: Call) -> web.Response:
    """Unsubscribe and object, by way of a message of the inbox."""
    word = await call.form_if_any(ObjectWord) or ObjectWord()
    await of_another(call)
    done = await call.parts.objecting.object_to(
        call.owner, call.item, because=word.because, service=word.service
    )
    if done is None:
        raise Problem("not-found")
    return answer(await _objected(call, done))


async def list_objections(call: Call) -> web.Response:
    """Those that stand, newest first."""
    await call.parts.breaches.look(call.owner)
    page = await call.parts.objections.page(call.owner, after=call.after(), limit=call.limit)
    return answer(Items(items=tuple(map(_item, page.items)), after=page.after))


async def get_objection(call: Call) -> web.Response:
    """One of them, with what came since."""
    await call.parts.breaches.look(call.owner)
    objection = await _one(call)
    came = await call.parts.objections.breaches(call.owner, objection.id)
    fields = msgspec.structs.asdict(_item(objection))
    return answer(ObjectionDetail(**fields, came=tuple(map(_evidence, came))))


async def get_letter(call: Call) -> web.Response:
    """The letter that says so to the company, as plain text."""
    language = await asked_language(call)
    await call.parts.breaches.look(call.owner)
    objection, now = await _one(call), call.parts.clock.now()
    came = await call.parts.objections.breaches(call.owner, objection.id)
    local = (await call.parts.consumers.wishes(call.owner)).times.local
    letter = call.parts.letters.letter(objection, came, language, now=now, local=local)
    return web.Response(
        text=letter.text,
        content_type="text/plain",
        headers={
            "Content-Language": letter.language,
            "Content-Disposition": _ATTACHED.format(name=letter.file),
            "X-Content-Type-Options": "nosniff",
        },
    )


async def withdraw(call: Call) -> web.Response:
    """Take an objection back: what was kept for it is let go."""
    if await call.parts.objecting.withdraw(call.owner, call.item) is None:
        raise Problem("not-found")
    return nothing()


async def _one(call: Call) -> Objection:
    objection = await call.parts.objections.one(call.owner, call.item)
    if objection is None:
        raise Problem("not-found")
    return objection


async def _objected(call: Call, done: Objected) -> ObjectedAnswer:
    language = (await call.parts.consumers.wishes(call.owner)).language
    relation = done.relation
    return ObjectedAnswer(
        id=call.item,
        sentence=call.parts.sentences.person(relation.finding, language),
        before=relation.before,
        after=relation.after,
        made=done.made,
        objection=_item(done.objection),
    )


def _item(objection: Objection) -> ObjectionItem:
    return ObjectionItem(
        id=objection.id,
        at=objection.at,
        vendor=objection.vendor.id,
        name=objection.vendor.name,
        domains=objection.domains,
        service=objection.service,
        evidence=_evidence(objection.evidence),
        asked=_asked(objection.asked),
        breaches=objection.breaches,
        last=objection.last or UNSET,
    )


def _asked(asked: Asked) -> AskedItem:
    return AskedItem(
        asked.way, asked.outcome, asked.to or UNSET, asked.answer or UNSET, asked.at or UNSET
    )


def _evidence(evidence: Evidence) -> EvidenceItem:
    fields = msgspec.structs.asdict(evidence)
    fields.pop("message")
    return EvidenceItem(**fields)


ROUTES = (
    Route(
        "POST",
        "/v1/me/inbox/{id}/object",
        "consumer",
        object_to,
        "Unsubscribe and object: no advertising of this company's any more, with evidence kept",
        takes={JSON: ObjectWord},
        gives={JSON: ObjectedAnswer},
        fields=("Idempotency-Key",),
        problems=(404, 408, 409, 413, 415, 422),
    ),
    Route(
        "GET",
        "/v1/me/objections",
        "consumer",
        list_objections,
        "Objections to advertising that stand, newest first",
        gives={JSON: Items[ObjectionItem]},
        query=PAGED,
        problems=(422,),
    ),
    Route(
        "GET",
        "/v1/me/objections/{id}",
        "consumer",
        get_objection,
        "One objection, with each message that came in spite of it",
        gives={JSON: ObjectionDetail},
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/me/objections/{id}/letter",
        "consumer",
        get_letter,
        "The letter to the company that says so, ready to be filled in and sent",
        gives={"text/plain": None},
        query=("language",),
        problems=(404, 422),
    ),
    Route(
        "DELETE",
        "/v1/me/objections/{id}",
        "consumer",
        withdraw,
        "Withdraw an objection: what was kept for it is let go, the lock-out stays",
        gives={},
        fields=("Idempotency-Key",),
        problems=(404,),
        status=204,
    ),
)
