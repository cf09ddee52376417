"""Text cut into words: folded for case and accents, in order, or each of them once."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from letterbox.model.fold import fold

#: Characters of a text that are looked at, so that a huge mail costs no more than a large one.
MAX_TEXT: Final = 256 * 1024
#: Longer runs of letters are no words of a language: they have no stem.
MAX_STEMMED: Final = 40

_WORD: Final = re.compile(r"[^\W_]+")
# Soft hyphens, zero-width characters and typographic apostrophes: they do not part words.
_INVISIBLE: Final = re.compile("[\u00ad\u02bc\u200b-\u200d\u2019\u2060\ufeff]")
# One pass over the bytes lowers ASCII letters and blanks what is no word; bytes from 0x80 on
# belong to other characters, which are looked at word by word.
_ASCII: Final = bytes(
    byte if byte > 0x7F else ord(chr(byte).lower()) if chr(byte).isalnum() else 0x20  # noqa: PLR2004
    for byte in range(256)
)

#: Words that are cut at once, and characters that have about as many.
_PIECE: Final = 500
_PIECE_CHARACTERS: Final = 4096


def split(text: str) -> list[str]:
    """The folded words of a text, in order; what lies beyond ``MAX_TEXT`` characters is left."""
    return words_of(flat_of(text))


def flat_of(text: str) -> str:
    """Runs of characters with spaces around each; those in ASCII are words as they are."""
    run = f" {text[:MAX_TEXT]} "
    return run.encode("utf-8", "replace").translate(_ASCII, b"'").decode()


def words_of(flat: str) -> list[str]:
    """The folded words of what :func:`flat_of` made, in order."""
    rough = flat.split()
    return rough if flat.isascii() else _all_folded(rough)


def _all_folded(runs: list[str]) -> list[str]:
    plain = [*map(str.isascii, runs)]
    words: list[str] = []
    done = 0
    # Most are words as they are, and are passed over together.
    for _ in range(plain.count(False)):
        odd = plain.index(False, done)
        words += runs[done:odd]
        words += _folded(runs[odd])
        done = odd + 1
    return words + runs[done:]


def _folded(run: str) -> tuple[str, ...]:
    """The words of a run of characters that are not all ASCII."""
    return _kept_folded(run) if len(run) <= MAX_STEMMED else _fold_apart(run)


def _fold_apart(run: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(fold(_INVISIBLE.sub("", run))))


_kept_folded: Final = lru_cache(maxsize=8192)(_fold_apart)


class Cut(NamedTuple):
    """What is asked of all words of a text. ``line`` has them as they are searched."""

    distinct: frozenset[str]
    opening: list[str]
    length: int
    line: str


def cut_up(flat: str) -> Cut:
    """Cut a text into words, piece by piece.

    What is kept of a text are its distinct words, a fraction. The others are gone before those of
    the next piece are made, in the same memory: all at once would be dearer to make and to let go
    than everything that is done with them.
    """
    rough = flat.split(None, _PIECE)
    rest = rough.pop() if len(rough) > _PIECE else ""
    opening = rough if flat.isascii() else _all_folded(rough)
    if not rest:
        return Cut(frozenset(opening), opening, len(opening), line_of(opening))
    distinct, length, lines = set(opening), len(opening), [" ".join(opening)]
    for piece in _pieces(rest):
        words = words_of(piece)
        distinct.update(words)
        length += len(words)
        if words:
            lines.append(" ".join(words))
        del words
    return Cut(frozenset(distinct), opening, length, line_of(lines))


def distinct_of(flat: str) -> frozenset[str]:
    """The words alone, where nobody asks for more: of what is long, that is most of the work."""
    distinct: set[str] = set()
    for piece in _pieces(flat):
        distinct.update(words_of(piece))
    return frozenset(distinct)


def _pieces(flat: str) -> Iterator[str]:
    """A text in pieces that end where a word does."""
    at = 0
    while at >= 0:
        end = flat.find(" ", at + _PIECE_CHARACTERS)
        yield flat[at:] if end < 0 else flat[at:end]
        at = end


def line_of(words: Iterable[str]) -> str:
    """Words as they are searched, with a space before and behind each."""
    return f" {' '.join(words)} "
