"""``POST /v1/preflight``: what would stand against a message, before it is sent."""

import ipaddress
from typing import Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from letterbox.feedback.sentences import safe
from letterbox.gateways.http.answers import answer
from letterbox.gateways.http.call import Call, bad, read_form
from letterbox.gateways.http.compose import compose
from letterbox.gateways.http.forms import NewMessage
from letterbox.gateways.http.problems import Reasoned, mistaken
from letterbox.gateways.http.route import JSON, Route
from letterbox.gateways.http.submit import (
    MAIL,
    addresses_of,
    check,
    declared_of,
    reasoned,
    sender_of,
)
from letterbox.identity.prover import Examined
from letterbox.intake.preflight import Barred, Foresight, Plan, Reading, Spent
from letterbox.model.address import Address, parse_address
from letterbox.model.kind import Kind
from letterbox.model.message import Offer, Origin
from letterbox.model.sender import Proven, Stranger
from letterbox.model.told import Foreseen, Foretold, ToldReason
from letterbox.model.vendor import Registered
from letterbox.reading.form import Note
from letterbox.wishes import Mistake

#: The same each time, so that the same message is the same question.
_NAME: Final = "preflight"
_BESIDE: Final = ("to", "ip", "mail_from")
_LONGEST: Final = 200
#: Recipients as they were written, in order, and what was meant.
Named = tuple[tuple[str, Address], ...]


class FormPart(msgspec.Struct, frozen=True):
    """Whether a message of this form is taken, and what to know about it."""

    fits: bool
    notes: tuple[Note, ...]


class SignatureItem(msgspec.Struct, frozen=True):
    """One DKIM signature that was tried. ``aligned``: it is of the author's own domain."""

    domain: str
    selector: str
    status: str
    aligned: bool
    detail: str


class PathItem(msgspec.Struct, frozen=True):
    """What SPF says of the address and the return path that were named."""

    result: str
    domain: str
    aligned: bool


class ProofPart(msgspec.Struct, frozen=True):
    """Who wrote it, as it is proven over SMTP. ``yours``: a key of yours may send it as well.

    ``policy`` is what the author's domain asks for mail that is not proven (DMARC). ``spf`` is null
    without ``ip`` and ``mail_from``.
    """

    yours: bool
    sender: Literal["proven", "stranger", "undetermined"]
    how: str | None
    reason: str | None
    signatures: tuple[SignatureItem, ...]
    spf: PathItem | None
    policy: str | None


class ReadPart(msgspec.Struct, frozen=True):
    """What the message is taken for, and where that is known from."""

    kind: Kind
    kind_origin: Origin
    categories: tuple[str, ...]
    categories_origin: Origin
    offers: tuple[Offer, ...]


class ForetoldItem(msgspec.Struct, frozen=True):
    """What may be told about one recipient. ``open``: nothing that may be told stands against it.

    ``untold``: what this recipient lets be known is told when a message is sent.
    """

    to: str
    verdict: Foreseen
    until: str | UnsetType = UNSET
    reason: ToldReason | UnsetType = UNSET


class PreflightAnswer(msgspec.Struct, frozen=True):
    """What would stand against a message now. It is no promise: wishes change, limits fill up.

    ``left_today`` recipients may be asked about until midnight (UTC).
    """

    left_today: int
    form: FormPart
    proof: ProofPart | None
    read: ReadPart | None
    effects: tuple[Note, ...]
    recipients: tuple[ForetoldItem, ...]


async def preflight(call: Call) -> web.Response:
    """Look at a message as if it were sent; nothing is decided, kept or sent."""
    vendor = await sender_of(call)
    body = await call.body(JSON, MAIL, most=call.parts.configuration.http.max_body)
    if call.request.content_type == MAIL:
        to, plan = _of_mail(call, vendor, body)
    else:
        to, plan = _of_form(call, vendor, read_form(body, NewMessage))
    try:
        seen = await call.parts.preflight.look(plan)
    except Barred as barred:
        raise reasoned(call.parts, barred.code, str(barred)) from None
    except Spent as spent:
        raise Reasoned("rate-limited", "Not now: too many", str(spent), 429, spent.again) from None
    return answer(_answer(seen, to))


