"""Interests in their fast form, found by what a message is about."""

from collections.abc import Mapping
from datetime import date
from typing import Final, Literal

import msgspec

from letterbox.model.message import Keyword, Message
from letterbox.model.money import Money

#: As few interests that only words can meet are asked one by one: a word that stands in a text
#: as it was written is found without taking the text apart.
_FEW: Final = 4


class Interest(msgspec.Struct, frozen=True):
    """A compiled interest. Empty parts state nothing."""

    id: str
    categories: frozenset[str]  # every id covered, those below included
    any_words: tuple[Keyword, ...]
    all_words: tuple[Keyword, ...]
    no_words: tuple[Keyword, ...]
    brands: Mapping[str, str]  # folded name -> as written
    brand_words: tuple[Keyword, ...]  # the same, for mail that declares no brand
    max_price: Money | None
    regions: tuple[str, ...]
    from_: date | None
    until: date | None
    vendors: frozenset[str]  # vendor ids and domains
    open_to: Literal["allowed", "anyone"]
    declared_only: bool


class Interests(msgspec.Struct, frozen=True):
    """All interests of a consumer, and which of them a message may meet.

    Places count in ``each``. An interest stands in one of three: under every category it
    covers; without categories, under every form of one word it cannot do without; or else it
    may be met by any message.
    """

    each: tuple[Interest, ...] = ()
    by_id: Mapping[str, Interest] = {}
    by_category: Mapping[str, tuple[int, ...]] = {}
    by_form: Mapping[str, tuple[int, ...]] = {}
    forms: frozenset[str] = frozenset()
    worded: tuple[int, ...] = ()  # all that stand under a form
    always: tuple[int, ...] = ()
    by_topic: bool = False  # whether any asks what a message is about

    def near(self, message: Message) -> list[Interest]:
        """Every interest whose topic the message may meet, and few that it does not.

        In the order they were declared. The work grows with those found, and with the smaller
        of the words of the message and the words that are asked for.
        """
        found = set(self.always)
        if self.by_category:
            for category in message.categories.ids:
                found.update(self.by_category.get(category, ()))
        if len(self.worded) <= _FEW:
            found.update(self.worded)
        else:
            for form in message.words.shared(self.forms):
                found.update(self.by_form[form])
        return [self.each[place] for place in sorted(found)]
