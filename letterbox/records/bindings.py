"""Addresses that await their first user: whoever proves to be it has the address from then on.

The delivery that is first claims it, in its own commit, so that of two at once one has it. The
claim counts at once; that the consumer's document says so, too, is seen to afterwards
(:mod:`letterbox.starting.expecting`).
"""

from letterbox.model.address import Address
from letterbox.model.case import Case
from letterbox.model.verdict import Decision, Deliver
from letterbox.model.wishes import Wishes
from letterbox.ports.store import Claim, Operation, Schedule, Store
from letterbox.records import places
from letterbox.records.checks import Owner
from letterbox.wishes import awaits
from letterbox.wishes.expecting import exactly


async def binding_of(store: Store, owner: Owner, wishes: Wishes, recipient: Address) -> str | None:
    """Who has an address to themselves, also where the document does not say so yet."""
    if owner.binding is not None or awaits(wishes, recipient) is None:
        return owner.binding
    first = await store.claim(places.consumer(owner.consumer), places.bound(exactly(recipient)))
    return first.decode() if first is not None else None


def binds(case: Case, decision: Decision) -> tuple[Operation, ...]:
    """What gives the recipient address to a first user; nothing for all others."""
    first = case.relationship is not None and case.relationship.expected and case.binding is None
    if not first or not isinstance(decision.verdict, Deliver) or "@" in case.vendor.id:
        return ()
    awaited = awaits(case.wishes, case.recipient)
    if awaited is None or not awaited.from_ <= case.now < awaited.until:
        return ()
    address = exactly(case.recipient)
    return (
        Claim(name=places.bound(address), value=case.vendor.id.encode(), expires=None),
        Schedule(key=places.BINDING + address, at=case.now),
    )
