"""From what was seen of old mail to the relationships that it suggests. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from math import ceil
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import structs

from letterbox.model.address import is_below
from letterbox.model.kind import RULED_KINDS, Kind
from letterbox.model.preferences import Limit, VendorRule
from letterbox.model.proposal import Choice, Found, Proposal, Sighting
from letterbox.model.sender import VendorRef
from letterbox.model.wishes import Relationship, Wishes
from letterbox.wishes.names import mailbox_of, name_of

#: Domains and addresses that are counted apart; beyond that only those that are known already.
MOST_FOUND: Final = 5_000
#: Names, authors and signers that are kept of one of them, and the characters of a name.
_MOST_KEPT: Final = 12
_LONGEST_NAME: Final = 80
_SHOWN: Final = 5
_MONTH: Final = timedelta(days=30.44)
_WEEKS: Final = 4.35  # in a month
_NOBODY: Final[Mapping[str, VendorRef]] = MappingProxyType({})


class Whose(NamedTuple):
    """What domains are (:class:`letterbox.identity.Domains`)."""

    organizational: Callable[[str], str]
    is_mailbox_provider: Callable[[str], bool]


def tally(
    found: Mapping[str, Found], sightings: Iterable[Sighting], whose: Whose
) -> tuple[dict[str, Found], int]:
    """What was found so far with more sightings; and how many of them found no more room.

    A company is found by its registered domain. Whoever writes from a mailbox provider is found
    by the address, and so is whoever writes as one person to another.
    """
    counted, over = dict(found), 0
    for each in sightings:
        key = _key(each, whose)
        known = counted.get(key)
        if known is None and len(counted) >= MOST_FOUND:
            over += 1
            continue
        counted[key] = _with(known or Found(), each)
    return counted, over


def _key(each: Sighting, whose: Whose) -> str:
    domain = each.author.domain
    if each.kind is Kind.PERSONAL or whose.is_mailbox_provider(domain):
        return str(each.author.mailbox)
    return whose.organizational(domain)


def _with(found: Found, each: Sighting) -> Found:
    first, last = found.first, found.last
    if each.at is not None:
        first = min(first or each.at, each.at)
        last = max(last or each.at, each.at)
    return Found(
        kinds=found.kinds | {each.kind: found.kinds.get(each.kind, 0) + 1},
        names=_counted(found.names, (each.name[:_LONGEST_NAME],) if each.name else ()),
        authors=_counted(found.authors, (str(each.author.mailbox),)),
        signers=_counted(found.signers, each.signers),
        first=first,
        last=last,
    )


def _counted(known: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    counted = known
    for name in names:
        if name in counted or len(counted) < _MOST_KEPT:
            counted = counted | {name: counted.get(name, 0) + 1}
    return counted


def _together(one: Found, other: Found) -> Found:
    """Two that are one vendor's."""

    def both(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
        return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}

    return Found(
        kinds={
            k: one.kinds.get(k, 0) + other.kinds.get(k, 0) for k in {**one.kinds, **other.kinds}
        },
        names=both(one.names, other.names),
        authors=both(one.authors, other.authors),
        signers=both(one.signers, other.signers),
        first=min(filter(None, (one.first, other.first)), default=None),
        last=max(filter(None, (one.last, other.last)), default=None),
    )


def propose(
    found: Mapping[str, Found],
    *,
    wishes: Wishes,
    whose: Whose,
    holders: Mapping[str, VendorRef] = _NOBODY,
    apart: bool = False,
) -> list[Proposal]:
    """What is suggested, whoever wrote most first.

    ``holders`` are the registered vendors of domains; what is found of several domains of one of
    them is one proposal. The persons of a domain that is a company's are that company's, unless
    they are to stay ``apart``. Whoever has one of the consumer's own addresses is left out.
    """
    companies: dict[str, tuple[str, Found]] = {}
    persons: dict[str, Found] = {}
    for key, each in found.items():
        if "@" not in key:
            _add(companies, _holder_of(key, holders), key, each)
    for key, each in found.items():
        if "@" not in key or key in wishes.own:
            continue
        domain = whose.organizational(key.rpartition("@")[2])
        vendor = _holder_of(domain, holders)
        if vendor in companies and not apart:
            _add(companies, vendor, domain, each)
        else:
            persons[key] = each
    proposals = [
        _company(domain, each, wishes, holders.get(domain)) for domain, each in companies.values()
    ]
    proposals += [_person(address, each, wishes) for address, each in persons.items()]
    return sorted(proposals, key=lambda each: (-each.count, each.key))


def _holder_of(domain: str, holders: Mapping[str, VendorRef]) -> str:
    held = holders.get(domain)
    return held.id if held else domain


