"""Vendors as they are registered here: what was declared of them, and what they have proven."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from letterbox.model.preferences import Reply, Vendor, Word

#: What a key may be used for: sending, reading the feed, or managing domains and keys.
Scope = Literal["send", "feedback", "manage"]

#: How a vendor came to have a domain: the operator says so, or a record in the DNS.
Basis = Literal["operator", "dns"]

#: How a claim stands: nothing found yet, proven, or proven once and not found any more.
ClaimState = Literal["pending", "proven", "failing"]

Because = Annotated[str, msgspec.Meta(max_length=200)]


class Suspension(msgspec.Struct, frozen=True):
    """The operator has suspended a vendor: nothing of its is taken. ``because`` is for both."""

    at: datetime
    because: str = ""

    @property
    def why(self) -> str:
        """What the vendor is told of it."""
        return self.because or "ask its operator why"


class Chosen(msgspec.Struct, frozen=True):
    """What a vendor has chosen itself: how refusals that are not final are answered.

    ``by`` is the public prefix of the key that said so, or ``session`` where somebody said so who
    was signed in to the pages. For ``report`` this is its agreement.
    """

    reply: Reply
    at: datetime
    by: str


class Registered(Vendor, frozen=True, kw_only=True):
    """A registered vendor as it is stored.

    ``domains`` are those the operator gave it, ``proven`` those it has proven by itself, folded.
    ``registered`` is by whom: one that registered by itself has no say before it has proven a
    domain. ``had_domain``: it has proven one before, so that wishes may speak of it: its id is
    never another's.
    """

    proven: tuple[Word, ...] = ()
    had_domain: bool = False
    registered: Literal["operator", "self"] = "operator"
    at: datetime | None = None
    suspended: Suspension | None = None
    #: Counts in place of ``reply``, until the operator says something else than before.
    chosen: Chosen | None = None

    @property
    def effective_reply(self) -> Reply:
        """How refusals that are not final are answered to it."""
        return self.chosen.reply if self.chosen else self.reply

    @property
    def own_domains(self) -> tuple[str, ...]:
        """Its domains as they are compared, however it came to have them."""
        return tuple(dict.fromkeys((*self.given_domains, *self.proven)))

    @property
    def given_domains(self) -> tuple[str, ...]:
        """Those it has by the operator's word, as they are compared."""
        return super().own_domains

    @property
    def is_nobody_yet(self) -> bool:
        """Whether nothing at all is known of who this is."""
        return self.registered == "self" and not self.own_domains


class DomainClaim(msgspec.Struct, frozen=True):
    """A domain that a vendor says is its own, and how far that is proven.

    ``token`` is what the TXT record must hold. ``checked`` is when the DNS last gave an answer,
    ``failing`` since when it has given one without the record.
    """

    domain: str
    token: str
    asked: datetime
    state: ClaimState = "pending"
    proven: datetime | None = None
    checked: datetime | None = None
    failing: datetime | None = None
