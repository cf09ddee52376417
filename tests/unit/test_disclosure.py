"""Who hears what: audience by level by reason, to the letter."""

import itertools
import unicodedata
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.configuration import shipped
from letterbox.feedback.disclosure import Disclosure, Hearing
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.wording import read_wording
from letterbox.model.reason import read_phrases, read_registry
from letterbox.model.sender import VendorRef
from letterbox.model.verdict import (
    DELIVER,
    Decision,
    Defer,
    Finding,
    Hold,
    Refuse,
    UntilAnswered,
    UntilOpen,
    Verdict,
)
from tests.support.plain import ROOT, wishes_from

CONTENT = (ROOT / "config" / "reasons.toml").read_bytes()
REGISTRY = read_registry(CONTENT)
WORDING = read_wording(shipped("wording.toml"))
DISCLOSURE = Disclosure(
    REGISTRY,
    Sentences(REGISTRY, read_phrases(CONTENT), WORDING),
    lambda: "https://letterbox.example",
)
REFERENCE = "4f1c" * 8
END = f". https://letterbox.example/r/{REFERENCE}"
SATURDAY = datetime(2026, 11, 28, 8, tzinfo=UTC)
#: Reasons that decisions about recipients give, each with the facts of its stage.
FACTS: dict[str, dict[str, Any]] = {
    "vendor-not-allowed": {"vendor": "Greenleaf"},
    "address-of-another": {"vendor": "Greenleaf", "address": "x@letterbox.example", "other": "V"},
    "recipient-unknown": {"address": "x@letterbox.example"},
    "vendor-blocked": {"vendor": "Greenleaf", "because": "too-often", "remedy": None},
    "dkim-missing": {"vendor": "Greenleaf", "domain": "greenleaf.example"},
    "declined": {"answer": "no"},
    "kind-not-wanted": {"vendor": "Greenleaf", "kind": "offer", "kinds": ["service", "newsletter"]},
    "no-matching-interest": {},
    "price-above-limit": {"price": "169.00 EUR", "limit": "150.00 EUR", "interest": "tools"},
    "region-not-wanted": {"value": "NL", "interest": "tools"},
    "brand-not-wanted": {"value": None, "interest": "tools"},
    "keyword-excluded": {"value": "chainsaw", "interest": "tools"},
    "interest-not-yet": {"date": "2027-03-01", "next": "2027-03-01", "interest": "tools"},
    "interest-over": {"date": "2026-05-31", "interest": "tools"},
    "window-closed": {"kind": "offer", "date": "2026-11-28", "next": "2026-11-28"},
    "too-often": {"n": 2, "own": 2, "period": "week", "date": "2026-11-30", "next": "2026-11-30"},
    "too-many-waiting": {"n": 50, "vendor": "Greenleaf"},
    "offer-expired": {"date": "2026-11-01"},
    "offer-ends-before-window": {"date": "2026-11-28", "ends": "2026-11-25"},
}
NO_RELATIONSHIP = (
    "550 5.7.1 no-relationship: This address has no relationship with you, or does not exist; "
    "the consumer must ask first"
)
CHOICE = "550 5.7.1 choice: The recipient does not want this"
TIMING = "550 5.7.1 timing: The recipient does not want this now"
#: What a vendor with a relationship hears: at level reason, and what level remedy adds.
SAID = {
    "vendor-blocked": ("Locked out: too often", ""),
    "dkim-missing": ("greenleaf.example's DKIM signature is missing", "sign it with DKIM"),
    "declined": ("The recipient did not say yes", ""),
    "kind-not-wanted": ("No offers from you", "send only service mail, newsletters"),
    "no-matching-interest": ("It fits nothing asked for here", ""),
    "price-above-limit": ("The price is above the limit", "at most 150.00 EUR"),
    "region-not-wanted": ("The region NL is not wanted", ""),
    "brand-not-wanted": ("Not a brand that is wanted", ""),
    "keyword-excluded": ("A word in it is not wanted", 'leave out "chainsaw"'),
    "interest-not-yet": ("Too early: not wanted yet", "welcome from 2027-03-01"),
    "interest-over": ("Too late: no longer wanted", ""),
    "window-closed": ("No offers at this time", "try from 2026-11-28"),
    "too-often": ("More than the recipient takes", "at most 2 per week, next from 2026-11-30"),
    "too-many-waiting": (
        "Too much waits for the recipient already",
        "send it again some days later",
    ),
    "offer-expired": ("The offer ended on 2026-11-01", ""),
    "offer-ends-before-window": (
        "It ends before it can arrive",
        "let it run until 2026-11-28 or longer",
    ),
}
LEVELS = ("nothing", "class", "reason", "remedy")


