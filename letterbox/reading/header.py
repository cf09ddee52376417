"""What header fields say: the author, the subject, the message's name."""

import re
import unicodedata
from functools import lru_cache

import msgspec

from letterbox.model.address import Address, parse_address
from letterbox.reading.charset import to_text
from letterbox.reading.encoded import decode_words, one_line
from letterbox.reading.mail import DEFAULT_LIMITS, Field, Mail

MAX_SUBJECT = 998  # characters: what a line may hold at most (RFC 5322, section 2.1.1)
MAX_NAME = 200  # characters: nobody reads further

# Characters of a value that are looked at: a subject of 998 in base64 and more.
_MOST = 16 * 1024
_FOLD = re.compile(r"\r\n(?=[ \t])")


def unfold(field: Field) -> str:
    """A field's value on one line (RFC 5322, section 2.2.3), encoded words as they are.

    Cut off at 16 KiB: nothing that is understood is longer.
    """
    value = to_text(field.value[:_MOST])
    return (_FOLD.sub("", value) if "\n" in value else value).strip(" \t")


def subject(mail: Mail) -> str:
    """The subject, decoded and safe to show: one line, at most 998 characters, maybe empty."""
    field = mail.first("subject")
    return one_line(decode_words(unfold(field)), MAX_SUBJECT) if field else ""


_MESSAGE_ID = re.compile(r"<([\x21-\x3b\x3d\x3f-\x7e]{1,995})>")


def message_id(mail: Mail) -> str | None:
    """What stands between the angle brackets of Message-ID (RFC 5322, section 3.6.4).

    None where there is no such field, several, or none that can be a name.
    """
    fields = mail.all("message-id")
    found = _MESSAGE_ID.search(unfold(fields[0])) if len(fields) == 1 else None
    return found[1] if found else None


# ---- the author -------------------------------------------------------------------------------


class Author(msgspec.Struct, frozen=True):
    """The one address in From; ``name`` is the display name, safe to show, maybe empty."""

    address: Address
    name: str = ""


class Ambiguous(msgspec.Struct, frozen=True):
    """Readers would differ about who wrote this. ``why`` is fit to be told to the sender."""

    why: str


