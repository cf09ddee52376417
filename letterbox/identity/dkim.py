"""Verifying DKIM signatures (RFC 6376, RFC 8301, RFC 8463)."""

import asyncio
import binascii
import functools
import hashlib
import re
from collections import Counter
from datetime import datetime
from typing import Literal, cast

import msgspec

from letterbox.identity.canon import Form, Signable, relaxed_field, simple_field
from letterbox.identity.dkim_key import BadKey, Key, KeyKind, read_key
from letterbox.identity.tags import BadTags, read_tags
from letterbox.model.address import fold_domain, is_below
from letterbox.ports.resolver import Resolver, ResolverTrouble
from letterbox.reading.mail import Field

Status = Literal["pass", "fail", "policy", "permerror", "temperror"]

_ALGORITHMS: dict[str, KeyKind] = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_SELECTOR = re.compile(r"[A-Za-z0-9_\-]{1,63}(?:\.[A-Za-z0-9_\-]{1,63})*")
_NUMBER = re.compile(r"[0-9]{1,15}")
_HEADER_NAMES = re.compile(
    r"[ \t\r\n]*+[!-9<-~]++[ \t\r\n]*+(?::[ \t\r\n]*+[!-9<-~]++[ \t\r\n]*+)*+"
)
#: What may stand once (RFC 5322, section 3.6; RFC 2045) and is shown or read: of two, programs
#: differ about which one counts.
_ONCE = (
    "subject", "date", "to", "cc", "reply-to", "sender", "message-id",
    "mime-version", "content-type", "content-transfer-encoding", "content-disposition",
)  # fmt: skip
_SKEW = 300  # seconds a signer's clock may be ahead of ours
_LARGE = 512 * 1024  # octets: working on more takes a thread, so that others are served
_KEYS = 2_000  # parsed keys that are kept
_KEPT_RECORD = 2048  # octets of a record whose key is kept; one of 8,192 bits takes 1,400
_HASH = 32  # octets of SHA-256


class BadSignature(Exception):
    """A signature field that cannot be used. The text says why."""


class Signature(msgspec.Struct, frozen=True):
    """One DKIM-Signature field, read. Times are seconds since 1970 (UTC)."""

    field: Field
    domain: str
    selector: str
    kind: KeyKind
    header_form: Form
    body_form: Form
    names: tuple[str, ...]
    body_hash: bytes
    signature: bytes
    agent: str
    length: int | None = None
    expires: int | None = None
    made: int | None = None


class Verified(msgspec.Struct, frozen=True):
    """What became of one signature.

    ``policy`` is a signature that fits and leaves room for another's words: it does not cover
    the whole body, or one of two fields that may stand once. ``signed`` holds the
    lower-case names of fields of which every instance is covered, and of those that are
    covered in being absent. ``detail`` is for our own log.
    """

    status: Status
    domain: str
    selector: str = ""
    signed: frozenset[str] = frozenset()
    detail: str = ""


class Claim:
    """A DKIM-Signature field of which the tags alone are read.

    ``domain`` is the one it speaks for (``d=``), whatever else it holds; empty where there is none.
    """

    def __init__(self, field: Field) -> None:
        self._field = field
        self._tags: dict[str, str] = {}
        self._trouble = ""
        try:
            self._tags = signature_tags(field)
        except BadSignature as error:
            self._trouble = str(error)
        self.domain = _folded(self._tags.get("d", "")) or ""

    def read(self) -> Signature:
        """Read the rest. Raises :class:`BadSignature`."""
        if self._trouble:
            raise BadSignature(self._trouble)
        return _dkim_signature(self._field, self._tags)


def read_signature(field: Field) -> Signature:
    """Read one DKIM-Signature field (section 3.5). Raises :class:`BadSignature`."""
    return Claim(field).read()


def _dkim_signature(field: Field, tags: dict[str, str]) -> Signature:
    if "v" not in tags:
        raise BadSignature("the tag v is missing")
    if tags["v"] != "1":
        raise BadSignature("its version is not 1")
    return message_signature(field, tags)


def signature_tags(field: Field) -> dict[str, str]:
    """The tags of a signature field. Raises :class:`BadSignature`."""
    try:
        return read_tags(field.value)
    except BadTags as error:
        raise BadSignature(str(error)) from error