def hearing(level: str | None, **more: Any) -> Hearing:
    """A vendor at this level; None: a newcomer."""
    rules = [{"vendor": "greenleaf", "tells": level}] if level else []
    wishes = wishes_from(timezone="Europe/Amsterdam", vendor=rules)
    return Hearing(
        vendor=VendorRef(id="greenleaf", name="Greenleaf", registered=True),
        relationship=wishes.vendors.get("greenleaf"),
        newcomers="refuse",
        times=wishes.times,
        **more,
    )


def decided(verdict: Verdict, **facts: Any) -> Decision:
    return Decision(
        verdict=verdict, findings=(Finding(filter="any", verdict=verdict, facts=facts),)
    )


def refused(code: str) -> Decision:
    return decided(Refuse(reason=code), **FACTS[code])


def tell(decision: Decision, level: str | None, **more: Any):
    return DISCLOSURE.tell(decision, hearing(level, **more), REFERENCE)


def expected(code: str, level: str | None) -> str:
    """The line before its reference's page."""
    reason = REGISTRY[code]
    if level in (None, "nothing") or code not in SAID:
        return NO_RELATIONSHIP
    if level == "class":
        if reason.reason_class == "sender":
            return "550 5.7.20 sender: The sender is not proven as the recipient asks"
        return CHOICE if reason.reason_class == "choice" else TIMING
    text, remedy = SAID[code]
    if level == "remedy" and remedy:
        text = f"{text}; {remedy}"
    return f"{reason.reply} {reason.enhanced} {code}: {text}"


@pytest.mark.parametrize("code", FACTS)
@pytest.mark.parametrize("level", [None, *LEVELS])
def test_a_refusal_to_the_letter(code: str, level: str | None) -> None:
    told = tell(refused(code), level)
    assert told.line == expected(code, level) + END
    assert told.verdict == "refuse"
    assert told.until is None
    assert told.reason is not None
    assert told.reason.url == f"https://letterbox.example/r/{REFERENCE}"
    assert told.reason.detail != told.reason.title
    assert told.line.startswith(f"{told.reply} {told.enhanced} {told.reason.code}: ")
    remedies = SAID[code][1] if level == "remedy" and code in SAID else ""
    assert told.reason.remedies == ((remedies,) if remedies else ())
    assert (told.reason.retry_after is not None) == (level == "remedy" and "next" in FACTS[code])


def test_every_reason_about_a_recipient_stands_in_the_table() -> None:
    apart = {"no-relationship", "awaiting-consumer", "terms-not-accepted"}
    about = {code for code, reason in REGISTRY.items() if reason.about == "recipient"}
    assert about - apart == set(FACTS) - {"dkim-missing"}


@pytest.mark.parametrize("code", FACTS)
@pytest.mark.parametrize("level", [None, *LEVELS])
def test_behind_a_relay_that_hides_its_client_all_hear_the_same(code: str, level) -> None:
    told = tell(refused(code), level, relayed=True)
    assert told.line == ("550 5.7.1 not-accepted: This letterbox does not take the message" + END)


@pytest.mark.parametrize("code", SAID)
@pytest.mark.parametrize("cause", ["sensitive", "probed"])
@pytest.mark.parametrize("level", LEVELS)
def test_some_hear_at_most_the_class(code: str, cause: str, level: str) -> None:
    lowered = tell(refused(code), level, **{cause: True})
    assert lowered == tell(refused(code), "nothing" if level == "nothing" else "class")


