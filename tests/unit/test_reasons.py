"""The registry agrees with itself, with the filters and with the cases."""

import re
import string
from datetime import UTC, datetime

import pytest

from filters import ORDER
from letterbox.configuration import shipped
from letterbox.decide import evaluate
from letterbox.feedback.sentences import Sentences
from letterbox.feedback.wording import read_wording
from letterbox.model.preferences import VendorRule
from letterbox.model.reason import Registry, read_phrases, read_registry
from letterbox.model.verdict import Deliver, Finding, Hold, Refuse, UntilOpen, reason_of
from tests.support.plain import ROOT, case_of, rows, wishes_of

CONTENT = (ROOT / "config" / "reasons.toml").read_bytes()
REGISTRY: Registry = read_registry(CONTENT)
PHRASES = read_phrases(CONTENT)
WORDING = read_wording(shipped("wording.toml"))
#: What may stand as a stage beside the filters' names.
OTHER_STAGES = {
    "address",
    "custody",
    "decide",
    "delivery",
    "disclosure",
    "edge",
    "form",
    "intake",
    "next-hop",
    "proof",
    "reserved",
    "store",
}


TEXTS = (
    "title",
    "person",
    "company",
    "remedy",
    "person_held",
    "company_held",
    "person_said",
    "person_else",
)
#: The facts of findings that no filter gives.
OTHERS = [
    Finding(
        filter="address",
        verdict=Refuse(reason="recipient-unknown"),
        facts={"address": "x@letterbox.example"},
    ),
    Finding(
        filter="custody",
        verdict=Refuse(reason="too-many-waiting"),
        facts={"n": 50, "vendor": "Greenleaf Garden"},
    ),
    Finding(
        filter="next-hop",
        verdict=Refuse(reason="next-hop-refused"),
        facts={"detail": "550 5.2.1 mailbox closed"},
    ),
    Finding(filter="consumer", verdict=Refuse(reason="declined"), facts={"answer": "no"}),
    Finding(
        filter="release",
        verdict=Refuse(reason="declined"),
        facts={"vendor": "Greenleaf Garden", "date": "2026-12-01"},
    ),
    Finding(filter="release", verdict=Refuse(reason="window-closed"), facts={"kind": "offer"}),
]


def placeholders(pattern):
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name}


def findings():
    """Every finding of every case that stood in the way."""
    for _, row, preferences in rows():
        for finding in evaluate(ORDER, case_of(row, wishes_of(preferences))).findings:
            if not isinstance(finding.verdict, Deliver):
                yield finding


@pytest.mark.parametrize("reason", REGISTRY.values(), ids=REGISTRY)
def test_digits_agree(reason):
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", reason.enhanced)
    assert str(reason.reply)[0] == reason.enhanced[0]
    assert (reason.reply < 500) == (reason.reason_class == "system" or reason.reply == 250)
    assert (reason.retry_after > 0) == (reason.reason_class == "system")
    assert reason.http == 200 or 400 <= reason.http < 600
    assert not (reason.final and reason.reason_class == "system")


@pytest.mark.parametrize("reason", REGISTRY.values(), ids=REGISTRY)
def test_texts_are_whole(reason):
    assert set(reason.texts) == {"en", "nl"}
    english, dutch = reason.texts["en"], reason.texts["nl"]
    for field in TEXTS:
        one, other = getattr(english, field), getattr(dutch, field)
        assert placeholders(one) == placeholders(other), field
        assert bool(one) == bool(other), field
        assert not one.endswith(".")
    assert english.title
    assert not placeholders(english.title)
    assert english.person
    assert english.company


@pytest.mark.parametrize("reason", REGISTRY.values(), ids=REGISTRY)
def test_stage_exists(reason):
    assert reason.stage in {rule.name for rule in ORDER} | OTHER_STAGES


def test_every_filter_reason_is_covered_by_a_case():
    produced = {reason_of(finding.verdict) for finding in findings()}
    stages = {rule.name for rule in ORDER}
    assert {code for code, reason in REGISTRY.items() if reason.stage in stages} <= produced
    assert produced <= set(REGISTRY)


