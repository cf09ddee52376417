"""Which reports are owed by mail: of what no reply could say (RFC 3461; RFC 5321, 6.1)."""

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from letterbox.feedback.dsn import LONGEST_HEADER
from letterbox.model.address import Address, parse_address
from letterbox.model.envelope import Envelope, Request
from letterbox.model.record import MessageRecord
from letterbox.model.report import Report, Reported
from letterbox.model.told import Told
from letterbox.ports.store import Operation, Put, Schedule
from letterbox.reading.header import unfold
from letterbox.reading.mail import Mail
from letterbox.records import places
from letterbox.records.coding import encode

_PASSING, _REFUSED = 400, 500  # replies from here on (RFC 5321, section 4.2.1)
_TAKEN: Final = frozenset({"deliver", "hold", "accepted"})
_REPORT_TYPE = re.compile(
    r"\s*(multipart/report|message/(delivery-status|feedback-report))\b", re.IGNORECASE
)
_FIELD_BREAK = re.compile(rb"\r\n(?![ \t])")
_NOTHING = Request()


def after_reply(
    envelope: Envelope,
    mail: Mail,
    told: Mapping[Address, Told],
    name: str,
    now: datetime,
    *,
    author: str,
) -> tuple[Report, ...]:
    """What is owed beside the reply to a message that has just been answered.

    Of a transaction with one reply for several recipients: the refusals that this reply does not
    say. And to those who asked for it, that their message was taken. ``name`` is random, ``author``
    the domain that wrote the message, empty where that is not proven: such a one hears of no
    success.
    """
    asked = any("success" in (each.notify or ()) for each in envelope.requests.values())
    if not asked and (not envelope.one_reply or len(told) < 2):  # noqa: PLR2004 - nothing mixed
        return ()
    deferred = any(_PASSING <= each.reply < _REFUSED for each in told.values())
    if envelope.one_reply and deferred:
        return ()  # the whole message comes again
    taken = [address for address, each in told.items() if each.reply < _PASSING]
    failed = [address for address, each in told.items() if each.reply >= _REFUSED]
    lists = {
        "failed": [
            address
            for address in failed
            if envelope.one_reply and taken and _wants(envelope.requests.get(address), "failure")
        ],
        "relayed": [
            address
            for address in taken
            if author
            and told[address].verdict in _TAKEN
            and "success" in (envelope.requests.get(address, _NOTHING).notify or ())
        ],
    }
    if not any(lists.values()) or not _may_hear(envelope.reverse_path, mail):
        return ()
    return tuple(
        Report(
            id=f"{name}{nth}",
            to=str(envelope.reverse_path),
            author=author,
            client=envelope.client.address,
            helo=envelope.client.helo,
            received=now,
            owed=now,
            header=_header(mail),
            digest=_digest(mail),
            recipients=tuple(
                _reported(str(address), told[address], envelope.requests.get(address))
                for address in addresses
            ),
            action="failed" if action == "failed" else "relayed",
            envelope_id=envelope.envelope_id,
        )
        for nth, (action, addresses) in enumerate(lists.items())
        if addresses and not envelope.client.inner
    )


def after_all(
    record: MessageRecord, recipient: str, told: Told, mail: Mail, name: str, owed: datetime
) -> Report | None:
    """What is owed where a message that was taken is refused in the end; None where nothing is.

    A registered vendor reads it in its feed, where nothing is struck off a list by it; a report
    goes to it only where it asked for one. ``owed`` is from when on it may be sent.
    """
    request = record.requests.get(recipient)
    path = parse_address(record.reverse_path) if record.reverse_path else None
    asked = request is not None and "failure" in (request.notify or ())
    if told.verdict != "refuse" or told.reply < _REFUSED or record.hidden:
        return None
    if record.edge not in {"smtp", "lmtp", "filter"} or not _wants(request, "failure"):
        return None
    if (record.vendor.registered and not asked) or not _may_hear(path, mail):
        return None
    return Report(
        id=name,
        to=str(path),
        author=record.sender.domain or "",
        client=record.client,
        helo=record.helo,
        received=record.at,
        owed=owed,
        header=_header(mail),
        digest=_digest(mail),
        recipients=(_reported(recipient, told, request),),
        envelope_id=record.envelope_id,
    )


def owe(report: Report) -> tuple[Operation, ...]:
    """The operations that make a report owed, in whatever partition they stand."""
    key = places.REPORT + report.id
    return Put(key=key, value=encode(report)), Schedule(key=key, at=report.owed)


def _reported(recipient: str, told: Told, request: Request | None) -> Reported:
    return Reported(recipient=recipient, told=told, original=request.original if request else None)


def _wants(request: Request | None, what: str) -> bool:
    """Whether a sender wants to hear of it; who says nothing does, of a failure."""
    return request is None or request.notify is None or what in request.notify


def _may_hear(path: Address | None, mail: Mail) -> bool:
    """Whether anything may be sent to a return path: never to a null one, or about a report.

    An address that only fits between quotes is none that a report could be written to.
    """
    if path is None or parse_address(str(path)) is None:
        return False
    said = mail.first("auto-submitted")
    if said is not None and unfold(said).lower().startswith("auto-replied"):
        return False  # RFC 3834, section 2
    types = mail.all("content-type")
    return not any(_REPORT_TYPE.match(unfold(each)) for each in types)


def _header(mail: Mail) -> bytes:
    """The header as received, or as many of its fields as fit."""
    raw = mail.raw[: mail.header.body_at].removesuffix(b"\r\n")
    if len(raw) <= LONGEST_HEADER:
        return raw
    ends = [match.end() for match in _FIELD_BREAK.finditer(raw, 0, LONGEST_HEADER)]
    return raw[: ends[-1]] if ends else b""


def _digest(mail: Mail) -> str:
    return sha256(mail.raw).hexdigest()
