"""What a message's proof says to its reader: by whose word it came, and for whose eyes. Pure."""

from collections.abc import Iterator

from letterbox.model.address import Address, parse_address
from letterbox.model.case import Case
from letterbox.model.flag import Flag
from letterbox.model.message import Message
from letterbox.model.sender import Proven
from letterbox.model.wishes import Wishes


def flags_of(
    sender: Proven, message: Message, recipient: Address, wishes: Wishes
) -> tuple[Flag, ...]:
    """What to flag of how the author was proven, and of whom a signed message names."""
    return tuple(_flags(sender, message, recipient, wishes))


def _flags(sender: Proven, message: Message, recipient: Address, wishes: Wishes) -> Iterator[Flag]:
    if sender.how == "via":
        yield Flag(code="by-way-of", facts={"by": sender.by, "domain": sender.domain})
    if sender.how in {"arc", "results"}:
        yield Flag(code="forwarded", facts={"by": sender.by, "domain": sender.domain})
    # Also where To is absent and signed as such (RFC 6376, section 5.4). What was forwarded names
    # the address it was forwarded from.
    if sender.how != "arc" and "to" in sender.signed and _misses(message, recipient, wishes):
        yield Flag(code="not-addressed", facts={"to": message.addressees.shown})


def hands_of(case: Case) -> tuple[Flag, ...]:
    """Whether a domain has passed to somebody else since the relationship was declared."""
    if case.changed_hands is None:
        return ()
    domain, changed = case.changed_hands
    day = case.wishes.times.local_date(changed).isoformat()
    return (Flag(code="changed-hands", facts={"domain": domain, "changed": day}),)


def _misses(message: Message, recipient: Address, wishes: Wishes) -> bool:
    """Whether neither To nor Cc names the recipient, under whichever of its own addresses."""
    named = message.addressees
    if not named.whole or str(recipient.mailbox) in named.mailboxes:
        return False
    own = (parse_address(address) for address in wishes.own)
    return named.mailboxes.isdisjoint(str(each.mailbox) for each in own if each)
