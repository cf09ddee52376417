"""``POST /v1/messages``: a vendor's message, as JSON or as mail."""

import re
from hashlib import sha256
from typing import NamedTuple

from aiohttp import web

from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, read_form
from letterbox.gateways.http.compose import compose
from letterbox.gateways.http.forms import (
    MOST_RECIPIENTS,
    Answer,
    NewMessage,
    NewOffer,
    result_item,
)
from letterbox.gateways.http.parts import Parts
from letterbox.gateways.http.problems import Problem, Reasoned, mistaken
from letterbox.gateways.http.route import JSON
from letterbox.intake import Idempotent, KeyReused, Received, Submission
from letterbox.model.address import Address, parse_address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.message import Offer
from letterbox.model.preferences import Vendor
from letterbox.model.record import Declared
from letterbox.model.vendor import Registered
from letterbox.reading.mail import Mail
from letterbox.wishes import Mistake

MAIL = "message/rfc822"
# What could end a header field or a log line: refused, for altering it would be no help.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_AN_ADDRESS = "an address such as anna@letterbox.example"


class Sending(NamedTuple):
    """A message on its way in. ``name`` is like no other's; ``waits`` as in a submission."""

    parts: Parts
    vendor: Vendor
    name: str
    session: str
    client: str
    idempotent: Idempotent | None
    waits: bool = False


async def submit(call: Call) -> web.Response:
    """Take a message and answer with one result for each recipient, in their order."""
    vendor = await sender_of(call)
    key = call.idempotency_key
    body = await call.body(JSON, MAIL, most=call.parts.configuration.http.max_body)
    request = call.request
    idempotent = None
    if key:
        said = f"{request.path_qs}\0{request.headers.get('Content-Type', '')}"
        idempotent = Idempotent(key=key, fingerprint=fingerprint(said, body))
    sending = Sending(
        parts=call.parts,
        vendor=vendor,
        name=call.session,
        session=call.session,
        client=call.client,
        idempotent=idempotent,
    )
    if request.content_type == MAIL:
        to = tuple(request.query.getall("to", ()))
        submission = Submission(vendor=vendor, idempotent=sending.idempotent)
        return answer(await _take(sending, to, addresses_of(to), body, submission))
    if "to" in request.query:
        mistake = "the recipients stand in the body"
        raise mistaken(Mistake(path="?to", mistake=mistake, allowed="it beside message/rfc822"))
    return answer(await send(sending, read_form(body, NewMessage)))


async def sender_of(call: Call) -> Registered:
    """The vendor whose key was shown. Raises a Problem where it may not send."""
    vendor = await call.parts.vendors.get(call.owner)
    if vendor is None:
        raise Problem("unauthorized")
    if vendor.is_nobody_yet:
        detail = "prove a domain first: POST /v1/vendor/domains, its TXT record, and …/verify"
        raise Problem("forbidden", detail)
    return vendor


async def send(sending: Sending, form: NewMessage) -> Answer:
    """Send what a form says. Raises a Problem, or Reasoned."""
    check(form, sending.parts)
    addresses = addresses_of(form.to)
    composed = _compose(sending, form, addresses)
    submission = Submission(
        vendor=sending.vendor,
        declared=declared_of(form, sending.parts),
        your_reference=form.reference,
        idempotent=sending.idempotent,
        waits=sending.waits,
        composed=composed,
    )
    return await _take(sending, form.to, addresses, composed.raw, submission)


def fingerprint(said: str, body: bytes) -> bytes:
    """A digest of the whole request: the same key with another request is refused."""
    return sha256(f"POST\0{said}\0".encode("utf-8", "surrogateescape") + body).digest()


def _compose(sending: Sending, form: NewMessage, addresses: tuple[Address, ...]) -> Mail:
    """The mail of a form: new for each call, the same for a repeated one."""
    vendor, idempotent, name = sending.vendor, sending.idempotent, sending.name
    if idempotent is not None:
        said = f"{vendor.id}\0{idempotent.key}\0".encode() + idempotent.fingerprint
        name = sha256(said).hexdigest()[:40]
    hostname = sending.parts.configuration.hostname
    # Several recipients do not see one another.
    only = addresses[0] if len(set(addresses)) == 1 else None
    return compose(form, vendor, hostname=hostname, name=name, to=only)


# ---- what is asked ----------------------------------------------------------------------------


