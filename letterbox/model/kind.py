"""What sort of mail a message is."""

from collections.abc import Iterable
from enum import StrEnum


class Kind(StrEnum):
    """The four kinds a consumer can accept, limit and give windows to."""

    SERVICE = "service"
    OFFER = "offer"
    NEWSLETTER = "newsletter"
    PERSONAL = "personal"


#: The kinds that windows, pauses, interests and ordinary limits speak of.
RULED_KINDS = frozenset({Kind.OFFER, Kind.NEWSLETTER, Kind.PERSONAL})

#: The kinds that interests do not judge, so that to call itself one is a claim to be doubted.
FREE_OF_INTERESTS = frozenset({Kind.SERVICE, Kind.PERSONAL})


def kinds_named(kinds: Iterable[Kind]) -> str:
    """Several kinds as one name, in one order: part of what a counter is called."""
    return "+".join(sorted(kinds))
