"""Whole messages, made part by part, are read as they were made.

A message is a tree that is written out here, sharing no code with the reading. What must be found
in it follows from the tree; for the parts the standard library is asked, too.
"""

import email
import re
import string
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, cycle

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from letterbox.model.kind import Kind
from letterbox.reading.mail import DEFAULT_LIMITS, Limits, Mail, Malformed
from letterbox.reading.mime import content
from letterbox.records.content import read_content
from tests.support.mails import proven
from tests.support.plain import reader

CRLF = b"\r\n"
WHOLE = 1 << 30
#: What is said in each character set, to be found again letter by letter.
FLAVOURS = {
    "us-ascii": "plain",
    "utf-8": "na\u00efve \u20ac \U0001f331",
    "ISO-8859-1": "caf\u00e9",
    "Shift_JIS": "\u65e5\u672c \u8868",
    "iso-2022-jp": "\u65e5\u672c",
    "gb18030": "\u4e2d\u6587 \U0001f331",
    "utf-7": "caf\u00e9",
    "utf-16": "\u20ac \U0001f331",
}
FILLER = "and so on without an end " * 20  # more than the 200 octets that may say "this is HTML"
BINARY = bytes(range(256)) + b"\r\n--b\r\n\n\r"


@dataclass(frozen=True)
class Style:
    """How fields are written, which changes nothing of what they say."""

    case: str = "strip"  # a method of strings; this one changes nothing
    fold: str = "never"  # "first": behind the colon; "spaces": at all of them, quoted or not
    quoted: bool = False
    turn: int = 1  # -1: from the last field to the first
    more: int = 0


@dataclass(frozen=True, kw_only=True)
class Node:
    attached: bool = False
    style: Style = Style()


@dataclass(frozen=True)
class Leaf(Node):
    """A part that holds no others. Without a type it is what its place makes it."""

    type: str = "text/plain"
    charset: str = "us-ascii"
    encoding: str = ""
    width: int = 76
    long: bool = False
    alike: str | None = None  # what follows the boundaries around it on lines of its text


@dataclass(frozen=True)
class Enclosed(Node):
    inside: Node


@dataclass(frozen=True)
class Multi(Node):
    """A multipart. Its boundary may be "longer" or "shorter" than the one around it."""

    inside: tuple[Node, ...]
    type: str = "mixed"
    boundary: str = "b"
    beside: str = "apart"
    padding: bytes = b""
    preamble: tuple[str, ...] = ()
    epilogue: tuple[str, ...] = ()
    closed: bool = True


@dataclass(frozen=True)
class Place:
    around: tuple[str, ...] = ()
    default: str = "text/plain"
    group: int = 0
    attached: bool = False


@dataclass(frozen=True)
class Told:
    """What must be found of a leaf; ``said`` stands in its text alone."""

    type: str
    charset: str
    place: Place
    content: bytes
    said: str = ""


