"""What a vendor was told, in the words of its pages."""

from collections.abc import Mapping
from datetime import datetime, time
from typing import Final

from letterbox.feedback.disclosure import class_title
from letterbox.model.told import Event, ToldReason
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.ledger import Reference
from letterbox.web.texts import N_
from letterbox.web.visit import Visit

#: Types of events, as people call them.
TYPES: Final[Mapping[str, str]] = {
    "message.refused": N_("refused"),
    "message.held": N_("held"),
    "message.awaiting": N_("held for an answer"),
    "message.released": N_("released"),
    "message.delivered": N_("delivered"),
    "message.expired": N_("came too late"),
    "message.approved": N_("allowed by the recipient"),
    "message.declined": N_("declined by the recipient"),
    "relationship.blocked": N_("locked out"),
    "relationship.changed": N_("rules changed"),
    "relationship.reinstated": N_("let back in"),
    "domain.proven": N_("domain proven"),
    "domain.failing": N_("domain record missing"),
    "domain.lost": N_("domain lost"),
    "domain.contested": N_("domain claimed by another"),
    "vendor.suspended": N_("suspended by the operator"),
    "vendor.resumed": N_("suspension ended"),
}


def title(visit: Visit, code: str, *, held: bool = False) -> str:
    """A reason or a class in the visitor's language."""
    if code in visit.parts.registry:
        return visit.parts.sentences.texts(code, visit.language).title
    return class_title(code, visit.language, held=held)


def brief(visit: Visit, event: Event) -> str:
    """An event's reason in a sentence; in another language than it was told in, by its title."""
    reason = event.reason
    if reason is None:
        return ""
    if visit.language == "en" and reason.detail:
        return reason.detail
    return title(visit, reason.code, held=event.verdict == "hold")


def moment(visit: Visit, at: datetime) -> str:
    """When an event was: of one that is told to the day, its day alone."""
    if at.time() == time():
        return visit.texts.day(at.date(), visit.now.date())
    return visit.moment(at)


async def reference(visit: Visit, event: Event) -> Reference | None:
    """What an event's reference leads to, where it was told to this vendor and has a page."""
    if not event.reference:
        return None
    value = await visit.parts.store.claim(places.reference(event.reference), places.REFERENCE)
    row = decode(value, Reference) if value else None
    return row if row is not None and row.vendor == visit.vendor and not row.unlisted else None


async def spoken(visit: Visit, event: Event, row: Reference | None) -> tuple[ToldReason, str]:
    """An event's reason in the visitor's language where it can be said in it, and which that is.

    Raises ValueError where it has none.
    """
    reason = event.reason
    if reason is None:
        raise ValueError("an event without a reason")
    if row is not None and visit.language != "en":
        said = await visit.parts.spoken.as_told(row, reason, visit.language)
        if said is not None and said.code == reason.code:
            return said, visit.language
    return reason, "en"
