"""What a message says in words alone, where its sender declares nothing."""

import re
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from propcache.api import cached_property

from letterbox.model.kind import FREE_OF_INTERESTS, Kind
from letterbox.model.message import Categories, Offer
from letterbox.model.taxonomy import Taxonomy
from letterbox.reading import html
from letterbox.reading.amounts import is_american
from letterbox.reading.kinds import (
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
from letterbox.reading.phrases import Found, Phrase, Phrases, languages_of
from letterbox.reading.prices import Prices, discounts_in, prices_in
from letterbox.reading.signs import Signs
from letterbox.reading.topics import Met, Topics, topic_entries
from letterbox.reading.validity import sent_on, valid_until
from letterbox.reading.words import Language, Words

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
        self.sign_words = Phrases(sign_entries(signs))
        self.topic_words = Phrases(topic_entries(taxonomy))


class Prose:
    """One message's subject and text, read when first asked for.

    ``passages`` are the same in words; ``pages`` gives its HTML parts in UTF-8, ``marks`` what its
    header says, ``sent`` its Date.
    """

    def __init__(
        self,
        tables: Tables,
        subject: str,
        text: str,
        passages: Passages,
        *,
        pages: Callable[[], Iterable[bytes]] = tuple,
        marks: Marks = Marks(),  # noqa: B008 - frozen
        sent: str = "",
    ) -> None:
        self._tables = tables
        self._subject = subject
        self._text = text
        self._passages = passages
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
        passages, text = self._passages, self._text
        headings = [html.headings_in(page) for page in self._pages()]
        priced = [text[max(0, a.start - _AROUND) : a.start] for a in self._prices.asked]
        met = Met(
            subject=self._topics(passages.subject),
            prominent=self._topics(Words("\n".join((*headings, *priced)))),
            body=self._topics(passages.body),
            footer=self._topics(passages.footer),
        )
        return self._tables.topics.read(met, len(passages.body))

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """One for each price it asks, with the last day it names for all."""
        asked = self._prices.asked
        if not asked:
            return ()
        day_first = not is_american(self._text)
        until = valid_until(self._text, sent_on(self._sent), day_first=day_first)
        return tuple(Offer(origin="read", price=each.price, valid_until=until) for each in asked)

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
        length = len(self._passages.body)
        return weigh(self._in_subject, self._in_body, self._marks, length)

    @property
    def _is_maybe_service(self) -> bool:
        return any(sign.meaning == SERVICE_STRONG for sign in (*self._in_subject, *self._in_body))

    @cached_property
    def _in_subject(self) -> list[Phrase]:
        return self._signs(self._passages.subject)

    @cached_property
    def _in_body(self) -> list[Phrase]:
        return self._signs(self._passages.body)

    def _signs(self, words: Words) -> list[Phrase]:
        return self._tables.sign_words.present(words, self._languages)

    def _topics(self, words: Words) -> list[Found]:
        return self._tables.topic_words.find(words, self._languages)

    @cached_property
    def _languages(self) -> tuple[Language, ...]:
        """Those it may be in."""
        return languages_of(self._passages.subject, self._passages.body)