@dataclass
class Written:
    plain: bool = False  # as the library takes it: no folds, no padded breaks, all ended
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    raw: bytes = b""
    leaves: list[Told] = field(default_factory=list)
    enclosed: list[Told] = field(default_factory=list)
    headers: list[tuple[int, int]] = field(default_factory=list)
    depth: int = 0
    alike: int = 0

    def shown(self) -> list[str]:  # plain text, and HTML where none of its group is long
        seen = [leaf for leaf in self.leaves if not leaf.place.attached]
        plain = [leaf for leaf in seen if leaf.type == "text/plain"]
        told = {leaf.place.group for leaf in plain if len(leaf.content.strip()) >= 200} - {0}
        pages = [t for t in seen if t.type == "text/html" and t.place.group not in told]
        return [leaf.said for leaf in plain + pages]

    def needed(self) -> list[int]:  # bytes, fields, depth, parts: the least limits it keeps to
        fields, sizes = zip(*self.headers, strict=True)
        return [max(sizes), max(fields), self.depth, len(fields) - 1]

    def beyond(self, limits: Limits) -> set[str]:  # in words of the refusal
        size, fields, depth, parts = self.needed()
        met = {
            "the header has more": fields > limits.header_fields,
            "the header is larger": size > limits.header_bytes,
            "nested more than": depth > limits.mime_depth,
            "the message has more": parts > limits.mime_parts,
            "together": sum(n for n, _ in self.headers[1:]) > 10 * limits.mime_parts
            or sum(n + 2 for _, n in self.headers[1:]) > 1024 * limits.mime_parts,
            "look like boundaries": self.alike > 2 * limits.mime_parts * limits.mime_depth,
        }
        return {words for words, is_met in met.items() if is_met}

    def entity(self, node: Node, place: Place, top: Iterable[tuple[str, str]] = ()) -> bytes:
        at = len(self.headers)
        self.headers.append((0, 0))
        place = replace(place, attached=place.attached or node.attached)
        described, body = self._described(node, place)
        if node.attached:
            described.append(("Content-Disposition", 'attachment; filename="a;b=c.txt"'))
        more = [(f"X-More-{n}", "so; it goes; on") for n in range(node.style.more)]
        fields = [*top, *described, *more][:: node.style.turn]
        style = replace(node.style, fold="never") if self.plain else node.style
        header = "".join(_field(name, value, style) for name, value in fields).encode()
        self.headers[at] = (len(fields), len(header))
        return header + CRLF + body

    def _described(self, node: Node, place: Place) -> tuple[list[tuple[str, str]], bytes]:
        if isinstance(node, Leaf):
            return self._leaf(node, place)
        if isinstance(node, Multi):
            return self._multi(node, place)
        within = write(node.inside, Written(numbers=self.numbers), Place(place.around))
        self.enclosed += within.leaves + within.enclosed
        self.leaves.append(Told("message/rfc822", "", place, within.raw))
        default = place.default == "message/rfc822" and not node.style.more
        return [] if default else [("Content-Type", "message/rfc822")], within.raw

    def _leaf(self, leaf: Leaf, place: Place) -> tuple[list[tuple[str, str]], bytes]:
        kind, said, data, encoding = leaf.type or place.default, "", BINARY, leaf.encoding
        charset = leaf.charset if kind.startswith("text/") and leaf.type else ""
        if kind.startswith("text/"):
            said = f"said{next(self.numbers)}only {FLAVOURS[charset or 'us-ascii']}."
            text = [f"<p>{said}</p>" if kind == "text/html" else said, FILLER * leaf.long]
            text += [f"--{boundary}{leaf.alike}" for boundary in place.around if leaf.alike]
            data = "\r\n".join(text).encode(charset or "us-ascii")
        by_lines = bool(said) and not charset.startswith("utf-16")
        if not by_lines and encoding != "quoted-printable":
            encoding = "base64"
        fields = [("Content-Transfer-Encoding", encoding)] if encoding else []
        if leaf.type:
            parameters = [("charset", charset)] if charset else [("name", "x; boundary=y")]
            fields.append(("Content-Type", _value(kind, parameters, leaf.style)))
        self.leaves.append(Told(kind, charset, place, data, said))
        width = leaf.width - leaf.width % 2 if self.plain else leaf.width
        body = _encoded(data, encoding.lower(), width, by_lines=by_lines)
        _part_nothing(body.split(CRLF), place.around)
        return fields, body

    def _multi(self, multi: Multi, place: Place) -> tuple[list[tuple[str, str]], bytes]:
        boundary = _boundary(multi, place.around)
        kind = multi.type.lower()
        inner = replace(
            place,
            around=(*place.around, boundary),
            default="message/rfc822" if kind == "digest" else "text/plain",
            group=next(self.numbers) if kind == "alternative" else place.group,
        )
        self.depth = max(self.depth, len(inner.around))
        delimiter = f"--{boundary}".encode()
        lines = [line.format(b=boundary).encode() for line in multi.preamble]
        _part_nothing(lines, inner.around)
        for node in multi.inside:
            lines += [delimiter + multi.padding, self.entity(node, inner)]
        # Lines up to the last delimiter that begin like one and are none.
        bare = [line.rstrip(b" \t") for line in CRLF.join(lines).split(CRLF)]
        self.alike += sum(line.startswith(delimiter) and line != delimiter for line in bare)
        if multi.closed or self.plain:
            after = [line.format(b=boundary).encode() for line in multi.epilogue]
            _part_nothing(after, place.around)
            lines += [delimiter + b"--" + multi.padding, *after]
        parameters = [("boundary", boundary), ("type", "text/html")][:: multi.style.turn]
        value = _value(f"multipart/{multi.type}", parameters, multi.style)
        return [("Content-Type", value)], CRLF.join(lines)


