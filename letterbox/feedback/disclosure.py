"""What a sender may know of a decision. Every channel renders what stands here, nothing else.

REASONS.md, "What may be told": strangers hear about the message alone, newcomers that there is
no relationship, vendors with a relationship as much as its level allows.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

import msgspec

from letterbox.feedback.sentences import Sentences, safe, to_ascii
from letterbox.model.preferences import Language, Newcomers, Reply, Tells
from letterbox.model.reason import Reason, Registry
from letterbox.model.sender import VendorRef
from letterbox.model.told import Foreseen, Foretold, Told, ToldReason
from letterbox.model.verdict import (
    Decision,
    Defer,
    Deliver,
    Fact,
    Finding,
    Hold,
    Refuse,
    UntilAnswered,
    reason_of,
)
from letterbox.model.wishes import Relationship, Times

# The reply line's limit is 512 octets with CRLF (RFC 5321, section 4.5.3.1.5).
_LONGEST_LINE = 500
_LEVELS: tuple[Tells, ...] = ("nothing", "class", "reason", "remedy")

#: These tell who else the consumer knows, or who exists: the sender hears ``no-relationship``.
AS_NEWCOMER = frozenset({"vendor-not-allowed", "address-of-another", "recipient-unknown"})

#: What a relationship asks of the proof: facts of the message that the recipient decides on.
_PROOFS = frozenset({"sender-unproven", "dkim-missing"})

#: Reasons that tell nothing of the wishes themselves, so that asking them is no probing.
UNPROBED = frozenset({"too-often", "too-many-waiting", "window-closed"})

#: What level ``class`` hears of a hold, whatever it waits for.
_WAITS = {"en": "The recipient decides later", "nl": "De ontvanger beslist later"}
_INSTANT = timedelta(microseconds=1)

_CLASS_TEXTS = {
    "en": {
        "timing": "The recipient does not want this now",
        "choice": "The recipient does not want this",
        "sender": "The sender is not proven as the recipient asks",
    },
    "nl": {
        "timing": "De ontvanger wil dit nu niet",
        "choice": "De ontvanger wil dit niet",
        "sender": "De afzender is niet bewezen zoals de ontvanger dat vraagt",
    },
}

#: What stands in place of a code at level ``class``. Each has a page like a reason's.
CLASSES = tuple(_CLASS_TEXTS["en"])


class Hearing(msgspec.Struct, frozen=True):
    """Who hears, and what limits how much: everything disclosure rests on.

    ``relayed``: who asks may be another than the vendor. The peer hides the client behind it, and
    would bounce our reasons to forged senders; or the message came by way of a platform, where
    others write, too. ``why`` is what a stranger is told of the message then, if anything.
    ``sensitive``: the subject is one of those of which at most the class is told.
    ``probed``: this vendor has asked its fill about this consumer today. ``taken``: the message
    was taken before, and this is about what became of it.
    """

    vendor: VendorRef
    relationship: Relationship | None
    newcomers: Newcomers
    times: Times
    reply: Reply = "refuse"
    relayed: bool = False
    why: str | None = None
    sensitive: bool = False
    probed: bool = False
    taken: bool = False

    @property
    def level(self) -> Tells | None:
        """How much may be told; None for a newcomer."""
        if self.relationship is None:
            return None
        level = self.relationship.rule.tells or ("remedy" if self.vendor.registered else "reason")
        if self.sensitive or self.probed:
            return min(level, "class", key=_LEVELS.index)
        return level


class Disclosure:
    """Turns decisions into what is told.

    ``public_url`` gives where our pages are, without a slash at its end. Replies, results and
    events are in English; the pages are in the ``language`` of who reads them.
    """

    def __init__(
        self,
        registry: Registry,
        sentences: Sentences,
        public_url: Callable[[], str],
        language: Language = "en",
    ) -> None:
        self._registry = registry
        self._sentences = sentences
        self._public_url = public_url
        self._language: Language = language

    def speaking(self, language: Language) -> "Disclosure":
        """The same in another language: as much is told, in other words."""
        return Disclosure(self._registry, self._sentences, self._public_url, language)

    def url(self, reference: str) -> str:
        """The page of a reference."""
        return f"{self._public_url()}/r/{reference}"

    def tell(self, decision: Decision, hearing: Hearing, reference: str) -> Told:
        """What the sender is told about one recipient."""
        match decision.verdict:
            case Defer(reason=code):
                return self.tell_all(code, reference)
            case Deliver():
                return self._taken("deliver", "delivered", hearing, reference)
            case Hold() as verdict:
                return self._held(verdict, hearing, reference)
            case Refuse():
                return self._refused(decision, hearing, reference)

    def tell_all(self, code: str, reference: str, detail: str = "", *, domain: str = "") -> Told:
        """What everybody may know: a reason about the message itself, or a fault of ours.

        ``detail`` says more, ``domain`` is that of the author, where the reason speaks of them.
        """
        reason = self._registry[code]
        again = f"{reason.retry_after} seconds" if reason.retry_after else None
        facts: dict[str, Fact] = {"detail": detail, "domain": domain, "time": again}
        texts = self._sentences.texts(code, self._language)
        text = self._sentences.fill(texts.company, facts, self._language) or texts.title
        return self._told(text, reference, self._shown(reason, reference, text), reason)

    def suspended(self, why: str) -> ToldReason | None:
        """What a vendor's feed tells of its suspension, which is about no message of its."""
        reason = self.tell_all("vendor-suspended", "", why).reason
        url = f"{self._public_url()}/reasons/vendor-suspended"
        return msgspec.structs.replace(reason, url=url) if reason else None

    def tell_stranger(self, why: str | None, reference: str) -> Told:
        """The uniform refusal of the unproven. ``why`` is a fact of the message, or withheld.

        On the wire the digits are always 550 5.7.1, whatever the cause.
        """
        reason = self._registry["not-accepted"]
        title = self._sentences.texts("not-accepted", self._language).title
        text = f"{title} ({why})" if why else title
        return self._told(text, reference, self._shown(reason, reference, why), reason)

    def foretell(self, decision: Decision, hearing: Hearing) -> Foretold:
        """What a vendor may know of a decision that is not taken: less than the answer would tell.

        Asking costs it nothing and the consumer sees nothing of it. So what newcomers, unknown
        addresses and those who tell nothing would answer is one and the same, and no answer.
        """
        told = self.tell(decision, msgspec.structs.replace(hearing, relayed=False), "")
        reason = told.reason
        if hearing.probed or hearing.level in {None, "nothing"}:
            return Foretold("untold")
        if told.verdict == "accepted" or (reason and reason.code == "no-relationship"):
            return Foretold("untold")
        if reason is not None:
            # There is no reference, and so no page but that of the reason itself.
            url = f"{self._public_url()}/reasons/{reason.code}"
            reason = msgspec.structs.replace(reason, url=url)
        verdict: Foreseen = "open" if told.verdict == "deliver" else told.verdict
        return Foretold(verdict, reason, told.until)

    # ---- taken ----

    def _taken(
        self, verdict: Literal["deliver", "hold"], word: str, hearing: Hearing, reference: str
    ) -> Told:
        if hearing.level == "nothing":
            return self._accepted(reference)
        return Told(
            verdict=verdict,
            reference=reference,
            reply=250,
            enhanced="2.0.0",
            text=f"{word} {reference}",
        )

    def _accepted(self, reference: str) -> Told:
        """Taken, and no more is told."""
        return Told(
            verdict="accepted",
            reference=reference,
            reply=250,
            enhanced="2.0.0",
            text=f"accepted {reference}",
        )

    def _held(self, verdict: Hold, hearing: Hearing, reference: str) -> Told:
        told = self._taken("hold", "held", hearing, reference)
        if told.verdict == "accepted":
            return told
        reason = self._registry[verdict.reason]
        until: date | None = None
        # An answer may come before that instant, so that its last day is the one before.
        asked = any(isinstance(each, UntilAnswered) for each in verdict.conditions)
        last = hearing.times.local_date(verdict.until - _INSTANT if asked else verdict.until)
        # To a newcomer who is asked about, the last day for an answer is part of the answer.
        if hearing.level in {"reason", "remedy", None}:
            until = last
        if hearing.level == "class":
            shown = msgspec.structs.replace(
                self._class_reason(reason, reference), title=_WAITS[self._language]
            )
        else:
            # To the sender a hold is a day: the exact instant would tell the windows.
            finding = Finding(filter="", verdict=verdict, facts={"date": last.isoformat()})
            shown = self._shown(reason, reference, self._sentences.company(finding, self._language))
        return msgspec.structs.replace(told, reason=shown, until=until)

    # ---- refused ----

    def _refused(self, decision: Decision, hearing: Hearing, reference: str) -> Told:
        finding = decision.deciding
        code = reason_of(decision.verdict)
        if code is None or finding is None:
            raise ValueError("a refusal without its finding")
        reason = self._registry[code]
        if _is_filed(hearing, reason) and (hearing.relayed or hearing.level == "nothing"):
            # It is taken, so that nothing is sent back; that it lies unread is not told here.
            return self._accepted(reference)
        if hearing.taken and hearing.level == "nothing":
            # What was accepted stays so: anything else would tell that it was held.
            return self._taken("deliver", "delivered", hearing, reference)
        if hearing.relayed:
            return self.tell_stranger(hearing.why, reference)
        if hearing.level in {None, "nothing"} or code in AS_NEWCOMER:
            return self._agreed(self._no_relationship(reference), hearing, reason)
        if hearing.level == "class":
            shown = self._class_reason(reason, reference)
            told = self._told(shown.title, reference, shown, reason)
        else:
            told = self._reasoned(reason, finding, hearing, reference)
        return self._agreed(told, hearing, reason)

    def _no_relationship(self, reference: str) -> Told:
        reason = self._registry["no-relationship"]
        text = self._sentences.texts("no-relationship", self._language).company
        return self._told(text, reference, self._shown(reason, reference, text), reason)

    def _class_reason(self, reason: Reason, reference: str) -> ToldReason:
        return ToldReason(
            code=reason.reason_class,
            reason_class=reason.reason_class,
            title=class_title(reason.reason_class, self._language),
            final=reason.final,
            url=self.url(reference),
        )

    def _shown(self, reason: Reason, reference: str, detail: str | None) -> ToldReason:
        """A reason by its own code; ``detail`` is left out where the title says it already."""
        title = self._sentences.texts(reason.code, self._language).title
        return ToldReason(
            code=reason.code,
            reason_class=reason.reason_class,
            title=title,
            final=reason.final,
            url=self.url(reference),
            detail=detail if detail != title else None,
        )

    def _reasoned(self, reason: Reason, finding: Finding, hearing: Hearing, reference: str) -> Told:
        text = self._sentences.company(finding, self._language)
        shown = self._shown(reason, reference, text)
        if hearing.level == "remedy":
            remedy = self._sentences.remedy(finding, self._language)
            shown = msgspec.structs.replace(
                shown,
                remedies=(remedy,) if remedy else (),
                retry_after=_retry_after(finding),
            )
        return self._told("; ".join((text, *shown.remedies)), reference, shown, reason)

    def _agreed(self, told: Told, hearing: Hearing, reason: Reason) -> Told:
        """Refusals that are not answered as such, by the vendor's or the consumer's choice.

        Both are for reasons that are not final: a final one is always said. ``report`` is what a
        registered vendor has agreed to: the line says nothing but where to look, its own feed says
        what the line would have said, and in every other form the verdict stays a refusal.
        """
        if reason.final or (told.reason and told.reason.final):
            return told
        if hearing.reply == "report":
            text = f"not delivered, see feedback {told.reference}"
        elif _is_filed(hearing, reason):
            text = f"not delivered, kept for the recipient {told.reference}"
        else:
            return told
        return msgspec.structs.replace(told, reply=250, enhanced="2.0.0", text=text)

    # ---- the line ----

    def _told(self, text: str, reference: str, shown: ToldReason, reason: Reason) -> Told:
        """One answer: ``CODE: text. URL``, within the length a reply may have."""
        head = f"{shown.code}: "
        room = _LONGEST_LINE - len(f"{reason.reply} {reason.enhanced} {head}. {shown.url}")
        # What ASCII cannot say is said in full where there is room for it: over HTTP.
        line = safe(to_ascii(text) or shown.title, max(room, 20)).removesuffix("…")
        return Told(
            verdict="defer" if reason.reply < 500 else "refuse",  # noqa: PLR2004 - 4yz is passing
            reference=reference,
            reply=reason.reply,
            enhanced=reason.enhanced,
            text=f"{head}{line}. {shown.url}",
            reason=shown,
        )


def reasons_of(name: str, registry: Registry) -> list[Reason]:
    """The reasons in whose place a class may stand: what a rule of the recipient's decides."""
    found = [each for each in registry.values() if each.reason_class == name]
    others = AS_NEWCOMER | {"no-relationship"}
    return [
        each
        for each in found
        if each.code in _PROOFS or (each.about == "recipient" and each.code not in others)
    ]


def class_title(name: str, language: Language, *, held: bool = False) -> str:
    """What level ``class`` hears in place of a reason, by its class."""
    titles = _CLASS_TEXTS[language]
    return _WAITS[language] if held else titles.get(name, titles["choice"])


def _is_filed(hearing: Hearing, reason: Reason) -> bool:
    """Whether the consumer takes what is unwanted, and not for good, into the refused log."""
    rule = hearing.relationship.rule if hearing.relationship else None
    if rule is None or reason.final:
        return False
    return rule.when_unwanted == "file" and rule.standing == "allowed"


def _retry_after(finding: Finding) -> date | None:
    day = finding.facts.get("next")
    return date.fromisoformat(day) if isinstance(day, str) else None
