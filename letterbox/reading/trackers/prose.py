"""Plain text cleaned of what its addresses tell of the reader, and what it says of them."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final, NamedTuple

from letterbox.model.fold import fold
from letterbox.reading.trackers.cleaned import CleanedText
from letterbox.reading.trackers.judging import Judge

_URL: Final = re.compile(r"(?i)\bhttps?://[^\s<>\"'`\\^{}|]++")
_LABEL: Final = re.compile(r"\[([^\[\]\n]{1,200})\]\(\Z")
_WORDS: Final = re.compile(r"[^\W_]+")
_TRAILING: Final = ".,;:!?*_"
_BRACKETS: Final = {")": "(", "]": "["}
_BEFORE: Final = 300
_MOST_TOLD: Final = 500


class _Link(NamedTuple):
    """An address in a text, what is written on it and what else is said of it."""

    start: int
    address: str
    label: str
    before: str


def clean_text(text: str, judge: Judge) -> CleanedText:
    """Plain text without what its addresses tell of the reader, and what was found.

    Where an address has to go, ``[...]`` stands in its place.
    """
    pieces: list[str] = []
    at = 0
    for link in _links(text):
        put = judge.link(link.address, link.label, partial(str, link.before))
        if put != link.address:
            pieces += (text[at : link.start], "[...]" if put is None else put)
            at = link.start + len(link.address)
    cleaned = "".join((*pieces, text[at:])) if pieces else text
    return CleanedText(cleaned, judge.notes.found())


def told_in(text: str) -> dict[str, str]:
    """Where a text's links lead, by what is written on them; nothing where that is not clear.

    The names are as :class:`Judge` compares them.
    """
    told: dict[str, str] = {}
    unclear: set[str] = set()
    for link in _links(text):
        said = " ".join(_WORDS.findall(fold(link.label)))
        if not said or not link.address.isascii():
            continue
        if told.setdefault(said, link.address) != link.address:
            unclear.add(said)
        if len(told) >= _MOST_TOLD:
            break
    return {said: address for said, address in told.items() if said not in unclear}


def _links(text: str) -> Iterator[_Link]:
    for found in _URL.finditer(text):
        address = _trimmed(found[0])
        start = found.start()
        line = text.rfind("\n", max(0, start - _BEFORE), start) + 1 or max(0, start - _BEFORE)
        before = text[line:start]
        if label := _LABEL.search(before):
            said = label[1]
        else:
            # "Our shop (https://…)", or the line above an address that stands alone.
            said = before.strip().rstrip("(<[:").strip(" *")
            if not said and line:
                said = text[max(0, line - _BEFORE) : line - 1].rstrip("\r\n").rpartition("\n")[2]
        yield _Link(start, address, said.strip(), before)


def _trimmed(address: str) -> str:
    """Without the marks that belong to the sentence around it."""
    while address:
        last = address[-1]
        if last in _TRAILING or (
            last in _BRACKETS and address.count(_BRACKETS[last]) < address.count(last)
        ):
            address = address[:-1]
        else:
            break
    return address
