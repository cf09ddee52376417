"""The forms of a message that are signed (RFC 6376, section 3.4). No I/O.

Bodies are worked over in large pieces, never line by line: it is what makes a proof cheap.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Literal

from propcache.api import cached_property

from letterbox.reading.mail import Mail

Form = Literal["simple", "relaxed"]

_PIECE = 64 * 1024  # octets: most mail is one piece; a hostile body costs no more memory
_RUN = re.compile(rb"   *")  # not "  +": only what is literal at the start is searched for fast
_LONG_RUN = re.compile(rb"      *")  # of five or more
_DENSE = 2000  # runs of one piece: the letters of the bench have 400
_SPACE = b" \t"
_BLANK = re.compile(rb"[ \t]*(?:\r\n?)?")


def simple_body(body: bytes) -> bytes:
    """Section 3.4.3: empty lines at the end go, and the end is a line's."""
    return b"".join(canonical_body("simple", body))


def relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4: as simple, with runs of space made one and none at the end of a line."""
    return b"".join(canonical_body("relaxed", body))


def canonical_body(
    form: Form, raw: bytes, start: int = 0, *, size: int = _PIECE
) -> Iterator[bytes]:
    """The body ``raw[start:]`` in one form, in pieces of about ``size`` octets.

    So no second body is held in memory, and others are served between two pieces of a large one.
    """
    pieces = _pieces(raw, start, size)
    empty = True
    ends = 0  # line ends that are given only if something follows them
    for piece in map(_relaxed, pieces) if form == "relaxed" else pieces:
        text = _without_ends(piece)
        if text:
            if ends:
                yield b"\r\n" * ends
            yield text
            empty, ends = False, 0
        ends += (len(piece) - len(text)) // 2
    if form == "simple" or not empty:
        yield b"\r\n"


def _pieces(raw: bytes, start: int, size: int) -> Iterator[bytes]:
    """Cut so that no CRLF is torn apart, nor space or a line's end off a run of space.

    The last piece ends a line.
    """
    while start < len(raw):
        piece = raw[start : start + size]
        if start + size < len(raw):
            whole = piece.rstrip(_SPACE).removesuffix(b"\r").rstrip(_SPACE)
            piece = whole or raw[start : _blank_until(raw, start)]
        start += len(piece)
        if start == len(raw) and not piece.endswith(b"\r\n"):
            piece += b"\r\n"
        yield piece


def _blank_until(raw: bytes, start: int) -> int:
    """Where the space that begins here ends, or the line with it."""
    blank = _BLANK.match(raw, start)
    return blank.end() if blank else start + 1


def _relaxed(piece: bytes) -> bytes:
    # Splitting and joining scan once, where replacing counts first. A pattern finds spaces twice
    # as fast as the methods of bytes do, and these find ends of lines so, if from the right.
    text = piece.replace(b"\t", b" ")
    runs = _RUN.split(text, _DENSE)
    text = b" ".join(runs)
    if len(runs) > _DENSE:
        # Hardly mail: a split takes 50 ns a run, replacing 10, but of long runs turn after turn,
        # so these go first. 60 KB of whatever mixture take 0.8 ms at most, with splits alone 1.3.
        text = _LONG_RUN.sub(b" ", text)
        while b"  " in text:
            text = text.replace(b"  ", b" ")
    return b"\r\n".join(text.rsplit(b" \r\n"))


def _without_ends(piece: bytes) -> bytes:
    """The piece without the CRLFs at its end."""
    text = piece.rstrip(b"\r\n")
    ends = len(piece) - len(text)
    if piece[len(text) :] == b"\r\n" * (ends // 2):
        return text
    # The end holds a CR or LF by itself, which no SMTP edge lets in, and is no empty line.
    marked = piece.replace(b"\0", b"\1").replace(b"\r\n", b"\0\0")
    return piece[: len(marked.rstrip(b"\0"))]


def relaxed_field(raw: bytes) -> bytes:
    """Section 3.4.2: lower name, one line, single spaces."""
    name, _, value = raw.partition(b":")
    text = value.replace(b"\r\n", b"").replace(b"\t", b" ").strip(b" ")
    return b"%b:%b\r\n" % (name.rstrip(_SPACE).lower(), b" ".join(_RUN.split(text)))


def simple_field(raw: bytes) -> bytes:
    """Section 3.4.1: as it stands."""
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


class Signable:
    """One message as signatures see it; every form of its body is made and hashed once.

    Whoever works on a large body in a thread holds ``busy``, so that the next one finds the work
    done.
    """

    def __init__(self, mail: Mail) -> None:
        self.busy = asyncio.Lock()
        self._mail = mail
        self._bodies: dict[Form, bytes] = {}
        self._digests: dict[tuple[Form, int | None], bytes] = {}
        self._lengths: dict[Form, int] = {}

    @property
    def size(self) -> int:
        """Octets of the message: what working on it costs."""
        return len(self._mail.raw)

    def count(self, name: str) -> int:
        """How many fields bear this name (lower case)."""
        return len(self._mail.header.all(name))

    @cached_property
    def repeated(self) -> dict[str, int]:
        """How many fields bear a name (lower case), of those names that several do."""
        counted = Counter([field.name for field in self._mail.fields])
        return {name: count for name, count in counted.items() if count > 1}

    def body(self, form: Form) -> bytes:
        """The body in one form, whole; kept, so ask for the digest where that will do."""
        if form not in self._bodies:
            pieces = canonical_body(form, self._mail.raw, self._mail.header.body_at)
            self._bodies[form] = b"".join(pieces)
            self._lengths[form] = len(self._bodies[form])
        return self._bodies[form]

    def body_length(self, form: Form) -> int:
        """Octets of the body in one form."""
        if form not in self._lengths:
            self.body_digest(form, None)
        return self._lengths[form]

    def body_digest(self, form: Form, length: int | None) -> bytes:
        """SHA-256 of the body, or of its first ``length`` octets."""
        key = (form, length)
        if key not in self._digests:
            if length is None:
                self._digests[key] = self._whole_digest(form)
            else:
                self._digests[key] = sha256(memoryview(self.body(form))[:length]).digest()
        return self._digests[key]

    def _whole_digest(self, form: Form) -> bytes:
        digest, length = sha256(), 0
        for piece in canonical_body(form, self._mail.raw, self._mail.header.body_at):
            digest.update(piece)
            length += len(piece)
        self._lengths[form] = length
        return digest.digest()

    def header(self, form: Form, names: Iterable[str]) -> bytes:
        """The named fields, of several the last first (section 5.4.2); absent ones are nothing."""
        make = relaxed_field if form == "relaxed" else simple_field
        left: dict[str, int] = {}
        chosen: list[bytes] = []
        for name in names:
            fields = self._mail.header.all(name)
            nth = left.get(name, len(fields)) - 1
            if nth >= 0:
                left[name] = nth
                chosen.append(make(fields[nth].raw))
        return b"".join(chosen)
