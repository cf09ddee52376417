"""What a consumer should know about a message beside the decision: observations, never verdicts."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from letterbox.model.verdict import Fact

#: ``lookalike-name`` and ``lookalike-domain``: it looks like one of the consumer's vendors, and
#: is another. ``not-addressed``: signed for somebody else's eyes (a replay). ``by-way-of``: a
#: platform's signature speaks for the author. ``forwarded``: another server found the proof.
#: ``changed-hands``: the domain has passed to somebody else since it was allowed.
FlagCode = Literal[
    "lookalike-name",
    "lookalike-domain",
    "not-addressed",
    "by-way-of",
    "forwarded",
    "changed-hands",
]

_LOOKALIKES = frozenset(("lookalike-name", "lookalike-domain"))


class Flag(msgspec.Struct, frozen=True):
    """One observation, for the consumer alone: no sender is ever told of it.

    ``facts`` carry the placeholders of its sentence (``config/wording.toml``), by name.
    """

    code: FlagCode
    facts: Mapping[str, Fact] = {}


def resembled(flags: Iterable[Flag]) -> str | None:
    """The vendor that a flagged message looks like, by name; None where it looks like none."""
    for flag in flags:
        if flag.code in _LOOKALIKES:
            return str(flag.facts.get("resembles", ""))
    return None


def together(before: Iterable[Flag], now: Iterable[Flag]) -> tuple[Flag, ...]:
    """What was seen before and what is seen now, each code once, as it was seen first."""
    seen: dict[str, Flag] = {}
    for flag in (*before, *now):
        seen.setdefault(flag.code, flag)
    return tuple(seen.values())
