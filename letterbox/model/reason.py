"""Reasons: registered codes with everything that is said about them."""

from collections.abc import Mapping
from typing import Literal

import msgspec

ReasonClass = Literal["none", "sender", "choice", "timing", "message", "system"]
About = Literal["message", "recipient", "none"]


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sentence patterns in one language; ``{name}`` is filled from a finding's facts.

    ``person`` is what the consumer reads, ``company`` what the vendor reads at level
    ``reason``, ``remedy`` what it may change, said after that at level ``remedy``.
    ``person_held`` and ``company_held`` stand in their place where the message is held, for a
    reason that may also refuse; ``person_said`` where the consumer has said so; ``person_else``
    where a fact for ``person`` is lacking.
    """

    title: str
    person: str
    company: str
    remedy: str = ""
    person_held: str = ""
    company_held: str = ""
    person_said: str = ""
    person_else: str = ""


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of ``config/reasons.toml``. The code is public: never renamed, never reused."""

    code: str
    reason_class: ReasonClass = msgspec.field(name="class")
    about: About
    #: SMTP reply code (RFC 5321, section 4.2) and enhanced status code (RFC 3463, RFC 5248).
    reply: int
    enhanced: str
    final: bool
    #: The stage that produces it: a filter's name, or ``proof``, ``form``, ``edge``, ...
    stage: str
    texts: Mapping[str, Texts]
    #: HTTP status where the reason answers a whole request.
    http: int = 200
    #: Seconds after which to try again; 0 where time alone changes nothing.
    retry_after: int = 0


Registry = Mapping[str, Reason]
#: By language: how the words that stand in facts (kinds, causes, periods) are said to people.
Phrases = Mapping[str, Mapping[str, str]]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    phrases: Phrases
    reason: tuple[Reason, ...]


def read_registry(content: bytes) -> Registry:
    """The reasons of ``config/reasons.toml``, by code. Raises ValueError with the mistake."""
    registry: dict[str, Reason] = {}
    for reason in msgspec.toml.decode(content, type=_File).reason:
        if reason.code in registry:
            raise ValueError(f"the reason {reason.code} stands there twice")
        registry[reason.code] = reason
    return registry


def read_phrases(content: bytes) -> Phrases:
    """The phrases of the same file. Raises ValueError with the mistake."""
    return msgspec.toml.decode(content, type=_File).phrases
