"""Mail that a consumer expects: it comes, whatever else is declared. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from letterbox.model.address import Address, parse_address
from letterbox.model.kind import Kind
from letterbox.model.preferences import Expecting, VendorRule
from letterbox.model.sender import VendorRef
from letterbox.model.wishes import Relationship, Wishes
from letterbox.wishes.names import name_of

_EVERYTHING: Final = tuple(Kind)


def key_of(expecting: Expecting) -> str:
    """Whom or what an entry is about, as it is compared."""
    address = parse_address(expecting.address or "")
    if address is not None:
        return exactly(address)
    return name_of(expecting.key)


def exactly(address: Address) -> str:
    """An address as what is expected at it is found: with its subaddress, without case."""
    return f"{address.local.lower()}@{address.domain}"


def awaits(wishes: Wishes, recipient: Address) -> Expecting | None:
    """What is expected at an address, whoever comes first; also when its time is over."""
    return wishes.expecting.get(exactly(recipient)) if wishes.expecting else None


def expected(
    wishes: Wishes,
    vendor: VendorRef,
    domains: Collection[str],
    *,
    recipient: Address,
    binding: str | None,
    at: datetime,
) -> Relationship | None:
    """The relationship that covers a sender whose mail is expected at the instant ``at``.

    ``binding`` is who has the recipient address to themselves by now. An address is taken by no
    one who writes from a mailbox provider: nobody else would find them again by it.
    """
    if not wishes.expecting:
        return None
    names = _names(vendor, domains)
    found = [wishes.expecting[name] for name in names if name in wishes.expecting]
    first = awaits(wishes, recipient)
    mine = binding is None or name_of(binding) in names
    if first is not None and mine and "@" not in vendor.id:
        found.append(first)
    if not any(each.from_ <= at < each.until for each in found):
        return None
    rule = VendorRule(vendor=vendor.id, accepts=_EVERYTHING, scope="everything")
    return Relationship(rule, quotas=(), expected=True)


def _names(vendor: VendorRef, domains: Collection[str]) -> set[str]:
    """Every name that means a sender: the vendor's id, its domains and all above them."""
    names = {name_of(vendor.id)}
    for domain in domains:
        name = domain
        while name:
            names.add(name)
            name = name.partition(".")[2]
    return names
