"""HTML cleaned where it stands: addresses in it are changed, and not a byte beside them.

Tags and attributes are found as browsers find them (WHATWG, section 13.2.5), in one pass and
without a tree: the tree can cost the square of the input, and writing it out anew would change
what a mail program shows. What is no tag to a browser (a comment, the text of a style) is looked
into all the same, since some mail programs take it for one.
"""

import re
from collections.abc import Iterator
from functools import partial
from html import escape, unescape
from html.entities import html5
from typing import Final, NamedTuple

from letterbox.reading.html import text_of
from letterbox.reading.trackers.cleaned import CleanedText, Why
from letterbox.reading.trackers.judging import Judge

_S: Final = r"[\t\n\f\r ]"
_NAME: Final = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
_VALUE: Final = rf"{_S}*+={_S}*+(?:\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'][^\t\n\f\r >]*+|(?=>))"
_TAG: Final = re.compile(
    rf"<(/?+[a-zA-Z][^\t\n\f\r />]*+)((?:[\t\n\f\r /]++|{_NAME}(?:{_VALUE}|(?!{_S}*+=)))*+)>"
)
_ATTRIBUTE: Final = re.compile(
    rf"({_NAME})(?:{_S}*+={_S}*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*+))?+)?+"
)
_MARK: Final = re.compile(r"<(?:!--|[a-zA-Z]|/[a-zA-Z]|[!?/])")
_BEGUN: Final = re.compile(r"</?+[a-zA-Z]")
_COMMENT_END: Final = re.compile(r"--!?>")
#: What is in them is text, in which no tag begins.
_TEXT: Final = ("script", "style", "title", "textarea", "xmp", "noembed", "noframes")
_SCRIPT: Final = re.compile("<script", re.IGNORECASE)
_TEXT_END: Final = {name: re.compile(f"</{name}", re.IGNORECASE) for name in _TEXT}
#: What no address is in: text, ends, and tags that say no more than how they look. It is gone
#: through in one stride, since nine of ten tags of a newsletter are such.
_PLAIN: Final = re.compile(
    rf"(?i)(?:[^<]++|</[a-z][a-z0-9]*+>|<(?!{'|'.join(_TEXT)})[a-z][a-z0-9]*+(?:{_S}++(?:style|class|id"
    r"|width|height|border|align|valign|bgcolor|cellpadding|cellspacing|colspan|rowspan|role|lang|dir"
    rf"|color|face|size)=\"[^\"&/\\]*+\")*+{_S}*+/?>)++"
)
_FETCHED: Final = frozenset(
    ("src", "background", "poster", "data", "lowsrc", "dynsrc", "xlink:href", "imagesrc")
)
_SETS: Final = frozenset(("srcset", "imagesrcset"))
_FOLLOWED: Final = frozenset(("a", "area", "form", "button", "input"))
_QUOTE: Final = r"(?:quot|apos|#0*+3[49]|#x0*+2[27]);"
#: No address goes on into the next one, so that what does not end is gone through once.
#: A reference in an attribute: a whole name, and none where "=" follows it without a ";".
_ESCAPED: Final = re.compile(r"&((?:#[0-9a-zA-Z]++|[a-zA-Z][0-9a-zA-Z]*+(?!=));?)")
_STYLE_URL: Final = re.compile(
    rf"""url\(\s*+(?:["']|&{_QUOTE})?+\s*+"""
    rf"""((?:https?:)?+//(?:[^"'()\s<>&]++|&(?!{_QUOTE})|(?<!url)\()*+)"""
    rf"""\s*+(?:["']|&{_QUOTE})?+\s*+\)""",
    re.IGNORECASE,
)
_LOOKED_AT: Final = (
    _FETCHED
    | _SETS
    | frozenset(("href", "action", "formaction", "ping", "style", "width", "height", "hidden"))
)
_PX: Final = re.compile(r"\s*+([0-9]{1,5})(?:\.[0-9]*+)?+\s*+(?:px)?+\s*+\Z", re.IGNORECASE)
_SIZES: Final = re.compile(
    r"(?:^|[;\s])(max-)?(width|height)\s*+:\s*+([0-9]{1,5})(?:\.[0-9]*+)?+\s*+(?:px|pt)?+\s*+(?=!|;|\Z)",
    re.IGNORECASE,
)
_HIDDEN: Final = re.compile(
    r"(?:^|[;\s])(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden|opacity\s*+:\s*+0?\.?0*+\s*+(?=!|;|\Z))",
    re.IGNORECASE,
)
_PICTURES: Final = frozenset(("img", "image", "amp-img", "amp-pixel", "input"))
#: Smaller than this both ways nobody sees it.
_TINY: Final = 3
_END: Final = re.compile(r"</?a[\t\n\f\r />]", re.IGNORECASE)
_LONGEST_TEXT: Final = 2_000
_BEFORE: Final = 600
#: One transparent pixel: what is laid out around a picture stays where it was.
BLANK: Final = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


