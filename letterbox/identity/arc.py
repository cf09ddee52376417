"""Validating ARC chains (RFC 8617): what servers on the way found, each sealing the one before.

A seal holds the results, the message signature and all earlier sets together; the newest message
signature alone says that the message is still what its signer saw.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from letterbox.identity.canon import Signable, relaxed_field
from letterbox.identity.dkim import (
    BadSignature,
    DkimVerifier,
    Signature,
    message_signature,
    seal_signature,
    signature_tags,
    without_signature,
)
from letterbox.identity.dkim_key import BadKey
from letterbox.identity.results_field import BadResults, sealed_instance
from letterbox.ports.resolver import Resolver, ResolverTrouble
from letterbox.reading.mail import Field, Mail

#: Section 4.2.1.
MOST_SETS = 50
_INSTANCE = re.compile(r"0?[1-9]|[1-9][0-9]")
_NAMES = ("arc-authentication-results", "arc-message-signature", "arc-seal")

Status = Literal["none", "pass", "fail", "temperror"]
_Part = TypeVar("_Part")
_Tagged = tuple[Field, dict[str, str]]


class BadChain(Exception):
    """The sets are no chain. The text says why."""


class ArcSet(msgspec.Struct, frozen=True):
    """One set: what a server found, its signature over the message, and its seal over all."""

    results: Field
    message: Signature
    seal: Signature


class Chain(msgspec.Struct, frozen=True):
    """What became of a chain: ``none`` without a set. ``detail`` is for our own log."""

    status: Status
    detail: str = ""


def read_chain(mail: Mail) -> tuple[ArcSet, ...]:
    """Read the sets of a message, the oldest first; empty where there is no ARC field.

    Checks all that needs no key (section 5.2, steps 1 to 3). Raises :class:`BadChain`.
    """
    results, messages, seals = (mail.all(name) for name in _NAMES)
    count = max(len(results), len(messages), len(seals))
    if count > MOST_SETS:
        raise BadChain(f"there are more than {MOST_SETS} sets")
    try:
        found = _numbered((sealed_instance(field.value), field) for field in results)
        signed = _numbered(map(_tagged, messages))
        sealed = _numbered(map(_tagged, seals))
        numbers = range(1, count + 1)
        if not set(numbers) == found.keys() == signed.keys() == sealed.keys():
            raise BadChain("the sets are not whole, or not numbered from 1")
        return tuple(
            ArcSet(
                results=found[number],
                message=_message(signed[number]),
                seal=_seal(sealed[number], first=number == 1),
            )
            for number in numbers
        )
    except (BadSignature, BadResults) as error:
        raise BadChain(str(error)) from error


async def validate(
    verifier: DkimVerifier,
    resolver: Resolver,
    message: Signable,
    sets: tuple[ArcSet, ...],
    now: datetime,
) -> Chain:
    """Check the newest message signature and every seal (section 5.2, steps 4 and 6).

    The newest come first: whoever holds none of their keys makes us check one signature.
    """
    if not sets:
        return Chain(status="none")
    newest = await verifier.verify(resolver, message, sets[-1].message, now)
    if newest.status != "pass":
        return _broken(newest.status, f"message signature {len(sets)}: {newest.detail}")
    sealed = b"".join(octets(each) + relaxed_field(each.seal.field.raw) for each in sets)
    end = len(sealed)
    for number in range(len(sets), 0, -1):
        seal = sets[number - 1].seal
        end -= len(relaxed_field(seal.field.raw))
        own = relaxed_field(without_signature(seal.field.raw)).removesuffix(b"\r\n")
        try:
            key = await verifier.key(resolver, seal)
        except ResolverTrouble as error:
            return _broken("temperror", f"seal {number}: {error}")
        except BadKey as error:
            return _broken("permerror", f"seal {number}: {error}")
        header = sealed[:end] + own
        if not key.verify(seal.signature, hashlib.sha256(header).digest()):
            return _broken("fail", f"seal {number} does not fit")
        end -= len(octets(sets[number - 1]))
    return Chain(status="pass")


def _broken(status: str, detail: str) -> Chain:
    return Chain(status="temperror" if status == "temperror" else "fail", detail=detail)


def octets(each: ArcSet) -> bytes:
    """What a seal covers of its own set, itself apart (section 5.1.1)."""
    return relaxed_field(each.results.raw) + relaxed_field(each.message.field.raw)


def _numbered(parts: Iterable[tuple[str, _Part]]) -> dict[int, _Part]:
    """Parts of one kind by the number of their set, one of each."""
    found: dict[int, _Part] = {}
    for text, part in parts:
        if not _INSTANCE.fullmatch(text):
            raise BadChain("an instance is no number from 1 to 99")
        number = int(text)
        if number in found:
            raise BadChain(f"a part of set {number} stands twice")
        found[number] = part
    return found


def _tagged(field: Field) -> tuple[str, _Tagged]:
    """The number of a field, and its other tags."""
    tags = signature_tags(field)
    return tags.pop("i", ""), (field, tags)


def _message(tagged: _Tagged) -> Signature:
    """Section 4.1.2: as a DKIM signature, but without a version, and it leaves the seals alone."""
    signature = message_signature(*tagged)
    if "arc-seal" in signature.names:
        raise BadChain("a message signature covers a seal")
    return signature


def _seal(tagged: _Tagged, *, first: bool) -> Signature:
    """Section 4.1.3: it names no fields, and says what became of the chain before it."""
    tags = tagged[1]
    if "h" in tags:
        raise BadChain("a seal names fields")
    if tags.get("cv", "").lower() != ("none" if first else "pass"):
        raise BadChain("a seal does not say that the chain before it was whole")
    return seal_signature(*tagged)