def test_a_remedy_of_a_vendor_that_is_locked_out() -> None:
    facts = FACTS["vendor-blocked"] | {"remedy": ["at most 1 per month", "only offer + service"]}
    told = tell(decided(Refuse(reason="vendor-blocked"), **facts), "remedy")
    assert told.line == (
        "550 5.7.1 vendor-blocked: Locked out: too often; "
        "at most 1 per month, only offers + service mail" + END
    )
    assert told.reason is not None
    assert told.reason.final


# ---- taken ------------------------------------------------------------------------------------

WINDOW = decided(
    Hold(conditions=(UntilOpen(reason="window-closed", at=SATURDAY),)),
    kind="offer",
    date="2026-11-28",
    time="09:00",
)
ASKED = decided(
    Hold(conditions=(UntilAnswered(reason="awaiting-consumer", by=SATURDAY),)),
    vendor="Greenleaf",
    date="2026-11-28",
)


@pytest.mark.parametrize(
    ("decision", "level", "line", "code", "detail", "until"),
    [
        (decided(DELIVER), "nothing", "accepted", None, None, None),
        (decided(DELIVER), "class", "delivered", None, None, None),
        (decided(DELIVER), "remedy", "delivered", None, None, None),
        (decided(DELIVER), None, "delivered", None, None, None),
        (WINDOW, "nothing", "accepted", None, None, None),
        (WINDOW, "class", "held", "timing", None, None),
        (WINDOW, "reason", "held", "window-closed", "Held until 2026-11-28", date(2026, 11, 28)),
        (WINDOW, "remedy", "held", "window-closed", "Held until 2026-11-28", date(2026, 11, 28)),
        (ASKED, "nothing", "accepted", None, None, None),
        (ASKED, "class", "held", "choice", None, None),
        *(
            (
                ASKED,
                level,
                "held",
                "awaiting-consumer",
                "An answer may come until 2026-11-28",
                date(2026, 11, 28),
            )
            for level in ("reason", None)
        ),
    ],
)
def test_what_is_taken(decision: Decision, level, line: str, code, detail, until) -> None:
    told = tell(decision, level)
    assert told.line == f"250 2.0.0 {line} {REFERENCE}"
    assert told.until == until
    assert (told.reason.code if told.reason else None) == code
    assert (told.reason.detail if told.reason else None) == detail
    if line != "delivered":
        assert "09:00" not in str(msgspec.to_builtins(told))


@pytest.mark.parametrize("code", SAID)
def test_what_was_accepted_stays_accepted(code: str) -> None:
    assert tell(refused(code), "nothing", taken=True) == tell(decided(DELIVER), "nothing")
    assert tell(refused(code), "reason", taken=True) == tell(refused(code), "reason")


@pytest.mark.parametrize("code", SAID)
@pytest.mark.parametrize("level", ["class", "reason", "remedy"])
def test_who_agreed_to_reports_hears_in_the_feed_what_is_not_final(code: str, level: str) -> None:
    direct, told = tell(refused(code), level), tell(refused(code), level, reply="report")
    if REGISTRY[code].final:
        assert told == direct
    else:
        assert told.line == f"250 2.0.0 not delivered, see feedback {REFERENCE}"
        assert (told.verdict, told.reason) == (direct.verdict, direct.reason)


# ---- what everybody may know ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "detail", "line"),
    [
        ("busy", "", "421 4.3.2 busy: Not now: too busy; again after 60 seconds"),
        ("lookup-failed", "", "451 4.4.3 lookup-failed: Not now: a lookup failed; again after"),
        ("our-fault", "", "451 4.3.0 our-fault: Not now: a fault of ours; again after 300"),
        ("rate-limited", "", "450 4.7.1 rate-limited: Not now: too many messages. https"),
        ("rate-limited", "at most 2", "450 4.7.1 rate-limited: Not now: at most 2. https"),
        ("mail-loop", "", "554 5.4.6 mail-loop: It goes in circles. https"),
        ("message-malformed", "no From", "554 5.6.0 message-malformed: Badly formed: no From. h"),
        ("author-not-yours", "", "550 5.7.1 author-not-yours: The author is not yours. https"),
    ],
)
def test_faults_and_facts_of_the_message(code: str, detail: str, line: str) -> None:
    told = DISCLOSURE.tell_all(code, REFERENCE, detail)
    assert told.line.startswith(line)
    assert told.line.endswith(END)
    assert told.verdict == ("defer" if told.reply < 500 else "refuse")
    for level in (None, *LEVELS):
        assert tell(decided(Defer(reason=code)), level) == DISCLOSURE.tell_all(code, REFERENCE)