class _Attribute(NamedTuple):
    """An attribute where it stands. ``value`` is as it is read; None where it has none."""

    name: str
    value: str
    start: int
    end: int
    value_at: tuple[int, int]


def clean_html(html: str, judge: Judge) -> CleanedText:
    """HTML without what tells of its reader, and what was found.

    What comes out is read as it was, but for the addresses that are taken out or changed, and is
    at most eight times as long. Cleaned again it stays as it is.
    """
    cleaning = _Cleaning(html, judge)
    cleaning.through()
    return CleanedText(cleaning.text(), judge.notes.found())


class _Cleaning:
    """One way through HTML, collecting what is to stand elsewhere."""

    def __init__(self, html: str, judge: Judge) -> None:
        self._html, self._judge = html, judge
        self._edits: list[tuple[int, int, str]] = []
        # A tag may have very many addresses, and what is written on it is read once.
        self._written, self._written_at = "", -1

    def text(self) -> str:
        if not self._edits:
            return self._html
        pieces: list[str] = []
        at = 0
        for start, end, put in sorted(self._edits):
            if start < at:  # what is a tag to one and a style to another was looked at twice
                continue
            pieces += (self._html[at:start], put)
            at = end
        return "".join((*pieces, self._html[at:]))

    def through(self) -> None:
        html, at = self._html, 0
        while at < len(html):
            if plain := _PLAIN.match(html, at):
                at = plain.end()
            mark = _MARK.match(html, at)
            if mark is None:
                at += 1
                continue
            if mark[0] == "<!--":
                # "<!-->" is all of one (section 13.2.5.43).
                closing = _COMMENT_END.search(html, at + 2)
                end = closing.start() if closing else len(html)
                self._flat(min(at + 4, end), end)
                at = closing.end() if closing else end
            elif mark[0] in {"<!", "<?", "</"}:
                at = html.find(">", at) + 1 or len(html)
            else:
                tag = _TAG.match(html, at)
                if tag is None:
                    # It does not end, and no browser shows anything from here on.
                    return
                at = tag.end()
                self._tag(tag)
                name = tag[1].lower()
                if name in _TEXT_END:
                    closing = _TEXT_END[name].search(html, at)
                    end = closing.start() if closing else len(html)
                    if name == "style":
                        self._urls(at, end, quoted=False)
                    # Where a script ends hangs on whether another seems to begin in it
                    # (section 13.2.5.26).
                    if name != "script" or not _SCRIPT.search(html, at, end):
                        self._flat(at, end)
                    at = end

    def _flat(self, start: int, end: int) -> None:
        """Look at the tags in what is none to a browser."""
        while (start := self._html.find("<", start, end)) >= 0:
            tag = _TAG.match(self._html, start, end)
            if tag is not None:
                self._tag(tag)
                start = tag.end()
            elif _BEGUN.match(self._html, start, end):
                return  # it does not end
            else:
                start += 1

    def _tag(self, tag: re.Match[str]) -> None:
        if tag[1][0] == "/" or not _may_say(tag[2]):
            return
        name = tag[1].lower().removeprefix("v:")
        attributes = list(_attributes(self._html, tag.start(2), tag.end(2)))
        unseen: Why | None = None
        if name in _PICTURES:
            unseen = "tiny" if name == "amp-pixel" else _why_unseen(attributes)
        for attribute in attributes:
            self._attribute(name, attribute, unseen, tag)

    def _attribute(
        self, element: str, attribute: _Attribute, unseen: Why | None, tag: re.Match[str]
    ) -> None:
        name, value = attribute.name, attribute.value
        if name == "style":
            self._urls(*attribute.value_at, quoted=True)
        elif name in _SETS:
            urls = [each.split()[0] for each in value.split(",") if each.split()]
            if any(self._judge.fetched(url, unseen) != url for url in urls):
                self._drop(attribute)
        elif name in {"href", "action", "formaction"} and element in _FOLLOWED:
            text = self._text_on(tag.end()) if element == "a" else ""
            put = self._judge.link(value, text, partial(self._text_before, tag.start()))
            if put is None:
                self._drop(attribute)
            elif put != value:
                self._put(attribute, put)
        elif name == "ping" and value.strip():
            self._judge.notes.note("link", "ping", removed=True, host="", address=value.strip())
            self._drop(attribute)
        elif name in _FETCHED or name == "href":
            put = self._judge.fetched(value, unseen)
            if put != value:
                self._put(attribute, BLANK if put is None else put)

    def _text_on(self, start: int) -> str:
        """What is written on a link that begins here."""
        if self._written_at != start:
            html = self._html
            closing = _END.search(html, start, start + _LONGEST_TEXT)
            end = closing.start() if closing else min(len(html), start + _LONGEST_TEXT)
            self._written = text_of(html[start:end].encode("utf-8", "replace"))
            self._written_at = start
        return self._written

    def _text_before(self, end: int) -> str:
        """What is written before a tag that begins here."""
        html = self._html
        start = max(0, end - _BEFORE)
        opened, closed = html.find("<", start, end), html.find(">", start, end)
        # Not from within another tag.
        start = closed + 1 if -1 < closed < (opened if opened >= 0 else end) else start
        return text_of(html[start:end].encode("utf-8", "replace"))

    def _urls(self, start: int, end: int, *, quoted: bool) -> None:
        """Look at what a style fetches."""
        for found in _STYLE_URL.finditer(self._html, start, end):
            written = _unescaped(found[1]) if quoted else found[1]
            put = self._judge.fetched(written)
            if put is None:
                self._edits.append((*found.span(), "none"))
            elif put != written:
                self._edits.append((*found.span(1), escape(put) if quoted else put))

    def _put(self, attribute: _Attribute, value: str) -> None:
        start, end = attribute.value_at
        bare = self._html[start - 1] not in "\"'" or start == attribute.start
        put = escape(value)
        self._edits.append((start, end, f'"{put}"' if bare else put))

    def _drop(self, attribute: _Attribute) -> None:
        self._edits.append((attribute.start, attribute.end, " "))


