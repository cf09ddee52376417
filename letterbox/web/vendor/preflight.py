"""``/vendor/preflight``: what would stand against a mail, before it is sent. Nothing is kept."""

import ipaddress
import re
from datetime import date
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from letterbox.feedback.sentences import safe
from letterbox.intake.preflight import Barred, Foresight, Plan, Spent
from letterbox.model.address import Address, parse_address
from letterbox.model.sender import Proven, Stranger
from letterbox.model.told import Foretold
from letterbox.model.vendor import Registered
from letterbox.web.failures import missing
from letterbox.web.kinds import KINDS
from letterbox.web.texts import N_
from letterbox.web.vendor.told import title
from letterbox.web.vendor.wrong import Wrong
from letterbox.web.visit import Page, Visit

_PATH = "/vendor/preflight"
_MOST_RECIPIENTS: Final = 20
_LONGEST: Final = 200
_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELDS: Final = ("mail", "to", "ip", "mail_from")
VERDICTS: Final = {
    "open": N_("nothing that may be told stands against it"),
    "hold": N_("it would be held"),
    "refuse": N_("it would be refused"),
    "defer": N_("it would be put off"),
    "untold": N_("this recipient tells nothing ahead"),
}


class Recipient(NamedTuple):
    """What may be said about one recipient."""

    to: str
    told: Foretold
    title: str
    until: str


class Proof(NamedTuple):
    """Who the mail shows to have written it."""

    sender: str
    reason: str
    signatures: tuple[tuple[str, str, bool, str], ...]
    spf: str
    policy: str


async def show(visit: Visit) -> web.Response:
    """The form."""
    return await _page(visit)


async def _page(
    visit: Visit,
    *,
    seen: Foresight | None = None,
    recipients: tuple[Recipient, ...] = (),
    wrong: tuple[Wrong, ...] = (),
    code: int = HTTPStatus.OK,
) -> web.Response:
    reading = seen.reading if seen else None
    return await visit.page(
        "vendor/preflight.html",
        code=code,
        left=seen.left if seen else await visit.parts.preflight.left(visit.vendor),
        entered={name: visit.field(name) for name in _FIELDS},
        seen=seen,
        proof=_proof(visit, seen) if seen else None,
        kind=visit.say(KINDS[reading.kind]) if reading else "",
        recipients=recipients,
        verdicts=VERDICTS,
        wrong=wrong,
    )


async def test(visit: Visit) -> web.Response:
    """Look at a mail as if it were sent."""
    vendor = await visit.parts.vendors.get(visit.vendor)
    if vendor is None:
        raise missing()
    plan, to, wrong = _plan(visit, vendor)
    code = HTTPStatus.UNPROCESSABLE_ENTITY
    if not wrong:
        try:
            seen = await visit.parts.preflight.look(plan)
        except Barred as barred:
            wrong = [Wrong("mail", str(barred), english=True)]
            code = HTTPStatus.CONFLICT
        except Spent:
            text = visit.say("As many recipients as may be in a day were asked about.")
            wrong = [Wrong("to", text)]
            code = HTTPStatus.TOO_MANY_REQUESTS
        else:
            today = visit.now.date()
            recipients = tuple(
                _recipient(visit, text, seen.foretold[each], today) for text, each in to
            )
            return await _page(visit, seen=seen, recipients=recipients)
    return await _page(visit, wrong=tuple(wrong), code=code)


def _plan(visit: Visit, vendor: Registered) -> tuple[Plan, list[tuple[str, Address]], list[Wrong]]:
    """What the form asks, and what is wrong with it."""
    wrong = []
    if vendor.is_nobody_yet:
        wrong.append(Wrong("mail", visit.say("Prove a domain of yours first.")))
    # A browser ends the lines of what is pasted as it likes; a file is as it is.
    content = visit.upload or _LINE_END.sub(b"\r\n", visit.raw("mail").encode())
    if not content.strip():
        wrong.append(Wrong("mail", visit.say("Paste a mail, or choose a file.")))
    to: list[tuple[str, Address]] = []
    for text in visit.field("to").replace(",", " ").split():
        address = parse_address(text)
        if address is None:
            said = visit.say("This is no mail address: %(address)s", address=safe(text, _LONGEST))
            wrong.append(Wrong("to", said))
        else:
            to.append((text, address))
    if len(to) > _MOST_RECIPIENTS:
        text = visit.say("At most %(most)s recipients at once.", most=_MOST_RECIPIENTS)
        wrong.append(Wrong("to", text))
    ip, path = visit.field("ip"), visit.field("mail_from")
    client, returns = _ip(ip), parse_address(path) if path else None
    if ip and not client:
        wrong.append(Wrong("ip", visit.say("An IP address such as 192.0.2.1.")))
    if path and returns is None:
        said = visit.say("An address such as bounces@shop.example.")
        wrong.append(Wrong("mail_from", said))
    plan = Plan(
        vendor=vendor,
        content=content,
        recipients=tuple(dict.fromkeys(address for _, address in to)),
        client=client,
        path=returns,
    )
    return plan, to, wrong


def _ip(text: str) -> str:
    """An IP address in its one form; empty where it is none, or of one machine's own network."""
    try:
        return "" if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _recipient(visit: Visit, text: str, told: Foretold, today: date) -> Recipient:
    reason = told.reason
    words = title(visit, reason.code, held=told.verdict == "hold") if reason else ""
    until = visit.texts.day(told.until, today) if told.until else ""
    return Recipient(text, told, words, until)


def _proof(visit: Visit, seen: Foresight) -> Proof | None:
    if seen.proof is None:
        return None
    sender, spf = seen.proof.proof.sender, seen.proof.proof.spf
    if isinstance(sender, Proven):
        said = visit.say("Proven (%(how)s).", how=sender.how)
    elif isinstance(sender, Stranger):
        said = visit.say("Not proven.")
    else:
        said = visit.say("It cannot be told now: a look-up failed.")
    asked = spf.identity == "mailfrom" and spf.domain
    return Proof(
        said,
        title(visit, sender.why) if isinstance(sender, Stranger) else "",
        tuple(
            (
                f"{each.verified.domain} ({each.verified.selector})",
                each.verified.status,
                each.aligned,
                safe(each.verified.detail, _LONGEST),
            )
            for each in seen.proof.signatures
        ),
        f"{spf.result} ({spf.domain})" if asked else "",
        seen.proof.policy or "",
    )


PAGES = (
    Page("GET", _PATH, "vendor", show),
    Page("POST", _PATH, "vendor", test, uploads=True),
)
