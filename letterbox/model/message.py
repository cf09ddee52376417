"""What a message says, as the filters see it."""

from collections.abc import Set as AbstractSet
from datetime import date
from typing import Literal, Protocol

import msgspec

from letterbox.model.kind import Kind
from letterbox.model.money import Money

#: Where a fact comes from, best first: declared beats structured beats read.
Origin = Literal["declared", "structured", "read"]


class Offer(msgspec.Struct, frozen=True):
    """What is offered. Absent parts are None or empty; dates are inclusive, in local days."""

    origin: Origin
    title: str = ""
    brand: str | None = None
    price: Money | None = None
    region: str | None = None  # ISO 3166-1 alpha-2, upper case
    keywords: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    #: Where ``valid_until`` comes from, if from elsewhere than the rest.
    until_origin: Origin | None = None

    @property
    def last_day(self) -> date | None:
        """The last day it is of use, where the vendor says so: never a date read from text."""
        return None if (self.until_origin or self.origin) == "read" else self.valid_until


class Categories(msgspec.Struct, frozen=True):
    """Taxonomy ids a message belongs to, the main one first, and where that is known from.

    ``sure`` is False only for what was read and could be otherwise.
    """

    ids: tuple[str, ...] = ()
    origin: Origin = "declared"
    sure: bool = True


class Keyword(msgspec.Struct, frozen=True):
    """A word or phrase to look for. ``text`` as written; ``forms`` per word, as words are folded.

    A word of the message meets a word of the phrase when they share a form.
    """

    text: str
    forms: tuple[frozenset[str], ...]


class Words(Protocol):
    """The folded words of a message's subject and text, in order."""

    @property
    def distinct(self) -> AbstractSet[str]:
        """Each of them once."""
        ...

    def has(self, keyword: Keyword) -> bool:
        """Whether the keyword stands in the text, as whole words one after another."""
        ...

    def shared(self, forms: frozenset[str]) -> AbstractSet[str]:
        """Those of some forms that a word of the text has."""
        ...


class Addressees(msgspec.Struct, frozen=True):
    """Whom To and Cc name. ``shown`` is what they say, safe to show, maybe empty.

    ``mailboxes`` are folded, without subaddresses. ``whole`` is False where there may be more.
    """

    mailboxes: frozenset[str] = frozenset()
    shown: str = ""
    whole: bool = True


class Message(Protocol):
    """The facts of one message. Costly ones are read when first asked for, then kept."""

    @property
    def subject(self) -> str:
        """The decoded subject on one line, at most 998 characters."""
        ...

    @property
    def author_name(self) -> str:
        """The display name in From, decoded and safe to show; maybe empty."""
        ...

    @property
    def addressees(self) -> Addressees:
        """Whom To and Cc name."""
        ...

    @property
    def kind(self) -> Kind:
        """Declared, or as the header and the words read."""
        ...

    @property
    def kind_origin(self) -> Origin:
        """Where the kind comes from."""
        ...

    @property
    def categories(self) -> Categories:
        """What it is about, in taxonomy ids."""
        ...

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The offers it carries; declared ones alone where there are any."""
        ...

    @property
    def words(self) -> Words:
        """Subject and text, folded."""
        ...
