"""Reasons: registered codes with everything that is said about them."""

from collections.abc import Mapping
from typing import Literal

import msgspec

ReasonClass = Literal["none", "sender", "choice", "timing", "message", "system"]
About = Literal["message", "recipient", "none"]


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sentence patterns in one language; ``{name}`` is filled from a finding's facts.

    ``person`` is what the consumer reads, ``company`` what the vendor reads at level
    ``reason``, ``remedy`` what it reads at ``remedy`` (``company`` where that is empty).
    """

    title: str
    person: str
    company: str
    remedy: str = ""


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


Registry = Mapping[str, Reason]