FOLDS = {"never": "", "first": "\r\n", "spaces": ""}
TOKEN = string.ascii_letters + string.digits + "'+_-."


def _field(name: str, value: str, style: Style) -> str:
    if style.fold == "spaces":
        value = re.sub("(?<! ) ", "\r\n ", value.replace("; ", ";\r\n\t"))
    return f"{getattr(name, style.case)()}:{FOLDS[style.fold]} {value}\r\n"


def _value(kind: str, parameters: Iterable[tuple[str, str]], style: Style) -> str:
    written = [kind.upper() if style.case == "upper" else kind]
    for name, value in parameters:
        quote = '"' if style.quoted or not set(value) <= set(TOKEN) else ""
        written.append(f"{getattr(name, style.case)()}={quote}{value}{quote}")
    return "; ".join(written)


def _encoded(data: bytes, encoding: str, width: int, *, by_lines: bool) -> bytes:
    if encoding == "base64":
        digits = b64encode(data)
        return CRLF.join(digits[n : n + width] for n in range(0, len(digits), width))
    if encoding != "quoted-printable":
        return data
    return CRLF.join(_quoted(line, width) for line in (data.split(CRLF) if by_lines else [data]))


def _quoted(line: bytes, width: int) -> bytes:
    """One line, with digits of both cases, and space that a relay added where it is broken."""
    rows, row = [], ""
    for n, octet in enumerate(line):
        plain = octet in b" \t" and n + 1 < len(line)
        plain |= octet in range(33, 127) and octet != ord("=")
        sign = chr(octet) if plain else f"={octet:02X}" if n % 3 else f"={octet:02x}"
        if len(row) + len(sign) >= width:
            rows.append(row + "=" + " \t" * (width % 2))
            row = ""
        row += sign
    return "\r\n".join([*rows, row]).encode()


def _boundary(multi: Multi, around: tuple[str, ...]) -> str:
    """A boundary whose lines are none of those around it."""
    boundary = multi.boundary
    if around and multi.beside != "apart":
        boundary = around[-1] + boundary if multi.beside == "longer" else around[-1][:-1]
    boundary = boundary[:70].rstrip() or "z"
    taken = {end for outer in around for end in (outer, f"{outer}--")}
    while not taken.isdisjoint((boundary, f"{boundary}--")):
        boundary = f"{boundary[:60].rstrip('-')}{len(boundary)}"
    return boundary


def _part_nothing(body: Iterable[bytes], around: Iterable[str]) -> None:
    """Leave out the rare message whose text holds a true delimiter."""
    lines = {line.rstrip(b" \t") for line in body}
    assume(lines.isdisjoint(f"--{b}{end}".encode() for b in around for end in ("", "--")))


def write(node: Node, written: Written | None = None, place: Place | None = None) -> Written:
    written = written or Written()
    top = [("From", "joe@shop.example"), ("Subject", "all of it"), ("MIME-Version", "1.0")]
    written.raw = written.entity(node, place or Place(), top)
    return written