def _of_mail(call: Call, vendor: Registered, body: bytes) -> tuple[Named, Plan]:
    query = call.request.query
    named = tuple(query.getall("to", ()))
    to = tuple(zip(named, addresses_of(named), strict=True)) if named else ()
    client, path = query.get("ip", ""), query.get("mail_from", "")
    return to, Plan(
        vendor=vendor,
        content=body,
        recipients=tuple(dict.fromkeys(address for _, address in to)),
        client=_ip(client) if client else "",
        path=_path(path) if path else None,
    )


def _of_form(call: Call, vendor: Registered, form: NewMessage) -> tuple[Named, Plan]:
    mistake = "it stands beside message/rfc822 alone"
    wrong = [
        Mistake(f"?{name}", mistake, "it left out")
        for name in _BESIDE
        if name in call.request.query
    ]
    if wrong:
        raise mistaken(*wrong)
    check(form, call.parts)
    to = tuple(zip(form.to, addresses_of(form.to), strict=True))
    recipients = tuple(dict.fromkeys(address for _, address in to))
    only = recipients[0] if len(recipients) == 1 else None
    hostname = call.parts.configuration.hostname
    return to, Plan(
        vendor=vendor,
        content=compose(form, vendor, hostname=hostname, name=_NAME, to=only).raw,
        recipients=recipients,
        declared=declared_of(form, call.parts),
    )


def _ip(text: str) -> str:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        ip = None
    # A scope is of one machine's own network.
    if ip is None or "%" in text:
        raise mistaken(bad("ip", text, "an IP address such as 192.0.2.1"))
    return str(ip)


def _path(text: str) -> Address:
    path = parse_address(text)
    if path is None:
        raise mistaken(bad("mail_from", text, "an address such as bounces@shop.example"))
    return path


# ---- what is answered


def _answer(seen: Foresight, to: Named) -> PreflightAnswer:
    return PreflightAnswer(
        left_today=seen.left,
        form=FormPart(seen.fits, seen.form),
        proof=_proof(seen.proof, yours=seen.yours) if seen.proof else None,
        read=_read(seen.reading) if seen.reading else None,
        effects=seen.effects,
        recipients=tuple(_foretold(text, seen.foretold[one]) for text, one in to),
    )


def _foretold(to: str, told: Foretold) -> ForetoldItem:
    until = told.until.isoformat() if told.until else UNSET
    return ForetoldItem(to, told.verdict, until, told.reason or UNSET)


def _read(reading: Reading) -> ReadPart:
    return ReadPart(
        kind=reading.kind,
        kind_origin=reading.kind_origin,
        categories=reading.categories.ids,
        categories_origin=reading.categories.origin,
        offers=reading.offers,
    )


def _proof(examined: Examined, *, yours: bool) -> ProofPart:
    sender, spf = examined.proof.sender, examined.proof.spf
    stranger = isinstance(sender, Stranger)
    known: Literal["proven", "stranger", "undetermined"] = (
        "proven" if isinstance(sender, Proven) else "stranger" if stranger else "undetermined"
    )
    asked = spf.identity == "mailfrom" and spf.domain
    return ProofPart(
        yours=yours,
        sender=known,
        how=sender.how if isinstance(sender, Proven) else None,
        reason=sender.why if isinstance(sender, Stranger) else None,
        signatures=tuple(
            SignatureItem(
                domain=each.verified.domain,
                selector=each.verified.selector,
                status=each.verified.status,
                aligned=each.aligned,
                detail=safe(each.verified.detail, _LONGEST),
            )
            for each in examined.signatures
        ),
        spf=PathItem(spf.result, spf.domain, examined.path_aligned) if asked else None,
        policy=examined.policy,
    )


ROUTES = (
    Route(
        "POST",
        "/v1/preflight",
        "vendor",
        preflight,
        "What would stand against a message; nothing is kept or sent",
        takes={JSON: NewMessage, MAIL: None},
        gives={JSON: PreflightAnswer},
        query=_BESIDE,
        problems=(403, 408, 413, 415, 422, 429),
        scope="send",
        once="message",
    ),
)