# RFC 5322, sections 3.2.3 and 3.4, less all that mail programs read differently: route
# addresses, groups, comments within comments, domain literals, specials outside quotes.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | "(?P<quoted>(?:[^"\\]|\\.)*+)"
    | <(?P<angle>[^<>]*+)>
    | \((?P<comment>[^()\\]*+)\)
    | (?P<atom>[^\s"<>()\[\]:;,\\]++)""",
    re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_JOINERS = {0x200C: None, 0x200D: None}
_ESCAPED = re.compile(r"\\(.)")
_LOOKS_LIKE_ADDRESS = re.compile(r"[^\s<>()\"',;:@]+@[^\s<>()\"',;:@]+")
_SPECIALS = {
    ",": "From names several addresses",
    ":": "From holds a group or a route",
    ";": "From holds a group",
    "[": "From holds a domain literal or a bare bracket",
    '"': "a quoted name in From does not end",
    "<": "an angle bracket in From does not close",
    "(": "a comment in From does not close, or holds another",
}


_USUAL = re.compile(
    r"""(?: (?P<name>[A-Za-z0-9&'+./!-]++(?:\ [A-Za-z0-9&'+./!-]++)*+)[ ]?
          | "(?P<quoted>[A-Za-z0-9&'+./!,-]++(?:\ [A-Za-z0-9&'+./!,-]++)*+)"[ ]? )?
    <(?P<address>[A-Za-z0-9._+-]++@[A-Za-z0-9.-]++)>""",
    re.VERBOSE,
)


class _Unclear(Exception):
    """Why a From cannot be read in one way only."""


def author(mail: Mail) -> Author | Ambiguous:
    """The author, if every mail program would show the same one.

    Exactly one From field with exactly one plain address. All that programs are known to read
    in different ways is ambiguous, because the consumer would see another author than the one
    whose proof was checked.
    """
    try:
        field = _only_from(mail)
        # A sender's is the same in all its mail; what is long is remembered by nobody.
        return _kept_author(field) if len(field.raw) <= _LONGEST_KEPT else _author(field)
    except _Unclear as unclear:
        return Ambiguous(why=str(unclear))


def _only_from(mail: Mail) -> Field:
    """The From field. A field that some program might take for one counts as one."""
    header = mail.raw[: mail.header.body_at]
    if b"\0" in header or not header.count(b"\r") == header.count(b"\n") == header.count(b"\r\n"):
        raise _Unclear("the header holds a bare CR, LF or NUL")
    fields = mail.all("from")
    # All names at once: of nearly all mail none is odd.
    if _is_odd("".join([f.name for f in mail.fields])):
        fields = tuple(f for f in mail.fields if f.name == "from" or _passes_for_from(f.name))
    if not fields:
        raise _Unclear("there is no From field")
    if len(fields) > 1:
        raise _Unclear("there are several From fields")
    if fields[0].name != "from":
        raise _Unclear("the From field's name is not written plainly")
    if mail.header.broken and _FROM_BEYOND.search(mail.raw, mail.header.body_at, _after(mail)):
        raise _Unclear("another From stands where the header is broken")
    return fields[0]


_FROM_BEYOND = re.compile(rb"(?im)^[ \t]*from[^!-~]*:")


def _after(mail: Mail) -> int:
    """Where a program that skips broken lines would see the header end, at the latest."""
    most = min(len(mail.raw), mail.header.body_at + DEFAULT_LIMITS.header_bytes)
    blank = mail.raw.find(b"\r\n\r\n", mail.header.body_at, most)
    return most if blank < 0 else blank


def _passes_for_from(name: str) -> bool:
    """Whether a name is ``from`` to a program that drops what no name may hold."""
    return _is_odd(name) and re.sub(r"[^!-~]", "", name) == "from"


def _is_odd(name: str) -> bool:
    return " " in name or not (name.isascii() and name.isprintable())


def _author(field: Field) -> Author:
    value = unfold(field)
    if len(field.value) > _MOST or _CONTROL.search(value):
        raise _Unclear("From is longer than 16 KiB or holds control characters")
    # Nearly all are written so, and mean the same to whoever reads them: words without any sign,
    # or what stands in quotes without one, before the address.
    if usual := _USUAL.fullmatch(value):
        address = parse_address(usual["address"])
        if address is not None:
            return Author(address, one_line(usual["name"] or usual["quoted"] or "", MAX_NAME))
    written, words = _Reader(value).read()
    address = parse_address(written)
    # An at sign of another width is one to programs that bring letters to their plain form.
    plain = unicodedata.normalize("NFKC", written)
    if address is None or "=?" in written or plain.count("@") > 1:
        raise _Unclear("the address in From is not a plain one")
    if not written.isascii() and not _is_utf8(field.value):
        raise _Unclear("the address in From is neither ASCII nor UTF-8")
    name = one_line(decode_words(" ".join(words)), MAX_NAME)
    # A name that shows another address than the true one deceives whoever reads it.
    # So does one that shows it to programs that decode twice, or a word that does not end.
    seen = decode_words(f"{name}?=") if "=?" in name else name
    seen = unicodedata.normalize("NFKC", seen.translate(_WITHOUT_JOINERS)).casefold()
    if any(shown != written.casefold() for shown in _LOOKS_LIKE_ADDRESS.findall(seen)):
        raise _Unclear("the name in From shows another address")
    return Author(address=address, name=name)


_LONGEST_KEPT = 255
_kept_author = lru_cache(maxsize=1024)(_author)


class _Reader:
    """Reads one From value from left to right."""

    def __init__(self, value: str) -> None:
        self._value = value
        self._atoms: list[str] = []
        self._words: list[str] = []
        self._comments: list[str] = []
        self._angle: str | None = None

    def read(self) -> tuple[str, list[str]]:
        """The address as written, and the words of the name beside it."""
        at = 0
        while at < len(self._value):
            token = _TOKEN.match(self._value, at)
            if token is None:
                raise _Unclear(
                    _SPECIALS.get(self._value[at], "From holds a stray special character")
                )
            self._take(token)
            at = token.end()
        if any(mark in comment for comment in self._comments for mark in "@<>"):
            raise _Unclear("a comment in From hides an address")
        return self._bare() if self._angle is None else self._angled(self._angle)

    def _take(self, token: re.Match[str]) -> None:
        kind, text = token.lastgroup, token[token.lastgroup or 0]
        if kind == "comment":
            self._comments.append(text)
        elif kind == "angle":
            if self._angle is not None:
                raise _Unclear("From names several addresses")
            self._angle = text.strip(" \t")
        elif kind != "space" and self._angle is not None:
            raise _Unclear("something follows the address in From")
        elif kind == "quoted":
            self._words.append(_ESCAPED.sub(r"\1", text))
        elif kind == "atom":
            self._atoms.append(text)
            self._words.append(text)

    def _angled(self, angle: str) -> tuple[str, list[str]]:
        """``name <address>``: the common form."""
        # Unquoted, an @ in a name is an address to some programs.
        if any("@" in atom and atom.strip("'") != angle for atom in self._atoms):
            raise _Unclear("From names several addresses")
        return angle, self._words or self._comments

    def _bare(self) -> tuple[str, list[str]]:
        """``address``, or the old ``address (name)`` (RFC 5322, appendix A.6.3)."""
        if len(self._words) != 1 or not self._value.startswith(tuple(self._atoms)):
            raise _Unclear("From does not hold exactly one plain address")
        return self._words[0], self._comments


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
