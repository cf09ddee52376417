"""A message's text in the parts that count differently: its subject, its body, its last lines."""

import msgspec
from ahocorasick_rs import BytesAhoCorasick

from letterbox.reading.cut import MAX_STEMMED
from letterbox.reading.signs import Signs
from letterbox.reading.words import Words

# The last lines begin in the later part of a text, and not further from its end than this.
_EARLIEST = 0.35
_LONGEST_FOOTER = 5_000  # characters
# What a message is shows in its first 2,000 words; what is dear is done with those alone.
_LONGEST_BODY = 12_000  # characters


class Passages(msgspec.Struct, frozen=True):
    """All words of a message, each in one passage.

    ``rest`` stands between body and footer where the text is long. ``leaving``: the text says how
    not to get such mail any more.
    """

    subject: Words
    body: Words
    rest: Words
    footer: Words
    leaving: bool


class Parting:
    """Parts texts at the marks of their last lines: tables of signs, compiled once."""

    def __init__(self, signs: Signs) -> None:
        marks = (*signs.leaving, *signs.footer)
        self._marks = BytesAhoCorasick([mark.encode() for mark in marks])
        self._leaving = len(signs.leaving)

    def part(self, subject: str, text: str) -> Passages:
        """The passages of a message."""
        start = max(int(_EARLIEST * len(text)), len(text) - _LONGEST_FOOTER)
        # In a short text how to leave may stand anywhere; in a long one that is said of others.
        first = 0 if len(text) < _LONGEST_FOOTER else start
        lower = text[first:].lower()
        # In octets it takes two thirds of the time. UTF-7 may say what is no character.
        looked = lower.encode("utf-8", "replace")
        earliest = len(lower[: start - first].encode("utf-8", "replace"))
        marks = self._marks.find_matches_as_indexes(looked, overlapping=True)
        cut = len(text)
        if of_footer := [at for _, at, _ in marks if at >= earliest]:
            cut = first + len(looked[: min(of_footer)].decode())
        # Lower case may be longer than what it was made of; by so little that it matters not.
        cut = _word_start(text, cut)
        end = min(cut, _word_start(text, _LONGEST_BODY))
        return Passages(
            subject=Words(subject),
            body=Words(text[:end]),
            rest=Words(text[end:cut]),
            footer=Words(text[cut:]),
            leaving=any(nth < self._leaving for nth, _, _ in marks),
        )


def _word_start(text: str, at: int) -> int:
    """Where the word begins that ``at`` stands in the midst of, so that no word is cut in two."""
    if at >= len(text):
        return len(text)
    start = at
    while start > 0 and not text[start - 1].isspace():
        start -= 1
        if at - start > MAX_STEMMED:  # no word is as long
            return at
    return start
