"""What is decided about one message for one recipient, and why."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

VerdictName = Literal["deliver", "hold", "refuse", "defer"]
#: A fact a finding rests on: plain data, so that it can be stored, shown and compared.
Fact = str | int | bool | None | list[str]


class UntilOpen(msgspec.Struct, frozen=True, tag="until"):
    """Wait until a window opens. ``at`` is an aware instant in UTC."""

    reason: str
    at: datetime


class UntilAnswered(msgspec.Struct, frozen=True, tag="answer"):
    """Wait for the consumer's yes; without one the message is declined at ``by`` (UTC)."""

    reason: str
    by: datetime


Condition = UntilOpen | UntilAnswered


class Deliver(msgspec.Struct, frozen=True, tag="deliver"):
    """Into the inbox, now."""


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """Accepted into the consumer's custody until all conditions clear. Never empty."""

    conditions: tuple[Condition, ...]

    @property
    def reason(self) -> str:
        """The first condition's reason code."""
        return self.conditions[0].reason

    @property
    def until(self) -> datetime:
        """When to look at it again: the latest opening, or the last day for an answer."""
        asked = [c.by for c in self.conditions if isinstance(c, UntilAnswered)]
        if asked:
            return min(asked)
        return max(c.at for c in self.conditions if isinstance(c, UntilOpen))


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """Not taken. ``reason`` is a registered code."""

    reason: str


class Defer(msgspec.Struct, frozen=True, tag="defer"):
    """Not decided now: ours or a passing fault. ``retry_after`` in seconds."""

    reason: str
    retry_after: int = 300


Verdict = Deliver | Hold | Refuse | Defer

DELIVER = Deliver()


def name_of(verdict: Verdict) -> VerdictName:
    """The word for a verdict, as the API and the log write it."""
    match verdict:
        case Deliver():
            return "deliver"
        case Hold():
            return "hold"
        case Refuse():
            return "refuse"
        case Defer():
            return "defer"


def reason_of(verdict: Verdict) -> str | None:
    """The reason code of a verdict; None for a delivery."""
    return None if isinstance(verdict, Deliver) else verdict.reason


class Outcome(msgspec.Struct, frozen=True):
    """What became of a message, or would have: a verdict by its name, and its reason code."""

    verdict: VerdictName
    reason: str | None


def outcome_of(verdict: Verdict) -> Outcome:
    """A verdict as its outcome."""
    return Outcome(name_of(verdict), reason_of(verdict))


class Finding(msgspec.Struct, frozen=True):
    """What one filter found: its verdict, and the facts it rests on (for the consumer alone).

    ``facts`` carry the placeholders of the reason's sentences, by name.
    """

    filter: str
    verdict: Verdict
    facts: Mapping[str, Fact] = {}


def reasons_in(findings: Iterable[Finding]) -> frozenset[str]:
    """Every reason code that findings name, whether it counted or not."""
    return frozenset([
        each.verdict.reason for each in findings if not isinstance(each.verdict, Deliver)
    ])  # fmt: skip


class Decision(msgspec.Struct, frozen=True):
    """The verdict and every finding it was combined from, in the order of the filters.

    ``would`` is what the rules say, where the message came in because the consumer only watches.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    would: Verdict | None = None

    @property
    def deciding(self) -> Finding | None:
        """The first finding that gave the verdict, or would have; None: nothing is in the way."""
        reason = reason_of(self.would or self.verdict)
        for finding in self.findings:
            if reason is not None and reason_of(finding.verdict) == reason:
                return finding
        return None

    @property
    def interests(self) -> tuple[str, ...]:
        """Ids of the interests the message matches."""
        for finding in self.findings:
            matched = finding.facts.get("matched")
            if isinstance(matched, list):
                return tuple(matched)
        return ()
