"""The text of HTML, and the structured facts within it, in one linear pass each.

Not a parser, on purpose. The tree that HTML asks for (WHATWG, section 13.2.6) can be made to
cost the square of the input, in memory too: nested blocks, unclosed formatting and repeated
attributes each bring a real parser down with 60 KB. Searching for words needs no tree.
"""

import re
from html.entities import html5
from itertools import islice

# What is not shown begins so, and ends with the mark beside it or at the end.
_UNSEEN = re.compile(rb"<(?:!--|(?:script|style|title)(?=[\s/>]))")
_CLOSING = {b"<!--": b"-->", b"<script": b"</script", b"<style": b"</style", b"<title": b"</title"}
_SCRIPT = re.compile(rb"<script\b([^>]*+)>")
# These stand within words; all other tags part them. Most are others, and go by their first letter
# in half the time that all these names take.
_INLINE = re.compile(
    r"</?(?=[abefimsuw])"
    r"(?:a|abbr|b|big|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)(?:\s[^>]*+)?(?:>|\Z)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[a-zA-Z/!?][^>]*+(?:>|\Z)")
# What pictures show, for those who see none: a reader takes it for text.
_PICTURE = re.compile(r"<img\b([^>]*+)(?:>|\Z)", re.IGNORECASE)
_ALT = re.compile(r"""\salt\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""", re.IGNORECASE)
_MAX_ALT = 300  # characters
# Shops write 12.95 with small raised cents.
_CENTS = re.compile(r"([0-9])[.,]?\s?<sup\b[^>]*+>\s?([0-9]{2})\s?</sup>", re.IGNORECASE)
# Headings, links and what is heavy: where a mail says in few words what it is about.
_HEADING = re.compile(r"<(?:h[1-4]|a|strong|b)\b[^>]*+>", re.IGNORECASE)
_HEADING_END = re.compile(r"</(?:h[1-4]|a|strong|b|td|p|div)\b", re.IGNORECASE)
_MAX_HEADINGS = 150
_MAX_HEADING = 300  # characters, tags within it included
_REFERENCE = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-zA-Z][a-zA-Z0-9]{1,30}));?")
_C1 = range(0x80, 0xA0)
_NONE = frozenset((0, *range(0xD800, 0xE000)))
_LAST = 0x10FFFF


def text_of(html: bytes) -> str:
    """What a reader would see of HTML in UTF-8, as plain text; layout is lost."""
    return _plain(_seen(html).decode("utf-8", "replace"))


def headings_in(html: bytes) -> str:
    """The text of headings, links and pictures, a line each, up to a bound."""
    seen = _seen(html).decode("utf-8", "replace")
    found: list[str] = []
    opening = _HEADING.search(seen)
    while opening and len(found) < _MAX_HEADINGS:
        most = opening.end() + _MAX_HEADING
        closing = _HEADING_END.search(seen, opening.end(), most)
        end = closing.start() if closing else min(most, len(seen))
        found.append(seen[opening.end() : end])
        opening = _HEADING.search(seen, end)
    found += [picture[0] for picture in islice(_PICTURE.finditer(seen), _MAX_HEADINGS)]
    return _plain("\n".join(found))


def _plain(seen: str) -> str:
    text = _PICTURE.sub(_alternative, seen) if "<" in seen else seen
    if "sup>" in text:
        text = _CENTS.sub(r"\1,\2", text)
    return _unescape(_TAG.sub(" ", _INLINE.sub("", text)))


def _alternative(picture: re.Match[str]) -> str:
    attributes = picture[1]
    # Nearly all are written so, and a search for what is rarer is dear.
    _, written, rest = attributes.partition(' alt="')
    said = rest.partition('"')[0]
    if not written and "alt" in attributes.lower() and (found := _ALT.search(attributes)):
        said = found[1] or found[2] or ""
    return f" {said[:_MAX_ALT]} "


def structured_in(html: bytes) -> list[bytes]:
    """The contents of ``<script type="application/ld+json">`` (JSON-LD 1.1, section 7)."""
    # One octet is found thirty times as fast as a word, and few pages have a plus sign at all.
    if b"+" not in html or b"ld+json" not in (lower := html.lower()):
        return []
    return [
        html[opening.end() : end]
        for start, end in _unseen(lower)
        if (opening := _SCRIPT.match(lower, start)) and b"application/ld+json" in opening[1]
    ]


def _seen(html: bytes) -> bytes:
    kept: list[bytes] = []
    at = 0
    for start, end in _unseen(html.lower()):
        kept.append(html[at:start])
        # A comment's mark is no tag, so it goes with the comment.
        at = end + 3 if html.startswith(b"-->", end) else end
    kept.append(html[at:])
    return b" ".join(kept)


def _unseen(lower: bytes) -> list[tuple[int, int]]:
    """Stretches that are not shown, from their opening mark up to the closing one."""
    found: list[tuple[int, int]] = []
    opening = _UNSEEN.search(lower)
    while opening:
        end = lower.find(_CLOSING[opening[0]], opening.end())
        end = len(lower) if end < 0 else end
        found.append((opening.start(), end))
        opening = _UNSEEN.search(lower, end)
    return found


def _unescape(text: str) -> str:
    return _REFERENCE.sub(_referred, text) if "&" in text else text


def _referred(reference: re.Match[str]) -> str:
    decimal, hexadecimal, name = reference.groups()
    if name:
        return html5.get(name + ";", reference[0])
    number = int(decimal) if decimal else int(hexadecimal, 16)
    # NUL, surrogates and what lies beyond Unicode stand for no character, and the C1 controls for
    # what Windows-1252 has in their place (WHATWG, section 13.2.5.80).
    if number in _C1:
        return bytes((number,)).decode("cp1252", "replace")
    return "\ufffd" if number in _NONE or number > _LAST else chr(number)
