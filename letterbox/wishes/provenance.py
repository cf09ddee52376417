"""What a message's proof says to its reader: by whose word it came, and for whose eyes. Pure."""

from collections.abc import Iterator

from letterbox.model.address import Address, parse_address
from letterbox.model.flag import Flag
from letterbox.model.message import Message
from letterbox.model.sender import Proven, VendorRef
from letterbox.model.wishes import Relationship, Wishes


def flags_of(
    sender: Proven, message: Message, recipient: Address, wishes: Wishes
) -> tuple[Flag, ...]:
    """What to flag of how the author was proven, and of whom a signed message names."""
    return tuple(_flags(sender, message, recipient, wishes))


def _flags(sender: Proven, message: Message, recipient: Address, wishes: Wishes) -> Iterator[Flag]:
    match sender.how:
        case "via":
            yield Flag(code="by-way-of", facts={"by": sender.by, "domain": sender.domain})
        case "arc" | "results":
            yield Flag(code="forwarded", facts={"by": sender.by, "domain": sender.domain})
        case "dkim" if "to" in sender.signed and _misses(message, recipient, wishes):
            # Also where To is absent and signed as such (RFC 6376, section 5.4).
            yield Flag(code="not-addressed", facts={"to": message.addressees.shown})
        case _:
            pass


def hands_of(
    vendor: VendorRef, sender: Proven, relationship: Relationship | None, wishes: Wishes
) -> tuple[Flag, ...]:
    """Whether the domain has passed to somebody else since the relationship was declared."""
    changed = vendor.changed
    if changed is None or relationship is None or not relationship.is_older_than(changed):
        return ()
    day = wishes.times.local_date(changed).isoformat()
    return (Flag(code="changed-hands", facts={"domain": sender.domain, "changed": day}),)


def _misses(message: Message, recipient: Address, wishes: Wishes) -> bool:
    """Whether neither To nor Cc names the recipient, under whichever of its own addresses."""
    named = message.addressees
    if not named.whole or str(recipient.mailbox) in named.mailboxes:
        return False
    own = (parse_address(address) for address in wishes.own)
    return named.mailboxes.isdisjoint(str(each.mailbox) for each in own if each)
