"""What was seen of old mail, and the relationships that it suggests.

Nothing here is proven: who wrote a mail of long ago is what its header says. So a proposal names
a domain or an address, and never lets anybody else's signature speak for it.
"""

from datetime import datetime
from typing import Literal

import msgspec

from letterbox.model.address import Address
from letterbox.model.kind import Kind
from letterbox.model.preferences import Limits, Standing, VendorRule

#: What a person makes of a proposal: the rule without its limit, the rule as it is suggested,
#: a block, or nothing.
Do = Literal["allow", "limit", "lock-out", "leave"]


class Sighting(msgspec.Struct, frozen=True):
    """One mail that came. ``name`` is what its author calls itself, safe to show, maybe empty.

    ``at`` is when it was sent, None where that is not to be believed; ``signers`` are domains that
    say they signed it, where none of them is the author's own: it came by way of a platform.
    """

    author: Address
    name: str
    kind: Kind
    at: datetime | None
    signers: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """All sightings of one domain or address, counted; a stored form.

    ``names``, ``authors`` and ``signers`` hold the first of them that were met, a few, and how
    often each was.
    """

    kinds: dict[Kind, int] = {}
    names: dict[str, int] = {}
    authors: dict[str, int] = {}
    signers: dict[str, int] = {}
    first: datetime | None = None
    last: datetime | None = None

    @property
    def count(self) -> int:
        """How many mails there were."""
        return sum(self.kinds.values())


class Proposal(msgspec.Struct, frozen=True):
    """A company or a person who wrote, and the relationship that is suggested with them.

    ``domain`` is the registered domain (for a person, the one their ``address`` is in);
    ``vendor`` the id where a registered vendor has it. ``per_month`` is over the time from the
    first mail to the last, a month at least. ``standing`` is that of the relationship there is
    already, and ``known`` whether there is one.
    """

    domain: str
    address: str | None
    vendor: str | None
    name: str
    kinds: dict[Kind, int]
    count: int
    first: datetime | None
    last: datetime | None
    per_month: float
    authors: tuple[str, ...]
    signers: tuple[str, ...]
    rule: VendorRule
    known: bool = False
    standing: Standing | None = None

    @property
    def key(self) -> str:
        """What it is called in a list of choices: the address of a person, else the domain."""
        return self.address or self.domain

    @property
    def is_person(self) -> bool:
        """Whether it is about one who writes to people, rather than a company."""
        return self.address is not None


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person chose of a proposal; None takes what was suggested.

    ``limit`` counts for ``limit`` alone.
    """

    do: Do
    accepts: tuple[Kind, ...] | None = None
    limit: Limits | None = None