def _attributes(html: str, start: int, end: int) -> Iterator[_Attribute]:
    while start < end:
        if html[start] in "\t\n\f\r /":
            start += 1
            continue
        found = _ATTRIBUTE.match(html, start, end)
        if found is None:
            return
        start = found.end()
        group = found.lastindex or 1
        if group > 1 and found[group] and found[1].lower() in _LOOKED_AT:
            read = _unescaped(found[group]) if "&" in found[group] else found[group]
            yield _Attribute(found[1].lower(), read, *found.span(), found.span(group))


def _unescaped(value: str) -> str:
    """An attribute as browsers read it: "&region=" is no "®ion=" there (WHATWG, 13.2.5.73)."""
    return _ESCAPED.sub(_character, value)


def _character(reference: re.Match[str]) -> str:
    known = reference[1].startswith("#") or reference[1] in html5
    return unescape(reference[0]) if known else reference[0]


def _why_unseen(attributes: list[_Attribute]) -> Why | None:
    """Why nobody sees a picture, where nobody does."""
    sizes: dict[str, int] = {}
    for attribute in attributes:
        if attribute.name in {"width", "height"} and (pixels := _PX.match(attribute.value)):
            sizes.setdefault(attribute.name, int(pixels[1]))
    style = next((each.value for each in attributes if each.name == "style"), "")
    if style:
        if _HIDDEN.search(style):
            return "hidden"
        for most, side, pixels in _SIZES.findall(style):
            if not most:
                sizes[side] = int(pixels)
            elif not int(pixels):
                return "hidden"
    if any(each.name == "hidden" for each in attributes) or 0 in sizes.values():
        return "hidden"
    both = (sizes.get("width"), sizes.get("height"))
    return "tiny" if all(side is not None and side < _TINY for side in both) else None


def _may_say(attributes: str) -> bool:
    """Whether an address may be in a tag: most have none, and are not looked into."""
    return (
        "//" in attributes
        or "&" in attributes
        or "\\" in attributes
        or ("\n" in attributes and "/" in attributes)
        or "http" in attributes.lower()
    )
