"""What text looks like: the same for all that people confuse (UTS #39, section 4)."""

from collections.abc import Mapping, Sequence
from functools import cache

from confusable_homoglyphs.confusables import confusables_data

from letterbox.model.fold import fold

#: Characters of a text that are looked at.
MOST = 400
_ALIKE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#: Beside Unicode's: digits that are read as letters, and an i that is taken for an l.
_OURS = {"i": "l", "1": "l", "|": "l", "!": "l", "0": "o", "3": "e", "4": "a", "5": "s", "8": "b"}
#: Letters to Unicode that nobody sees: fillers of Hangul syllables.
_BLANK = dict.fromkeys((0x115F, 0x1160, 0x3164, 0xFFA0))
_RUNS = (("rn", "m"), ("vv", "w"), ("cl", "d"))


@cache
def _prototypes() -> Mapping[str, str]:
    """The small ASCII letter that a character is confused with, by Unicode's data."""
    table = {character: _OURS.get(character.lower(), character.lower()) for character in _ALIKE}
    data: Mapping[str, Sequence[Mapping[str, str]]] = confusables_data
    for prototype in (*_ALIKE, "rn"):
        small = "m" if prototype == "rn" else table[prototype]
        for each in data.get(prototype, ()):
            character = each["c"].strip("\u200e")  # right-to-left ones are wrapped in marks
            if len(character) == 1:
                table.setdefault(character, small)
    return table | _OURS


@cache
def _plain() -> Mapping[int, str | None]:
    """The same of ASCII alone; None is left out."""
    table = _prototypes()
    return {code: table.get(chr(code)) for code in range(128)}


def letters(text: str) -> str:
    """Letters and digits as they look, one for one as far as may be; all else goes."""
    text = text[:MOST]
    if text.isascii():
        return text.translate(_plain())
    table = _prototypes()
    seen: list[str] = []
    for character in text.translate(_BLANK):
        known = table.get(character)
        if known is not None:
            seen.append(known)
        elif not character.isascii():
            seen += (table.get(part, part) for part in fold(character))
    return "".join(filter(str.isalnum, seen))


def skeleton(text: str) -> str:
    """:func:`letters`, where two that are read as one are one: ``rn`` is ``m``."""
    seen = letters(text)
    for two, one in _RUNS:
        seen = seen.replace(two, one)
    return seen


def skeletons(text: str) -> frozenset[str]:
    """The skeletons of a text as written and in small letters, which may look like others."""
    if text.isascii():
        return frozenset(filter(None, (skeleton(text),)))
    return frozenset(filter(None, (skeleton(text), skeleton(text.casefold()))))
