"""A message's text in the parts that count differently: its subject, its body, its last lines."""

import msgspec

from letterbox.reading.phrases import languages_of
from letterbox.reading.signs import Signs
from letterbox.reading.words import Language, split

# The last lines begin in the later part of a text, and not further from its end than this.
_EARLIEST = 0.35
_LONGEST_FOOTER = 5_000  # characters
# What a message is shows in its first 5,000 words; what is dear is done with those alone.
_LONGEST_BODY = 32_000  # characters


class Passages(msgspec.Struct, frozen=True):
    """Folded words, in order. ``leaving``: the text says how not to get such mail any more."""

    subject: list[str]
    body: list[str]
    footer: list[str]
    languages: tuple[Language, ...]
    leaving: bool


def passages_of(subject: str, text: str, signs: Signs) -> Passages:
    """Part a text, in one look for each of a few dozen marks."""
    lower = text.lower()
    start = max(int(_EARLIEST * len(lower)), len(lower) - _LONGEST_FOOTER)
    # In a short text it may stand anywhere, in a long one that would be said of something else.
    leaving = _places(lower, signs.leaving, 0 if len(lower) < _LONGEST_FOOTER else start)
    cut = min(
        (*(at for at in leaving if at >= start), *_places(lower, signs.footer, start)),
        default=len(lower),
    )
    # Lower case may be longer than what it was made of; by so little that it does not matter here.
    title, body = split(subject), split(text[: min(cut, _LONGEST_BODY)])
    return Passages(
        subject=title,
        body=body,
        footer=split(text[cut:]),
        languages=languages_of([*title, *body]),
        leaving=bool(leaving),
    )


def _places(text: str, marks: tuple[str, ...], start: int) -> list[int]:
    return [at for mark in marks if (at := text.find(mark, start)) >= 0]