def test_sentences_find_their_facts():
    lacking = set()
    for finding in findings():
        code = reason_of(finding.verdict)
        texts = REGISTRY[code].texts["en"]
        held = isinstance(finding.verdict, Hold)
        person = (texts.person_held if held else "") or texts.person
        company = (texts.company_held if held else "") or texts.company
        if placeholders(person) - set(finding.facts):
            person = texts.person_else or person
        lacking |= {(code, name) for name in placeholders(person + company) - set(finding.facts)}
    assert not lacking


@pytest.mark.parametrize("language", ["en", "nl"])
def test_every_sentence_is_whole(language):
    sentences = Sentences(REGISTRY, PHRASES, WORDING)
    for finding in [*findings(), *OTHERS, *bare_findings()]:
        person = sentences.person(finding, language)
        company = sentences.company(finding, language)
        remedy = sentences.remedy(finding, language)
        assert person[:-1]
        assert person.endswith(".")
        assert company
        for sentence in (person, company, remedy):
            assert "?" not in sentence, (finding, sentence)
            assert "{" not in sentence
            assert "None" not in sentence
        assert remedy.casefold() not in company.casefold() or not remedy


def bare_findings():
    """Every reason, held and refused, with no facts at all."""
    at = datetime(2026, 11, 28, tzinfo=UTC)
    for code in REGISTRY:
        yield Finding(filter="", verdict=Refuse(reason=code))
        yield Finding(
            filter="", verdict=Hold(conditions=(UntilOpen(reason=code, at=at),)), facts={}
        )


def test_remedies_find_their_facts_in_some_case():
    given: dict[str, set[str]] = {}
    for finding in findings():
        code = reason_of(finding.verdict)
        told = {name for name, fact in finding.facts.items() if fact is not None}
        given.setdefault(code, set()).update(told)
    for code, facts in given.items():
        assert placeholders(REGISTRY[code].texts["en"].remedy) <= facts, code


def test_facts_are_plain_and_small():
    for finding in findings():
        for name, fact in finding.facts.items():
            assert fact is None or isinstance(fact, (str, int, bool, list)), name


def test_words_of_facts_have_phrases():
    kinds = {"service", "offer", "newsletter", "personal"}
    causes = set(VendorRule.__annotations__["because"].__args__[0].__args__)
    said = kinds | causes | {"day", "week", "month", "at most", "only", "from"}
    assert set(PHRASES["en"]) == set(PHRASES["nl"]) == said


def test_codes_are_those_agreed():
    assert set(REGISTRY) == {
        "not-accepted",
        "no-relationship",
        "sender-unproven",
        "dkim-missing",
        "dkim-failed",
        "spf-failed",
        "dmarc-refused",
        "author-ambiguous",
        "author-not-yours",
        "vendor-not-allowed",
        "address-of-another",
        "recipient-unknown",
        "vendor-blocked",
        "awaiting-consumer",
        "declined",
        "kind-not-wanted",
        "no-matching-interest",
        "price-above-limit",
        "region-not-wanted",
        "brand-not-wanted",
        "keyword-excluded",
        "interest-not-yet",
        "interest-over",
        "window-closed",
        "too-often",
        "too-many-waiting",
        "offer-expired",
        "offer-ends-before-window",
        "terms-not-accepted",
        "message-malformed",
        "message-too-large",
        "attachment-refused",
        "mail-loop",
        "duplicate",
        "busy",
        "store-unavailable",
        "lookup-failed",
        "rate-limited",
        "vendor-suspended",
        "our-fault",
        "next-hop-refused",
        "next-hop-unavailable",
    }


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (CONTENT.replace(b'"busy"', b'"duplicate"'), "twice"),
        (CONTENT.replace(b"final = true", b'final = "no"', 1), "final"),
        (CONTENT.replace(b'class = "system"', b'class = "sistem"', 1), "class"),
        (CONTENT.replace(b"stage", b"stadge", 1) + b"\nx = 1", "x"),
    ],
)
def test_a_mistake_in_the_file_is_named(content, mistake):
    with pytest.raises(ValueError, match=mistake):
        read_registry(content)