SELDOM = st.sampled_from([False, False, False, True])
STYLES = st.builds(
    Style,
    case=st.sampled_from(["strip", "lower", "upper", "swapcase"]),
    fold=st.sampled_from(["never", "first", "spaces"]),
    quoted=st.booleans(),
    turn=st.sampled_from([1, -1]),
    more=st.sampled_from([0, 0, 0, 1, 7]),
)
LEAVES = st.builds(
    Leaf,
    type=st.sampled_from(["text/plain", "text/html", "", "image/png", "application/vnd.a+b"]),
    charset=st.sampled_from(sorted(FLAVOURS)),
    encoding=st.sampled_from(["", "7bit", "8BIT", "base64", "Base64", "quoted-printable"]),
    width=st.sampled_from([76, 64, 21, 8, 7, 4]),
    long=st.booleans(),
    alike=st.sampled_from([None, None, "x", "-", "--x", " x"]),
    attached=SELDOM,
    style=STYLES,
)
ODD = ["b", "bb", "-", "--", "a b", "'()+_,-./:=?", "----=_Next.1", "0" * 70, "=_b", "a--", " x"]


def _holding(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    multis = st.builds(
        Multi,
        inside=st.lists(nodes, min_size=1, max_size=4).map(tuple),
        type=st.sampled_from(["mixed", "alternative", "Alternative", "related", "digest"]),
        boundary=st.sampled_from(ODD) | st.text(TOKEN + "(),/:=? ", min_size=1, max_size=70),
        beside=st.sampled_from(["apart", "longer", "shorter"]),
        padding=st.sampled_from([b"", b"", b" ", b"\t  "]),
        preamble=st.sampled_from([(), ("",), ("This is MIME.", ""), ("--{b}x",), ("-- {b}",)]),
        epilogue=st.sampled_from([(), ("",), ("bye",), ("--{b}", "", "x"), ("--{b}--",)]),
        closed=st.sampled_from([True, True, True, False]),
        attached=SELDOM,
        style=STYLES,
    )
    return multis | st.builds(Enclosed, inside=nodes, attached=SELDOM, style=STYLES)


TREES: st.SearchStrategy[Node] = st.recursive(LEAVES, _holding, max_leaves=8)

# As all examples here, it was once read otherwise.
ATTACHED = Multi((Leaf(), Multi((Leaf(), Leaf("text/html")), attached=True)))


def read(made: Written, limits: Limits = DEFAULT_LIMITS) -> Mail:
    return read_content("smtp", made.raw, limits)


def grouped(found: Iterable[tuple[int, object]]) -> list[tuple[int, object]]:
    """Groups numbered in their order, whatever their numbers were; 0 is none."""
    numbers: dict[int, int] = {0: 0}
    return [(numbers.setdefault(group, len(numbers)), what) for group, what in found]


@given(TREES)
@example(ATTACHED)
@example(Multi((Leaf(),), boundary="a b", style=Style(fold="spaces")))
@example(Leaf(encoding="quoted-printable", width=7))
def test_the_parts_of_a_message_are_those_it_was_made_of(tree):
    made = write(tree)
    mail = read(made)
    assert grouped(
        (part.alternative, (part.type, part.charset, part.attached, content(mail, part, WHOLE)))
        for part in mail.parts or ()
    ) == grouped(
        (told.place.group, (told.type, told.charset, told.place.attached, told.content))
        for told in made.leaves
    )


@given(TREES)
@example(ATTACHED)
def test_the_text_says_once_what_is_shown_and_nothing_else(tree):
    made = write(tree)
    facts = reader().read(read(made), proven())
    for told in [*made.leaves, *made.enclosed]:
        assert not told.said or facts.text.count(told.said) == made.shown().count(told.said)
    assert facts.text.count("only ") == len(made.shown())


def by_the_library(raw):
    waiting = [(email.message_from_bytes(raw), 0, False)]
    while waiting:
        part, group, attached = waiting.pop()
        attached |= part.get_content_disposition() == "attachment"
        kind = part.get_content_type()
        if kind == "message/rfc822":  # it is read, and what it was is gone
            yield group, (kind, attached, None)
        elif part.is_multipart():
            inner = id(part) if kind == "multipart/alternative" else group
            waiting.extend((each, inner, attached) for each in reversed(part.get_payload()))
        else:
            yield group, (kind, attached, part.get_payload(decode=True))


@given(TREES)
def test_the_standard_library_finds_the_same_parts(tree):
    made = write(tree, Written(plain=True))
    mail = read(made)
    found = []
    for part in mail.parts or ():
        whole = None if part.type == "message/rfc822" else content(mail, part, WHOLE)
        found.append((part.alternative, (part.type, part.attached, whole)))
    assert grouped(found) == grouped(by_the_library(made.raw))


@given(TREES, st.tuples(*[st.sampled_from([-1, 0, 0, 1, 500])] * 4))
@example(Multi((Leaf(),)), (0, 0, 0, 0))  # the end of the one part is no second part
@example(Leaf(style=Style(more=1)), (-1, 0, 0, 0))  # the limit lies in the name of a field
def test_a_message_is_refused_where_it_is_beyond_a_limit_and_only_there(tree, near):
    made = write(tree)
    needed = made.needed()
    # Each limit missed alone, none, several; and the header's wherever it may end.
    tried = [[n - (at == missed) for at, n in enumerate(needed)] for missed in range(5)]
    tried.append([n + by for n, by in zip(needed, near, strict=True)])
    tried += [[size, *needed[1:]] for size in range(needed[0] - 60, needed[0])]
    for most in tried:
        limits = Limits(*(max(1, n) for n in most))
        beyond = made.beyond(limits)
        if beyond:
            with pytest.raises(Malformed) as caught:
                read(made, limits)
            assert any(words in caught.value.detail for words in beyond), caught.value.detail
        else:
            assert len(read(made, limits).parts or ()) == len(made.leaves)


@given(TREES, st.lists(st.sampled_from([CRLF, b"\n"]), min_size=1) | st.just([b"\r"]))
def test_over_http_other_line_ends_change_nothing(tree, ends):
    made = write(tree)
    *lines, last = made.raw.split(CRLF)
    sent = b"".join(line + end for line, end in zip(lines, cycle(ends), strict=False)) + last
    assert read_content("http", sent, DEFAULT_LIMITS) == read(made)


TIGHT = Limits(header_bytes=1500, header_fields=9, mime_depth=3, mime_parts=6, text_chars=200)
CHUNKS = st.binary(max_size=3) | st.sampled_from(
    [CRLF, b"\n", b"\r", b"\r\n\r\n", b"\r\n--b\r\n", b"\r\n--b--", b"\r\n ", b"\0", b'"', b"="]
)
HOW = st.sampled_from(["drop", "twice", "put", "bare"])
STRETCHES = st.tuples(st.integers(0, 1 << 14), st.integers(0, 300) | st.just(1 << 20))
CHANGES = st.lists(st.tuples(HOW, STRETCHES, CHUNKS), max_size=6)


@given(TREES, CHANGES, st.sampled_from(["smtp", "http"]), st.sampled_from([TIGHT, DEFAULT_LIMITS]))
def test_a_spoilt_message_ends_in_facts_or_is_malformed(tree, changes, edge, limits):
    raw = write(tree).raw
    for how, (place, size), chunk in changes:
        at = place % (len(raw) + 1)
        old = raw[at : at + size]
        new = {"drop": b"", "twice": old * 2, "put": chunk + old, "bare": old.replace(CRLF, b"\n")}
        raw = raw[:at] + new[how] + raw[at + size :]
    try:
        mail = read_content(edge, raw, limits)
    except Malformed:
        return
    found = mail.parts or ()
    assert 1 <= len(found) <= limits.mime_parts + 1
    # One behind another, so that no octet is read as two parts.
    places = [0, *(at for part in found for at in (part.start, part.end)), len(mail.raw)]
    assert places == sorted(places)
    assert all(len(content(mail, part, WHOLE)) <= part.end - part.start for part in found)
    facts = reader(limits).read(mail, proven())
    assert len(facts.text) <= limits.text_chars
    assert facts.kind in Kind
