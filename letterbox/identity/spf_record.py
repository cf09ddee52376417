"""Reading an SPF record (RFC 7208, sections 4.6 and 12). Pure.

A record is read whole before anything of it is evaluated: a syntax error anywhere makes all of
it a permerror (section 4.6).
"""

import ipaddress
import re
from typing import Literal, cast

import msgspec

Kind = Literal["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"]
SpfResult = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]

_QUALIFIERS: dict[str, SpfResult] = {
    "": "pass",
    "+": "pass",
    "-": "fail",
    "~": "softfail",
    "?": "neutral",
}
_TERM = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9\-_.]*)(.*)", re.DOTALL)
_TOKEN = re.compile(
    r"%\{([slodiphcrtv])(\d{0,9})(r?)([.\-+,/_=]*)\}|%([%_\-])|([\x21-\x24\x26-\x7e]+)",
    re.IGNORECASE,
)
_TOP_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
_CIDR = re.compile(r"(?:/(0|[1-9]\d?))?(?://(0|[1-9]\d{0,2}))?")
_NUMBER = re.compile(r"0|[1-9]\d{0,2}")
_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_EXPLAINING = "crt"  # macro letters for explanations only, section 7.2
_BITS4, _BITS6 = 32, 128


class BadRecord(Exception):
    """The record is wrong: permerror. The text says where."""


class Macro(msgspec.Struct, frozen=True):
    """One ``%{…}`` (section 7.1): ``keep`` right-hand parts, 0 for all."""

    letter: str
    keep: int
    reverse: bool
    delimiters: str
    escape: bool


#: A domain-spec: literal text and macros, in order.
Spec = tuple[str | Macro, ...]


class Network(msgspec.Struct, frozen=True):
    """Addresses that share their first bits, as numbers: a question of 0.1 us.

    ipaddress takes three times that, and a platform's records have dozens.
    """

    version: int
    mask: int
    base: int


class Mechanism(msgspec.Struct, frozen=True):
    """One directive: what it answers when it matches, and what it looks at."""

    result: SpfResult
    kind: Kind
    domain: Spec | None = None
    network: Network | None = None
    bits4: int = _BITS4
    bits6: int = _BITS6


class Record(msgspec.Struct, frozen=True):
    """A whole record, mechanisms in order."""

    mechanisms: tuple[Mechanism, ...]
    redirect: Spec | None = None


def is_spf(text: bytes) -> bool:
    """Whether a TXT value is an SPF record at all (section 4.5)."""
    return text[:6].lower() == b"v=spf1" and text[6:7] in (b"", b" ")


def parse_record(text: bytes) -> Record:
    """Read a record that :func:`is_spf`. Raises :class:`BadRecord`."""
    if not text.isascii():
        raise BadRecord("it is not ASCII")  # section 3.1
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, Spec] = {}
    for term in text[6:].decode("ascii").split(" "):
        if not term:
            continue
        found = _TERM.fullmatch(term)
        if not found:
            raise BadRecord(f"{term!r} is no term")
        sign, name, rest = found.groups()
        if rest.startswith("="):
            if sign:
                raise BadRecord(f"{term!r}: a modifier takes no qualifier")
            _modifier(name.lower(), rest[1:], modifiers)
        else:
            mechanisms.append(_mechanism(_QUALIFIERS[sign], name.lower(), rest))
    return Record(mechanisms=tuple(mechanisms), redirect=modifiers.get("redirect"))


def _modifier(name: str, value: str, modifiers: dict[str, Spec]) -> None:
    """``redirect`` and ``exp`` stand once at most; unknown ones are skipped (section 6).

    ``exp`` is read for its form and never fetched: a stranger's sentence is shown to nobody.
    """
    if name not in ("redirect", "exp"):
        _macro_string(value, allowed="slodiphv" + _EXPLAINING)
        return
    if name in modifiers:
        raise BadRecord(f"{name} stands twice")
    modifiers[name] = _domain_spec(value)


def _mechanism(result: SpfResult, name: str, rest: str) -> Mechanism:
    if name == "all" and not rest:
        return Mechanism(result=result, kind="all")
    if name in ("ip4", "ip6") and rest.startswith(":"):
        return Mechanism(result=result, kind=cast(Kind, name), network=_network(name, rest[1:]))
    if name in ("include", "exists") and rest.startswith(":"):
        return Mechanism(result=result, kind=cast(Kind, name), domain=_domain_spec(rest[1:]))
    if name == "ptr" and (not rest or rest.startswith(":")):
        domain = _domain_spec(rest[1:]) if rest else None
        return Mechanism(result=result, kind="ptr", domain=domain)
    if name in ("a", "mx") and (not rest or rest[0] in ":/"):
        spec, bits4, bits6 = _cidr(rest)
        domain = _domain_spec(spec[1:]) if spec else None
        return Mechanism(
            result=result, kind=cast(Kind, name), domain=domain, bits4=bits4, bits6=bits6
        )
    raise BadRecord(f"{name + rest!r} is no mechanism")


def _cidr(rest: str) -> tuple[str, int, int]:
    """Split off a dual-cidr-length (section 5.6): the prefix lengths at the end, if any."""
    slash = re.search(r"(?:/\d+)?(?://\d+)?$", rest)
    at = slash.start() if slash else len(rest)
    found = _CIDR.fullmatch(rest[at:])
    if not found:
        raise BadRecord(f"{rest!r}: not a prefix length")
    bits4, bits6 = int(found[1] or _BITS4), int(found[2] or _BITS6)
    if bits4 > _BITS4 or bits6 > _BITS6:
        raise BadRecord(f"{rest!r}: the prefix is too long")
    return rest[:at], bits4, bits6


def _network(name: str, text: str) -> Network:
    address, slash, bits = text.partition("/")
    if slash and not _NUMBER.fullmatch(bits):
        raise BadRecord(f"{text!r}: not a prefix length")
    try:
        if name == "ip4":
            found: ipaddress.IPv4Network | ipaddress.IPv6Network = ipaddress.IPv4Network(
                (address, int(bits or _BITS4)), strict=False
            )
        elif "%" in address:  # a zone is no part of the grammar
            raise BadRecord(f"{text!r} is no address")
        else:
            found = ipaddress.IPv6Network((address, int(bits or _BITS6)), strict=False)
    except ValueError as error:
        raise BadRecord(f"{text!r} is no network") from error
    return Network(version=found.version, mask=int(found.netmask), base=int(found.network_address))


def _domain_spec(text: str) -> Spec:
    """A macro-string that ends in a top label or a macro (section 7.1)."""
    spec = _macro_string(text, allowed="slodiphv")
    last = spec[-1] if spec else ""
    if isinstance(last, str):
        _, dot, top = last.removesuffix(".").rpartition(".")
        if not dot or top.isdecimal() or not _TOP_LABEL.fullmatch(top):
            raise BadRecord(f"{text!r} is no domain")
    return spec


def _macro_string(text: str, *, allowed: str) -> Spec:
    parts: list[str | Macro] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise BadRecord(f"{text!r}: not a macro string")
        letter, keep, reverse, delimiters, percent, literal = token.groups()
        if letter:
            if letter.lower() not in allowed or (keep and not int(keep)):
                raise BadRecord(f"{text!r}: not such a macro here")
            parts.append(
                Macro(
                    letter=letter.lower(),
                    keep=int(keep or 0),
                    reverse=bool(reverse),
                    delimiters=delimiters or ".",
                    escape=letter.isupper(),
                )
            )
        else:
            parts.append(literal or _LITERALS[percent])
        at = token.end()
    return tuple(parts)