def _add(companies: dict[str, tuple[str, Found]], vendor: str, domain: str, found: Found) -> None:
    known = companies.get(vendor)
    companies[vendor] = (known[0], _together(known[1], found)) if known else (domain, found)


def _company(domain: str, found: Found, wishes: Wishes, vendor: VendorRef | None) -> Proposal:
    seen = [kind for kind in Kind if kind in found.kinds]
    # What was bought must arrive, also where nothing was bought so far.
    accepts = tuple(kind for kind in Kind if kind in seen or kind is Kind.SERVICE)
    known = _known(domain, vendor, wishes)
    return Proposal(
        domain=domain,
        address=None,
        vendor=vendor.id if vendor else None,
        name=vendor.name if vendor else _first(found.names) or domain,
        kinds={kind: found.kinds[kind] for kind in seen},
        count=found.count,
        first=found.first,
        last=found.last,
        per_month=round(_per_month(found, found.count), 1),
        authors=_most(found.authors),
        signers=_most(found.signers),
        rule=VendorRule(
            vendor=vendor.id if vendor else None,
            domain=None if vendor else domain,
            accepts=accepts,
            scope="everything",
            limit=_limit(found),
        ),
        known=known is not None,
        standing=known.rule.standing if known else None,
    )


def _person(address: str, found: Found, wishes: Wishes) -> Proposal:
    accepts = tuple(kind for kind in Kind if kind in found.kinds or kind is Kind.PERSONAL)
    known = wishes.addresses.get(address)
    return Proposal(
        domain=address.rpartition("@")[2],
        address=address,
        vendor=None,
        name=_first(found.names) or address,
        kinds={kind: found.kinds[kind] for kind in Kind if kind in found.kinds},
        count=found.count,
        first=found.first,
        last=found.last,
        per_month=round(_per_month(found, found.count), 1),
        authors=(address,),
        signers=_most(found.signers),
        rule=VendorRule(address=address, accepts=accepts, scope="everything"),
        known=known is not None,
        standing=known.rule.standing if known else None,
    )


def _known(domain: str, vendor: VendorRef | None, wishes: Wishes) -> Relationship | None:
    """The relationship there is: with the vendor, the domain, one above it, or else below it."""
    if vendor is not None and (found := wishes.vendors.get(name_of(vendor.id))):
        return found
    above = [name for name in wishes.domains if is_below(domain, name)]
    below = [name for name in wishes.domains if is_below(name, domain)]
    nearest = max(above, key=len, default=min(below, default=None))
    return wishes.domains[nearest] if nearest else None


def _first(counted: Mapping[str, int]) -> str:
    return max(counted, key=lambda name: (counted[name], name), default="")


def _most(counted: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(counted, key=lambda name: (-counted[name], name))[:_SHOWN])


def _per_month(found: Found, messages: int) -> float:
    span = found.last - found.first if found.first and found.last else timedelta()
    return messages / max(span / _MONTH, 1.0)


def _limit(found: Found) -> Limit | None:
    """At most as many as came, by the period that counts few; none where all is service mail."""
    rate = _per_month(found, sum(n for kind, n in found.kinds.items() if kind in RULED_KINDS))
    if not rate:
        return None
    if rate <= _WEEKS:
        return Limit(messages=ceil(rate), per="month")
    if rate <= 7 * _WEEKS:
        return Limit(messages=ceil(rate / _WEEKS), per="week")
    return Limit(messages=ceil(rate / (7 * _WEEKS)), per="day")


# ---- what becomes of it -------------------------------------------------------------------------


def chosen(proposal: Proposal, choice: Choice, before: VendorRule | None) -> VendorRule | None:
    """The relationship that a choice makes; None where it leaves all as it is.

    Of a relationship that there is already (``before``) only what was chosen changes.
    """
    if choice.do == "leave":
        return None
    rule = before or proposal.rule
    if choice.do == "lock-out":
        if rule.standing == "blocked":
            return None
        limit = before.limit if before else None
        return structs.replace(rule, standing="blocked", limit=limit)
    limit = None if choice.do == "allow" else choice.limit or proposal.rule.limit
    if before and before.standing == "blocked":
        rule = structs.replace(rule, because=None, remedy=None)
    return structs.replace(
        rule,
        standing="allowed",
        accepts=choice.accepts or proposal.rule.accepts,
        scope=proposal.rule.scope,
        limit=limit,
    )


def same_side(rule: VendorRule, proposal: Proposal) -> bool:
    """Whether a relationship is with the very one that a proposal is about."""
    wanted = proposal.rule
    if wanted.address or rule.address:
        return bool(
            wanted.address
            and rule.address
            and mailbox_of(wanted.address) == mailbox_of(rule.address)
        )
    names = {proposal.domain, proposal.vendor}
    return name_of(rule.key) in names
