"""Who sent a message, as far as it is proven."""

from datetime import datetime
from typing import Literal

import msgspec

from letterbox.model.address import Address, is_below

#: ``dkim`` and ``spf`` are what we found ourselves; ``key`` a vendor's own key; ``peer`` the word
#: of a relay that asserts authors; ``arc`` and ``results`` what another server found, by a sealed
#: chain or a relay's Authentication-Results; ``via`` a platform's signature that the consumer lets
#: speak for the author.
How = Literal["dkim", "spf", "key", "peer", "arc", "results", "via"]


class Proven(msgspec.Struct, frozen=True, tag="proven"):
    """The author's domain stands behind the message.

    ``domain`` is the folded domain that is proven (for ``key`` the vendor's own);
    ``author`` the address in From; ``signed`` the lower-case names of the header fields a
    DKIM signature covers, or a sealer's newest over the message (``arc``); empty where none was
    verified here. ``vendor`` is set only for ``key``:
    the id of the vendor whose key was shown. ``by`` is whose word it is where the author's domain
    itself did not speak to us: the sealer (``arc``), the relay's authserv-id (``results``), the
    signing domain (``via``); ``over`` what that sealer or relay says it proved the author by.
    """

    domain: str
    how: How
    author: Address
    signed: frozenset[str] = frozenset()
    vendor: str | None = None
    by: str = ""
    over: Literal["dkim", "spf"] | None = None

    @property
    def path_only(self) -> bool:
        """Whether it rests on SPF alone, by whomever it was checked."""
        return self.how == "spf" or self.over == "spf"

    def vouches_for(self, field: str) -> bool:
        """Whether the proven sender stands behind the header field ``field`` (lower case).

        A key or a trusted peer vouches for the whole message, a DKIM signature for the fields
        it covers. SPF proves the path only: it lets the marks count that describe the message
        (``List-*``, ``Precedence``) and not those that claim a right (``Letterbox-*``,
        ``Solicitation``). So does what another server found: it does not say which fields the
        author had signed. Of what a sealer found, only what it signed itself can be believed.
        """
        if self.how in {"dkim", "via", "arc"} and field not in self.signed:
            return False
        if self.how in {"spf", "arc", "results"}:
            return not field.startswith("letterbox-") and field != "solicitation"
        return True


class Signer(msgspec.Struct, frozen=True):
    """A domain that signed a message without being its author's.

    ``signed`` as in :class:`Proven`; ``from`` is among it.
    """

    domain: str
    signed: frozenset[str]


class Stranger(msgspec.Struct, frozen=True, tag="stranger"):
    """Nothing proves the author. ``why`` is a reason code about the message (REASONS).

    ``detail`` is for our own log, and for a vendor who showed its key, never for a sender
    without; ``domain`` is the claimed one, if any. ``author`` and ``signers`` are set where a
    consumer could let one of the signers speak for the author: where the author's domain asks for
    nothing against it (DMARC).
    """

    why: str
    detail: str = ""
    domain: str | None = None
    author: Address | None = None
    signers: tuple[Signer, ...] = ()


class Undetermined(msgspec.Struct, frozen=True, tag="undetermined"):
    """A lookup failed, so nothing may be concluded: the message is deferred (451 4.4.3)."""

    detail: str


Sender = Proven | Stranger | Undetermined


class VendorRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """The vendor behind a proven sender.

    ``id`` is the registered id; for an unregistered vendor its domain; for an author at a
    mailbox provider (whose domain is nobody's vendor) the author's address. ``domains`` are
    those it is known by beside the one that is proven: all of its own, where it showed its key.
    ``changed`` is when the proven domain last passed from one vendor to another, or to nobody;
    ``changes`` says the same of each of ``domains`` that did. ``chose_id``: it registered by
    itself, so its id is its own choice, and may be a person's name.
    """

    id: str
    name: str
    registered: bool
    domains: tuple[str, ...] = ()
    changed: datetime | None = None
    changes: tuple[tuple[str, datetime], ...] = ()
    chose_id: bool = False

    @property
    def last_changed(self) -> datetime | None:
        """When any domain that it is known by last changed hands."""
        every = (self.changed, *(at for _, at in self.changes))
        return max(filter(None, every), default=None)


def domains_of(sender: Proven, vendor: VendorRef) -> tuple[str, ...]:
    """The domains that rules may know a sender by, the proven one first.

    A key stands for all of its vendor's. Our own host name is never one of them, though API
    messages are written under it: it would be every vendor's.
    """
    if sender.how != "key":
        return (sender.domain,)
    theirs = any(is_below(sender.domain, domain) for domain in vendor.domains)
    return (sender.domain, *vendor.domains) if theirs else vendor.domains


def known_as(sender: Proven, vendor: VendorRef) -> frozenset[str]:
    """Every name that means a sender: the vendor's id, its domains and all above them."""
    names = {vendor.id}
    for domain in domains_of(sender, vendor):
        name = domain
        while name:
            names.add(name)
            name = name.partition(".")[2]
    return frozenset(names)
