"""One rule of a relationship, changed as a form says."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, get_args

import msgspec

from letterbox.model.kind import Kind
from letterbox.model.preferences import Limit, Limits, Tells, VendorRule
from letterbox.web.companies import PERIODS, PROOFS, SCOPES, UNWANTED
from letterbox.web.tracking import SEES
from letterbox.web.visit import Visit

_MOST: Final = 100_000


class Mistaken(Exception):
    """What a form says cannot be: the name of its field, and why, in the visitor's words."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field
        self.why = why


def changed(visit: Visit, rule: VendorRule, what: str) -> VendorRule:
    """The relationship as the form would have it. Raises :class:`Mistaken`, KeyError."""
    return msgspec.structs.replace(rule, **_CHANGES[what](visit))


def limit_of(visit: Visit, name: str, messages: str, per: str) -> Limit | None:
    """A limit; None where no number is given."""
    if not messages:
        return None
    wanted = int(messages) if messages.isdecimal() and len(messages) < len("1000000") else 0
    if not 1 <= wanted <= _MOST or per not in PERIODS:
        raise Mistaken(name, visit.say("Write a number from 1 to 100000."))
    return msgspec.convert({"messages": wanted, "per": per}, Limit)


def day_of(visit: Visit, name: str) -> date | None:
    """A day; None where none is given."""
    said = visit.field(name)
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise Mistaken(name, visit.say("Write a day as 2026-12-31.")) from None


def kinds_of(visit: Visit, name: str) -> tuple[Kind, ...]:
    """Kinds of mail, in their order."""
    chosen = visit.fields(name)
    return tuple(kind for kind in Kind if kind in chosen)


def _standing(visit: Visit) -> dict[str, Any]:
    standing = "ask" if _one_of(visit, "standing", {"allowed", "ask"}) == "ask" else "allowed"
    return {"standing": standing, "because": None, "remedy": None}


def _kinds(visit: Visit) -> dict[str, Any]:
    chosen = kinds_of(visit, "kind")
    if not chosen:
        why = visit.say("Choose at least one kind. To stop everything, lock the company out.")
        raise Mistaken("kind", why)
    return {"accepts": chosen}


def _scope(visit: Visit) -> dict[str, Any]:
    return {"scope": _one_of(visit, "scope", SCOPES)}


def _limit(visit: Visit) -> dict[str, Any]:
    """As many limits as numbers are given; each names its kinds, joined by a plus."""
    found: list[Limit] = []
    rows = zip(visit.fields("messages"), visit.fields("per"), visit.fields("kinds"), strict=False)
    for messages, per, kinds in rows:
        limit = limit_of(visit, "messages", messages.strip(), per)
        if limit is not None:
            named = tuple(kind for kind in Kind if kind in kinds.split("+"))
            found.append(msgspec.structs.replace(limit, kinds=named))
    if len({(each.per, each.kinds) for each in found}) < len(found):
        raise Mistaken("messages", visit.say("Two limits speak of the same kinds and period."))
    limits: Limits | None = tuple(found) if len(found) > 1 else next(iter(found), None)
    return {"limit": limits}


def _service(visit: Visit) -> dict[str, Any]:
    limit = limit_of(visit, "service", visit.field("service"), visit.field("per"))
    return {"service_limit": limit}


def _unwanted(visit: Visit) -> dict[str, Any]:
    return {"when_unwanted": _one_of(visit, "unwanted", UNWANTED)}


def _days(visit: Visit) -> dict[str, Any]:
    first, last = day_of(visit, "from"), day_of(visit, "until")
    if first and last and last < first:
        raise Mistaken("until", visit.say("The last day comes before the first."))
    return {"from_": first, "until": last}


def _proof(visit: Visit) -> dict[str, Any]:
    return {"proof": _one_of(visit, "proof", PROOFS)}


def _tracking(visit: Visit) -> dict[str, Any]:
    return {"tracking": _one_of(visit, "tracking", SEES) or None}


def _tells(visit: Visit) -> dict[str, Any]:
    tells = _one_of(visit, "tells", get_args(Tells))
    return {"tells": tells, "share_delivered": visit.field("share") == "yes"}


def _one_of(visit: Visit, name: str, table: Any) -> str:
    said = visit.field(name)
    if said not in table:
        raise Mistaken(name, visit.say("Choose one of them."))
    return said


_CHANGES: Final[Mapping[str, Callable[[Visit], dict[str, Any]]]] = {
    "standing": _standing,
    "kinds": _kinds,
    "scope": _scope,
    "limit": _limit,
    "service": _service,
    "unwanted": _unwanted,
    "days": _days,
    "proof": _proof,
    "tells": _tells,
    "tracking": _tracking,
}
