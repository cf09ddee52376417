"""What a message says in words alone, where its sender declares nothing."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Final

import msgspec

from letterbox.model.kind import FREE_OF_INTERESTS, Kind
from letterbox.model.message import Categories, Offer
from letterbox.model.taxonomy import Taxonomy
from letterbox.reading import html
from letterbox.reading.amounts import is_american
from letterbox.reading.kinds import (
    MEANINGS,
    SERVICE_STRONG,
    Marks,
    Weights,
    is_unlikely,
    kind_of,
    sign_entries,
    weigh,
)
from letterbox.reading.numbers import numbers_in
from letterbox.reading.passages import Parting, Passages
from letterbox.reading.phrases import Found, Phrases
from letterbox.reading.prices import Prices, discounts_in, prices_in
from letterbox.reading.signs import Signs
from letterbox.reading.topics import Met, Topics, topic_entries
from letterbox.reading.validity import valid_until
from letterbox.reading.words import Language, split

# Around a price stands what it is for.
# "Re:" in English, Dutch and German, behind the name of a mailing list.
_ANSWER: Final = re.compile(r"(?i)(?:\[[^\]]{1,40}\]\s*)?(?:re|antw|betr|aw)\s?:")
_AROUND: Final = 80  # characters before it


class Tables:
    """What words mean, compiled once: signs of a kind, and the search words of the taxonomy."""

    def __init__(self, taxonomy: Taxonomy, signs: Signs) -> None:
        self.roles = signs.roles
        self.parting = Parting(signs)
        self.topics = Topics(taxonomy)
        # One table for both, so that a text is gone through once.
        self._phrases = Phrases((*sign_entries(signs), *topic_entries(taxonomy)))

    def find(self, words: Sequence[str], languages: tuple[Language, ...]) -> "_Met":
        """What stands in a text of these languages; of none, only as written."""
        found = self._phrases.find(words, languages)
        return _Met(
            signs=[each for each in found if each.phrase.meaning in MEANINGS],
            topics=[each for each in found if each.phrase.meaning not in MEANINGS],
        )


class _Met(msgspec.Struct, frozen=True):
    signs: list[Found]
    topics: list[Found]


class Prose:
    """One message's subject and text, read when first asked for.

    ``pages`` are its HTML parts in UTF-8, ``marks`` what its header says, ``sent`` the day it
    says it was sent.
    """

    def __init__(
        self,
        tables: Tables,
        subject: str,
        text: str,
        *,
        pages: Sequence[bytes] = (),
        marks: Marks = Marks(),  # noqa: B008 - frozen
        sent: date | None = None,
    ) -> None:
        self._tables = tables
        self._subject = subject
        self._text = text
        self._pages = pages
        self._header = marks
        self._sent = sent

    @property
    def kind(self) -> Kind:
        """The kind it reads as."""
        return kind_of(self._weights, self._marks)

    def belies(self, kind: Kind) -> bool:
        """Whether the words show unmistakably that it is not of a kind that it claims."""
        return kind in FREE_OF_INTERESTS and is_unlikely(self._weights)

    @cached_property
    def categories(self) -> Categories:
        """What it is about, as far as its words leave no doubt."""
        headings = [split(html.headings_in(page)) for page in self._pages]
        priced = [
            split(self._text[max(0, a.start - _AROUND) : a.start]) for a in self._prices.asked
        ]
        prominent = [word for words in (*headings, *priced) for word in words]
        met = Met(
            subject=self._in_subject.topics,
            prominent=self._find(prominent).topics,
            body=self._in_body.topics,
            footer=self._find(self._passages.footer).topics,
        )
        return self._tables.topics.read(met, len(self._passages.body))

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """One for each price it asks, with the last day it names for all."""
        asked = self._prices.asked
        if not asked:
            return ()
        until = valid_until(self._text, self._sent, day_first=not is_american(self._text))
        return tuple(Offer(origin="read", price=each.price, valid_until=until) for each in asked)

    @cached_property
    def _passages(self) -> Passages:
        return self._tables.parting.part(self._subject, self._text)

    @cached_property
    def _prices(self) -> Prices:
        return prices_in(self._text)

    @cached_property
    def _marks(self) -> Marks:
        return msgspec.structs.replace(
            self._header,
            to_many=self._header.to_many or self._passages.leaving,
            answers=self._header.answers or bool(_ANSWER.match(self._subject)),
            named=self._prices.named,
            named_in_subject=prices_in(self._subject).named > 0,
            # They count beside other signs of service alone, and are dear to look for.
            numbers=numbers_in(self._text) if self._is_maybe_service else 0,
            reduced=self._prices.reduced,
            percents=discounts_in(self._text),
        )

    @cached_property
    def _weights(self) -> Weights:
        body = self._in_body.signs
        return weigh(self._in_subject.signs, body, self._marks, len(self._passages.body))

    @property
    def _is_maybe_service(self) -> bool:
        signs = (*self._in_subject.signs, *self._in_body.signs)
        return any(found.phrase.meaning == SERVICE_STRONG for found in signs)

    @cached_property
    def _in_subject(self) -> _Met:
        return self._find(self._passages.subject)

    @cached_property
    def _in_body(self) -> _Met:
        return self._find(self._passages.body)

    def _find(self, words: Sequence[str]) -> _Met:
        return self._tables.find(words, self._passages.languages)