def message_signature(field: Field, tags: dict[str, str]) -> Signature:
    """Read the tags of a signature over a message, DKIM's or ARC's without its instance.

    Raises :class:`BadSignature`.
    """
    kind, domain = _signer(tags, "a", "b", "bh", "d", "h", "s")
    if "dns/txt" not in [item.strip() for item in tags.get("q", "dns/txt").split(":")]:
        raise BadSignature("its key is not in the DNS")
    header_form, body_form = _forms(tags.get("c", "simple/simple"))
    made, expires = _number(tags, "t"), _number(tags, "x")
    if made is not None and expires is not None and expires <= made:
        raise BadSignature("it ends before it begins")
    return Signature(
        field=field,
        domain=domain,
        selector=tags["s"],
        kind=kind,
        header_form=header_form,
        body_form=body_form,
        names=_names(tags["h"]),
        body_hash=_octets(tags["bh"], _HASH),
        signature=_octets(tags["b"]),
        agent=_agent(tags.get("i"), domain),
        length=_number(tags, "l"),
        expires=expires,
        made=made,
    )


def seal_signature(field: Field, tags: dict[str, str]) -> Signature:
    """Read the tags of an ARC-Seal (RFC 8617, section 4.1.3), which signs no body.

    Which fields it signs is settled, so it names none. Raises :class:`BadSignature`.
    """
    kind, domain = _signer(tags, "a", "b", "d", "s")
    return Signature(
        field=field,
        domain=domain,
        selector=tags["s"],
        kind=kind,
        header_form="relaxed",
        body_form="simple",
        names=(),
        body_hash=b"",
        signature=_octets(tags["b"]),
        agent=domain,
        made=_number(tags, "t"),
    )


def _signer(tags: dict[str, str], *needed: str) -> tuple[KeyKind, str]:
    """The algorithm and the domain of a signature that has the ``needed`` tags."""
    missing = [tag for tag in needed if tag not in tags]
    if missing:
        raise BadSignature(f"the tag {missing[0]} is missing")
    kind = _ALGORITHMS.get(tags["a"])
    if kind is None:  # rsa-sha1 among them: RFC 8301, section 3.1
        raise BadSignature(f"the algorithm {tags['a'][:20]!r} is not taken")
    if not _SELECTOR.fullmatch(tags["s"]):
        raise BadSignature("its selector is no name")
    return kind, _domain(tags["d"])


def _domain(text: str) -> str:
    domain = _folded(text)
    if domain is None:
        raise BadSignature("its domain is no domain")
    return domain


def _folded(text: str) -> str | None:
    return None if text.endswith(".") else fold_domain(text)


def _agent(text: str | None, domain: str) -> str:
    """The domain of ``i=``, which lies in ``d=`` (section 3.5)."""
    if text is None:
        return domain
    agent = fold_domain(text.rpartition("@")[2])
    if "@" not in text or agent is None or not is_below(agent, domain):
        raise BadSignature("its agent is not of its domain")
    return agent


def _forms(text: str) -> tuple[Form, Form]:
    header, _, body = text.partition("/")
    body = body or "simple"
    if not {header, body} <= {"simple", "relaxed"}:
        raise BadSignature("its canonicalization is not known")
    return cast(Form, header), cast(Form, body)


def _names(text: str) -> tuple[str, ...]:
    if not _HEADER_NAMES.fullmatch(text):
        raise BadSignature("a signed name is no field name")
    names = tuple("".join(text.split()).lower().split(":"))
    if "from" not in names:  # section 5.4
        raise BadSignature("From is not signed")
    return names


def _number(tags: dict[str, str], tag: str) -> int | None:
    if tag not in tags:
        return None
    if not _NUMBER.fullmatch(tags[tag]):
        raise BadSignature(f"the tag {tag} is no number")
    return int(tags[tag])


def _octets(text: str, size: int | None = None) -> bytes:
    try:
        octets = binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError as error:
        raise BadSignature("a value is not base64") from error
    if not octets or (size is not None and len(octets) != size):
        raise BadSignature("a hash is not of its size")
    return octets


