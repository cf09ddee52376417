"""Decisions told to the person whose letterbox it is."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from letterbox.configuration import shipped
from letterbox.decide import evaluate
from letterbox.feedback.explanation import Explanations
from letterbox.feedback.sentences import PLACE, Sentences
from letterbox.feedback.wording import read_wording
from letterbox.judge import recorded_case
from letterbox.model.message import Offer
from letterbox.model.money import Money
from letterbox.model.reason import read_phrases, read_registry
from letterbox.model.record import DecisionRecord
from letterbox.model.told import Told, ToldReason
from letterbox.model.verdict import DELIVER, Finding
from tests.support.plain import case_of, rows, rules_of, taxonomy, wishes_of

REASONS = shipped("reasons.toml")
REGISTRY = read_registry(REASONS)
WORDING = read_wording(shipped("wording.toml"))
EXPLANATIONS = Explanations(Sentences(REGISTRY, read_phrases(REASONS), WORDING), taxonomy())
FROM = (
    "It is from Greenleaf Garden (shop@greenleaf.example), "
    "proven by a DKIM signature of greenleaf.example."
)
VAN = (
    "Het komt van Greenleaf Garden (shop@greenleaf.example), "
    "bewezen door een DKIM-handtekening van greenleaf.example."
)
ROWS = {name: (row, preferences) for name, row, preferences in rows()}


def record_of(row, preferences, **changed):
    case = case_of(row, wishes_of(preferences))
    decision = evaluate(rules_of(row), case)
    record = DecisionRecord(
        id="1" * 32,
        at=case.now,
        message="2" * 32,
        consumer="anna",
        recipient=str(case.recipient),
        vendor=case.vendor,
        sender=str(case.sender.author),
        subject=case.message.subject,
        kind=case.message.kind,
        verdict=decision.verdict,
        findings=decision.findings,
        interests=decision.interests,
        preferences_version=1,
        told=Told(verdict="refuse", reference="r", reply=550, enhanced="5.7.1", text="Not now"),
        size=1,
        case=recorded_case(case, decision),
    )
    return msgspec.structs.replace(record, **changed)


THIRD = (
    "Geweigerd: Greenleaf Garden mag twee nieuwsbrieven en aanbiedingen per week sturen; "
    "dit was de derde."
)
# The case, and its first line in English and Dutch: one at least for every outcome.
HEADLINES = [
    ("interest: the category itself", "Delivered.", "Bezorgd."),
    ("address_binding: another vendor, though allowed",
     "Refused: Bluebird used garden@letterbox.example, which you gave to greenleaf.",
     "Geweigerd: Bluebird gebruikte garden@letterbox.example, dat je aan greenleaf gaf."),
    ("interest: no interests: nothing is wanted",
     "Refused: It fits none of your interests.",
     "Geweigerd: Het past bij geen van je interesses."),
    ("interest: a cent above the ceiling",
     "Refused: 150.01 EUR is above your limit of 150.00 EUR for tools.",
     "Geweigerd: 150.01 EUR is meer dan je grens van 150.00 EUR voor tools."),
    ("interest: another currency does not pass",
     "Refused: 1 SEK is in another currency than your limit of 150.00 EUR for tools.",
     "Geweigerd: 1 SEK is in een andere munt dan je grens van 150.00 EUR voor tools."),
    ("interest: an excluded word",
     'Refused: words leaves out "chainsaw".', 'Geweigerd: words sluit "chainsaw" uit.'),
    ("interest: another brand", "Refused: brand leaves out Acme.",
     "Geweigerd: brand sluit Acme uit."),
    ("interest: a region that is not", "Refused: here leaves out DE.",
     "Geweigerd: here sluit DE uit."),
    ("interest: before the period", "Refused: spring starts on Monday 1 March.",
     "Geweigerd: spring begint op maandag 1 maart."),
    ("interest: after the period", "Refused: spring ended on Sunday 31 May.",
     "Geweigerd: spring eindigde op zondag 31 mei."),
    ("kind: personal mail only where it is said",
     "Refused: You take no personal mail from Greenleaf Garden.",
     "Geweigerd: Je neemt geen persoonlijke post aan van Greenleaf Garden."),
    ("limit: the third of two",
     "Refused: Greenleaf Garden may send two newsletters and offers a week; this was the third.",
     THIRD),
    ("together: interest before limit, limit before window",
     "Refused: You take one message a month at most; this was the second.",
     "Geweigerd: Je neemt hoogstens één bericht per maand aan; dit was de tweede."),
    ("offer: over since yesterday", "Refused: The offer ended on Sunday 22 November.",
     "Geweigerd: Het aanbod liep af op zondag 22 november."),
    ("offer: ends the day before the window opens", "Refused: It ends before your next time.",
     "Geweigerd: Het eindigt voor je volgende tijdvak."),
    ("relationship: nobody is let in unasked", "Refused: Greenleaf Garden is not on your list.",
     "Geweigerd: Greenleaf Garden staat niet op je lijst."),
    ("relationship: of two domains the one below counts",
     "Refused: You locked out Greenleaf Garden.",
     "Geweigerd: Je sloot Greenleaf Garden buiten."),
    ("relationship: ask: waits until the end of the last local day",
     "Waiting: Greenleaf Garden waits for your answer until Thursday 26 November.",
     "Wacht: Greenleaf Garden wacht tot donderdag 26 november op je antwoord."),
    ("relationship: proof: the path alone is not enough where a signature is asked for",
     "Refused: greenleaf.example's DKIM signature is missing.",
     "Geweigerd: De DKIM-handtekening van greenleaf.example ontbreekt."),
    ("relationship: via: only where the relationship says so",
     "Refused: Nothing proves that greenleaf.example sent this.",
     "Geweigerd: Niets bewijst dat greenleaf.example dit stuurde."),
    ("together: an interest that cannot be judged refuses nothing",
     "Put off: Not now: a fault of ours.", "Uitgesteld: Nu niet: een fout van ons."),
    ("window: held until Saturday morning",
     "Waiting: It comes on Saturday 28 November at 09:00.",
     "Wacht: Het komt op zaterdag 28 november om 09:00."),
    ("window: refused, where the consumer wants nothing held",
     "Refused: Outside your times for offers.",
     "Geweigerd: Buiten je tijden voor aanbiedingen."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "english", "dutch"), HEADLINES, ids=[h[0] for h in HEADLINES])
def test_the_first_line_says_what_and_why(name, english, dutch):
    record = record_of(*ROWS[name])
    assert EXPLANATIONS.lines(record, "en")[0] == english
    assert EXPLANATIONS.lines(record, "nl")[0] == dutch


def test_every_outcome_has_a_first_line_here():
    told = {(ROWS[name][0].expect.verdict, ROWS[name][0].expect.reason) for name, *_ in HEADLINES}
    assert {(row.expect.verdict, row.expect.reason) for row, _ in ROWS.values()} <= told


WHOLE_WISH = (
    "together: the words of the whole wish: garden tools, from this shop, in spring, "
    "on Saturday, twice a week"
)
# The case, and every line about it but the first and those about the sender.
TOLD = [
    ("together: refused now rather than held in vain",
     ["It is about Garden tools, as the sender declares.",
      "The price is 170 EUR, as the sender declares.",
      "Otherwise it would have had to wait. It comes on Saturday 28 November at 09:00."],
     ["Het gaat over Tuingereedschap, zegt de afzender.",
      "De prijs is 170 EUR, zegt de afzender.",
      "Anders had het moeten wachten. Het komt op zaterdag 28 november om 09:00."]),
    (WHOLE_WISH,
     ["It is about Pruning tools, as the sender declares.",
      "The price is 149.95 EUR, as the sender declares.",
      "It fits your interest spring.",
      "149.95 EUR is within your limit of 150 EUR for spring.",
      "It is the second of two messages a week that Greenleaf Garden may send.",
      "It came within your times for offers."],
     ["Het gaat over Snoeigereedschap, zegt de afzender.",
      "De prijs is 149.95 EUR, zegt de afzender.",
      "Het past bij je interesse spring.",
      "149.95 EUR blijft binnen je grens van 150 EUR voor spring.",
      "Het is de tweede van twee berichten per week die Greenleaf Garden mag sturen.",
      "Het kwam binnen je tijden voor aanbiedingen."]),
    ("window: held until Saturday morning", [], []),
    ("window: refused, where the consumer wants nothing held",
     ["Your next time for offers is on Saturday 28 November."],
     ["Je volgende tijd voor aanbiedingen is op zaterdag 28 november."]),
    ("limit: the third of two",
     ["The next one may come from Monday 30 November on."],
     ["De volgende mag komen vanaf maandag 30 november."]),
    ("interest: two ways to fail: the general reason, and the nearest interest",
     ["The price is 20 EUR, as the sender declares.",
      "Nearest is tools, but the price is above 10 EUR and the region is another."],
     ["De prijs is 20 EUR, zegt de afzender.",
      "Het dichtst erbij is tools, maar de prijs is hoger dan 10 EUR en de regio is een andere."]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "english", "dutch"), TOLD, ids=[row[0] for row in TOLD])
def test_what_every_rule_found_is_told_line_by_line(name, english, dutch):
    record = record_of(*ROWS[name])
    first, *lines = EXPLANATIONS.lines(record, "en")
    assert first == EXPLANATIONS.headline(record, "en")
    assert lines == [
        FROM,
        "The sender declares it as an offer.",
        *english,
        "The sender was told: 550 5.7.1 Not now",
    ]
    assert list(EXPLANATIONS.lines(record, "nl"))[1:] == [
        VAN,
        "Volgens de afzender is het een aanbieding.",
        *dutch,
        "De afzender kreeg te horen: 550 5.7.1 Not now",
    ]


def test_every_miss_of_the_nearest_is_named_also_of_decisions_of_old():
    misses = [name for name in WORDING["en"].misses if name != "price-above"]
    for language in ("en", "nl"):
        wording = WORDING[language]
        said = wording.say(misses, "misses", {})
        assert said == wording.listed([wording.misses[name] for name in misses])


def euros(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


UNTIL = date(2026, 12, 5)
READ = Offer(origin="read", price=euros("9.95"), valid_until=UNTIL)


@pytest.mark.parametrize(
    ("sure", "offers", "said"),
    [
        (True, (READ,), [
            "It reads as an offer; the sender does not say so.",
            "It is about Garden tools, as its text reads; the sender does not say.",
            "The price is 9.95 EUR, as its text reads.",
            "It is to be had until Saturday 5 December, as its text reads.",
        ]),
        (False, (Offer(origin="read", price=euros("12")), READ), [
            "It may be about Garden tools, as its text reads; the sender does not say.",
            "The lowest price is 9.95 EUR, as its text reads.",
        ]),
        (True, (Offer(origin="structured", price=euros("9.95"), valid_until=UNTIL),), [
            "The price is 9.95 EUR, by its markup.",
            "It is to be had until Saturday 5 December, by its markup.",
        ]),
        (True, (Offer(origin="read", price=euros("9.95"), valid_until=UNTIL,
                      until_origin="declared"),), [
            "The price is 9.95 EUR, as its text reads.",
            "It is to be had until Saturday 5 December, as the sender declares.",
        ]),
    ],
)  # fmt: skip
def test_what_was_read_and_not_declared_is_said(sure, offers, said):
    row, preferences = ROWS["interest: the category itself"]
    categories = msgspec.structs.replace(row.message.categories, origin="read", sure=sure)
    message = msgspec.structs.replace(
        row.message, kind_origin="read", categories=categories, offers=offers
    )
    record = record_of(msgspec.structs.replace(row, message=message), preferences)
    lines = EXPLANATIONS.lines(record, "en")
    assert [line for line in said if line not in lines] == []
    # One line for each, also in Dutch.
    assert len(EXPLANATIONS.lines(record, "nl")) == len(lines)
    assert sum(line.startswith("It is to be had") for line in lines) == (len(offers) == 1)


def test_what_the_consumer_did_is_said():
    row, preferences = ROWS["interest: a cent above the ceiling"]
    yes = Finding(filter="consumer", verdict=DELIVER, facts={"answer": "yes"})
    record = record_of(row, preferences)
    record = msgspec.structs.replace(record, verdict=DELIVER, findings=(yes, *record.findings))
    lines = EXPLANATIONS.lines(record, "nl")
    assert lines[0] == "Bezorgd: je hebt het zelf doorgelaten."
    assert "Zonder jouw woord: 150.01 EUR is meer dan je grens van 150.00 EUR voor tools." in lines


def test_a_decision_of_old_without_its_case_is_told_all_the_same():
    record = record_of(*ROWS["interest: a cent above the ceiling"], case=None)
    assert EXPLANATIONS.lines(record, "en")[:2] == (
        "Refused: 150.01 EUR is above your limit of 150.00 EUR for tools.",
        "It is from Greenleaf Garden (shop@greenleaf.example).",
    )


def test_nothing_a_sender_writes_breaks_a_line():
    row, preferences = ROWS["interest: a cent above the ceiling"]
    sender = msgspec.structs.replace(row.sender, name="Green\u202eleaf\x1b[2J\nRefused: x {vendor}")
    record = record_of(msgspec.structs.replace(row, sender=sender), preferences)
    for line in EXPLANATIONS.lines(record, "en"):
        assert line.isprintable()


def test_both_languages_have_the_same_texts_with_the_same_places():
    english, dutch = (msgspec.to_builtins(WORDING[name]) for name in ("en", "nl"))
    for group in ("one", "many", "article", "explanation", "misses", "change"):
        assert english[group].keys() == dutch[group].keys()
    for group in ("explanation", "misses", "change"):
        for name, pattern in english[group].items():
            places = set(PLACE.findall(pattern))
            assert places == set(PLACE.findall(dutch[group][name])), name
    assert [len(WORDING[name].weekdays) for name in WORDING] == [7, 7]
    assert [len(WORDING[name].months) for name in WORDING] == [12, 12]


NUMBERS = [
    (0, "no", "geen", None, None),
    (1, "one", "één", "first", "eerste"),
    (12, "twelve", "twaalf", "twelfth", "twaalfde"),
    (13, "13", "13", "number 13", "13e"),
]


@pytest.mark.parametrize(("n", "english", "dutch", "first", "eerste"), NUMBERS)
def test_numbers_are_words_up_to_twelve(n, english, dutch, first, eerste):
    assert WORDING["en"].say(n, "count", {}) == english
    assert WORDING["nl"].say(n, "count", {}) == dutch
    if first is not None:
        assert WORDING["en"].say(n, "ordinal", {}) == first
        assert WORDING["nl"].say(n, "ordinal", {}) == eerste


#: Facts enough for every change that is offered.
FACTS = {
    "interest": "tools", "limit": "170 EUR", "vendor": "G", "kind": "offer", "value": "Felco",
    "address": "a@letterbox.example", "category": "travel", "date": "2026-11-28", "n": 3,
    "period": "week", "from": "09:00", "until": "10:00", "kinds": ["service", "offer"],
    "words": ["novel", "thriller"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(WORDING["en"].change))
def test_every_change_is_said_in_both_languages(name):
    english, dutch = (EXPLANATIONS.change(name, FACTS, language) for language in ("en", "nl"))
    assert english
    assert dutch
    assert english != dutch


def test_a_change_reads_well():
    assert EXPLANATIONS.change("price-above-limit", FACTS, "en") == "tools: up to 170 EUR"
    assert EXPLANATIONS.change("allow", FACTS, "nl") == "Laat aanbiedingen van G toe"
    assert EXPLANATIONS.change("window", FACTS, "en") == (
        "Open for offers from 09:00 to 10:00 on Saturday"
    )


def test_what_was_let_through_by_hand_did_not_come_by_the_rules():
    record = record_of(*ROWS["window: held until Saturday morning"])
    yes = Finding(filter="consumer", verdict=DELIVER, facts={"answer": "yes"})
    record = msgspec.structs.replace(record, verdict=DELIVER, findings=(yes, *record.findings))
    lines = EXPLANATIONS.lines(record, "en")
    assert [line for line in lines if line.startswith("It came within")] == []
    assert [line[:19] for line in lines if "It comes on" in line] == ["But for your word: "]


def test_over_the_api_the_sender_was_told_in_its_own_form():
    reason = ToldReason(
        code="price-above-limit",
        reason_class="choice",
        title="The price is above the limit",
        final=False,
        url="https://letterbox.example/r/r",
        remedies=("at most 150.00 EUR",),
    )
    row, preferences = ROWS["interest: a cent above the ceiling"]
    record = record_of(row, preferences, edge="http")
    told = msgspec.structs.replace(record.told, reason=reason)
    lines = EXPLANATIONS.lines(msgspec.structs.replace(record, told=told), "en")
    assert lines[-1] == (
        "The sender was told: refuse, price-above-limit: "
        "The price is above the limit; at most 150.00 EUR"
    )


def test_what_was_only_supposed_was_told_nobody():
    row, preferences = ROWS["interest: the category itself"]
    sender = msgspec.structs.replace(row.sender, how="peer")
    record = record_of(msgspec.structs.replace(row, sender=sender), preferences)
    lines = EXPLANATIONS.lines(record, "en", supposed=True)
    assert lines[1].endswith("taken as proven for greenleaf.example.")
    assert lines[-1].startswith("The sender would be told: ")


def test_what_lies_above_another_subject_is_not_named_beside_it():
    row, preferences = ROWS["interest: the category itself"]
    ids = ("home-garden", "home-garden/garden-tools", "pets")
    categories = msgspec.structs.replace(row.message.categories, ids=ids)
    message = msgspec.structs.replace(row.message, categories=categories)
    lines = EXPLANATIONS.lines(
        record_of(msgspec.structs.replace(row, message=message), preferences), "en"
    )
    assert "It is about Garden tools and Pets, as the sender declares." in lines