def addresses_of(to: tuple[str, ...]) -> tuple[Address, ...]:
    """Every recipient in order, repeated ones too."""
    if not 1 <= len(to) <= MOST_RECIPIENTS:
        raise mistaken(
            Mistake(
                path="to",
                mistake=f"it names {len(to)} recipients",
                allowed=f"1 to {MOST_RECIPIENTS} mail addresses, each as to=…",
            )
        )
    addresses = [parse_address(text) for text in to]
    mistakes = [
        Mistake(
            path=f"to[{nth}]", mistake=f"{to[nth][:80]!r} is no mail address", allowed=_AN_ADDRESS
        )
        for nth, address in enumerate(addresses)
        if address is None
    ]
    if mistakes:
        raise mistaken(*mistakes)
    return tuple(filter(None, addresses))


def check(form: NewMessage, parts: Parts) -> None:
    """See that what the types alone cannot tell is right. Raises a Problem that names it."""
    mistakes = [
        Mistake(
            path=path,
            mistake="there is a line break or a control character in it",
            allowed="text on one line",
        )
        for path, text in (("subject", form.subject), ("reference", form.reference or ""))
        if _UNSAFE.search(text)
    ]
    if form.offer is not None:
        mistakes += _offer_mistakes(form.offer, parts)
    if mistakes:
        raise mistaken(*mistakes)


def _offer_mistakes(offer: NewOffer, parts: Parts) -> list[Mistake]:
    mistakes = []
    for nth, category in enumerate(offer.categories):
        if _category(category, parts) is None:
            near = parts.taxonomy.nearest(category)
            mistakes.append(
                Mistake(
                    path=f"offer.categories[{nth}]",
                    mistake=f"there is no category {category[:80]!r}",
                    allowed="an id of the taxonomy" + (f"; did you mean {near}?" if near else ""),
                )
            )
    start, end = offer.valid_from, offer.valid_until
    if start is not None and end is not None and end < start:
        mistakes.append(
            Mistake(
                path="offer.valid_until",
                mistake=f"{end} is before {start}",
                allowed=f"{start} or later",
            )
        )
    return mistakes


def declared_of(form: NewMessage, parts: Parts) -> Declared:
    """What a form says of the message beside it."""
    if form.offer is None:
        return Declared(kind=form.kind)
    offer = Offer(
        origin="declared",
        title=form.offer.title,
        brand=form.offer.brand,
        price=form.offer.price,
        region=form.offer.region,
        keywords=form.offer.keywords,
        valid_from=form.offer.valid_from,
        valid_until=form.offer.valid_until,
    )
    categories = filter(None, (_category(each, parts) for each in form.offer.categories))
    return Declared(kind=form.kind, categories=tuple(dict.fromkeys(categories)), offer=offer)


def _category(label: str, parts: Parts) -> str | None:
    """The id of ours that a category is, or means."""
    return label if label in parts.taxonomy.nodes else parts.categories.ours(label)


# ---- what is answered -------------------------------------------------------------------------


async def _take(
    sending: Sending,
    to: tuple[str, ...],
    addresses: tuple[Address, ...],
    content: bytes,
    submission: Submission,
) -> Answer:
    parts = sending.parts
    most = parts.configuration.smtp.max_size
    if len(content) > most:
        raise reasoned(parts, "message-too-large", f"{len(content):,} octets, at most {most:,}")
    envelope = Envelope(
        session=sending.session,
        edge="http",
        client=Client(address=sending.client),
        reverse_path=None,
        recipients=tuple(dict.fromkeys(addresses)),
    )
    try:
        received = await parts.intake.receive(envelope, content, submission)
    except KeyReused:
        raise Problem("key-reused") from None
    _raise_if_one_reason(parts, received)
    return _answer(received, to, addresses, submission.your_reference)


def _raise_if_one_reason(parts: Parts, received: Received) -> None:
    """A reason about the message or about us, the same for all, answers the whole request."""
    codes = {
        outcome.told.reason.code if outcome.told.reason else "" for outcome in received.outcomes
    }
    if len(codes) != 1:
        return
    code = codes.pop()
    reason = parts.registry.get(code)
    if reason is None or reason.http == web.HTTPOk.status_code:
        return
    told = received.outcomes[0].told
    detail = (told.reason.detail if told.reason else None) or reason.texts["en"].title
    raise reasoned(parts, code, detail)


def reasoned(parts: Parts, code: str, detail: str) -> Reasoned:
    """A registered reason that answers the whole request."""
    reason = parts.registry[code]
    return Reasoned(code, reason.texts["en"].title, detail, reason.http, reason.retry_after)


def _answer(
    received: Received,
    to: tuple[str, ...],
    addresses: tuple[Address, ...],
    your_reference: str | None,
) -> Answer:
    told = {outcome.recipient: outcome.told for outcome in received.outcomes}
    return Answer(
        id=received.message,
        results=tuple(
            result_item(text, told[address], your_reference)
            for text, address in zip(to, addresses, strict=True)
        ),
    )