class DkimVerifier:
    """Verifies signatures; keeps the keys it has parsed, by the text of their records."""

    def __init__(self) -> None:
        self._kept = functools.lru_cache(maxsize=_KEYS)(read_key)

    async def verify(
        self, resolver: Resolver, message: Signable, signature: Signature, now: datetime
    ) -> Verified:
        """Verify one signature. What does not hang on the DNS is looked at before it is asked."""
        told = functools.partial(Verified, domain=signature.domain, selector=signature.selector)
        late = _untimely(signature, now.timestamp())
        if late:
            return told(status="fail", detail=late)
        digest = await _body_digest(message, signature)
        body = message.body_length(signature.body_form)
        if signature.length is not None and signature.length > body:
            return told(status="fail", detail="the body is shorter than what was signed")
        if digest != signature.body_hash:
            return told(status="fail", detail="the body has changed")
        try:
            key = await self.key(resolver, signature)
        except ResolverTrouble as error:
            return told(status="temperror", detail=str(error))
        except BadKey as error:
            return told(status="permerror", detail=str(error))
        header = _signed_header(message, signature)
        if not key.verify(signature.signature, hashlib.sha256(header).digest()):
            return told(status="fail", detail="the signature does not fit")
        signed = covered(message, signature.names)
        # Section 8.2: what follows the signed part of a body may be anybody's.
        whole = signature.length is None or signature.length == body
        room = _room(message, signed) if whole else "a part of the body is not signed"
        return told(status="policy" if room else "pass", signed=signed, detail=room)

    async def key(self, resolver: Resolver, signature: Signature) -> Key:
        """Find the key (section 3.6.2.2): the first record that is one.

        Raises :class:`BadKey` and ResolverTrouble.
        """
        name = f"{signature.selector}._domainkey.{signature.domain}"
        answer = await resolver.ask(name, "TXT")
        trouble = BadKey(f"no key at {name}")
        for record in answer.values[:3]:
            try:
                key = self._read_key(cast(bytes, record))
            except BadKey as error:
                trouble = error
                continue
            if key.kind != signature.kind:
                trouble = BadKey(f"the key is not for {signature.kind}")
            elif key.exact and signature.agent != signature.domain:
                trouble = BadKey("the key does not serve domains below its own")
            else:
                return key
        raise trouble

    def _read_key(self, record: bytes) -> Key:
        return self._kept(record) if len(record) <= _KEPT_RECORD else read_key(record)


async def _body_digest(message: Signable, signature: Signature) -> bytes:
    form, length = signature.body_form, signature.length
    if message.size <= _LARGE:
        return message.body_digest(form, length)
    async with message.busy:
        return await asyncio.to_thread(message.body_digest, form, length)


def _untimely(signature: Signature, now: float) -> str:
    if signature.expires is not None and now > signature.expires:
        return "the signature has expired"
    if signature.made is not None and signature.made > now + _SKEW:
        return "the signature is of the future"
    return ""


def _signed_header(message: Signable, signature: Signature) -> bytes:
    """The octets under the signature (section 3.7).

    One more ``from`` is put behind the names: where a second From stands that was not signed
    it changes the header, and where there is none it is nothing.
    """
    form = signature.header_form
    own = without_signature(signature.field.raw)
    own = relaxed_field(own) if form == "relaxed" else simple_field(own)
    return message.header(form, (*signature.names, "from")) + own.removesuffix(b"\r\n")


def without_signature(raw: bytes) -> bytes:
    """The field with the value of ``b=`` taken out, the space around it included."""
    name, colon, value = raw.partition(b":")
    pieces = value.removesuffix(b"\r\n").split(b";")
    for index, piece in enumerate(pieces):
        tag, equals, _ = piece.partition(b"=")
        if tag.strip(b" \t\r\n") == b"b":
            pieces[index] = tag + equals
    return name + colon + b";".join(pieces)


def covered(message: Signable, names: tuple[str, ...]) -> frozenset[str]:
    """The names of which no field was left out: another of that name would have a say unsigned."""
    all_ = frozenset(names)
    repeated = message.repeated.keys() & all_
    if not repeated:
        return all_
    listed = Counter(names)
    return all_ - {name for name in repeated if listed[name] < message.repeated[name]}


def _room(message: Signable, signed: frozenset[str]) -> str:
    """What others may have put above the fields that were signed (section 8.15); "" for nothing."""
    for name in _ONCE:
        if name in message.repeated and name not in signed:
            return f"one of several {name} fields is not signed"
    return ""