@pytest.mark.parametrize("why", [None, *(c for c, r in REGISTRY.items() if r.stage == "proof")])
def test_the_strangers_text(why: str | None) -> None:
    told = DISCLOSURE.tell_stranger(why, REFERENCE)
    cause = f" ({why})" if why else ""
    assert told.line == (
        f"550 5.7.1 not-accepted: This letterbox does not take the message{cause}{END}"
    )
    assert told.reason is not None
    assert (told.reason.code, told.reason.detail) == ("not-accepted", why)


# ---- what differs must not show ---------------------------------------------------------------


def test_newcomers_cannot_tell_causes_apart() -> None:
    heard = {msgspec.json.encode(tell(refused(code), None)) for code in FACTS}
    assert len(heard) == 1
    assert heard == {msgspec.json.encode(tell(refused(code), "nothing")) for code in FACTS}


@pytest.mark.parametrize("level", LEVELS)
def test_nobody_learns_whose_an_address_is(level: str) -> None:
    hidden = ("vendor-not-allowed", "address-of-another", "recipient-unknown")
    assert len({msgspec.json.encode(tell(refused(code), level)) for code in hidden}) == 1


def test_at_class_reasons_of_one_class_are_one() -> None:
    for one, other in itertools.combinations(SAID, 2):
        first, second = REGISTRY[one], REGISTRY[other]
        alike = (first.reason_class, first.final) == (second.reason_class, second.final)
        assert (tell(refused(one), "class") == tell(refused(other), "class")) == alike


@pytest.mark.parametrize("level", ["nothing", "class"])
def test_below_reason_facts_do_not_show(level: str) -> None:
    for code, facts in FACTS.items():
        other = dict.fromkeys(facts, "something else")
        assert tell(refused(code), level) == tell(decided(Refuse(reason=code), **other), level)


def test_hours_do_not_show() -> None:
    later = Hold(conditions=(UntilOpen(reason="window-closed", at=SATURDAY.replace(hour=20)),))
    for level in LEVELS:
        assert tell(decided(later, time="21:00"), level) == tell(WINDOW, level)


# ---- whatever the facts are -------------------------------------------------------------------

CONTROLS = {chr(c) for c in (*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E, 0x200B)}


@given(
    code=st.sampled_from(sorted(FACTS)),
    level=st.sampled_from([None, *LEVELS]),
    text=st.text(max_size=700) | st.sampled_from(["x" * 700, "snoeischaar\r\n250 OK", "секатор"]),
)
def test_a_line_is_one_line_of_ascii_within_its_length(code, level, text) -> None:
    facts = {name: [text] * 30 if name == "kinds" else text for name in FACTS[code]}
    facts.pop("next", None)
    told = tell(decided(Refuse(reason=code), **facts), level)
    assert told.line.isascii()
    assert not CONTROLS & set(told.line)
    # RFC 5321, section 4.5.3.1.5: 512 octets with CRLF.
    assert len(told.line) <= 510
    assert told.line.endswith(END)
    assert "?" in unicodedata.normalize("NFKD", text) or "?" not in told.line
    assert told.reason is not None
    for said in (told.reason.title, told.reason.detail or "", *told.reason.remedies):
        assert not CONTROLS & set(said)


def test_a_limit_over_all_vendors_is_told_without_its_number() -> None:
    facts = {"n": 20, "period": "week", "date": "2026-11-30", "next": "2026-11-30"}
    finding = Finding(filter="limit", verdict=Refuse(reason="too-often"), facts=facts)
    told = tell(Decision(verdict=finding.verdict, findings=(finding,)), "remedy")
    assert told.reason is not None
    assert (told.reason.remedies, told.reason.retry_after) == ((), date(2026, 11, 30))
    assert "20" not in told.text.partition(". ")[0]


def test_a_hold_is_no_refusal_at_level_class() -> None:
    told = tell(WINDOW, "class")
    assert told.reason is not None
    assert told.reason.title == "The recipient decides later"
