"""What is held: released once, decided again, declined, expired."""

import asyncio
from datetime import date, timedelta

import msgspec
import pytest

from letterbox.model.preferences import Pause
from letterbox.model.record import DecisionRecord
from letterbox.model.verdict import Refuse
from letterbox.ports.store import Commit, Emit, Schedule
from letterbox.records import places
from letterbox.records.coding import decode
from letterbox.records.ledger import Reference
from letterbox.records.names import first_id
from tests.support.house import House, mail, open_house, signed

# The clock starts on Monday 23 November 2026, noon UTC: 13:00 in Amsterdam.
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
  [[consumer.window]]
  days = ["tue"]
  from = "09:00"
  until = "12:00"
  kinds = ["offer"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  limit = { messages = 1, per = "day" }

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
newcomers = "ask"
ask_for_days = 2
"""


@pytest.fixture
async def house():
    async with open_house(PEOPLE) as house:
        yield house


async def hold(house: House, to: str = "anna", number: int = 1) -> str:
    content = signed(mail(f"Offer {number}", number=number, Letterbox_Kind="offer"))
    received = await house.send(content, f"{to}@letterbox.example")
    (outcome,) = received.outcomes
    assert outcome.told.line.startswith("250 2.0.0 held ")
    return outcome.told.reference


async def held(house: House, consumer: str = "anna") -> list[str]:
    page = await house.app.mailboxes.held(consumer, after=None, limit=10)
    return [entry.id for entry in page.items]


async def refused(house: House) -> DecisionRecord:
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10, verdict="refuse")
    (row,) = page.items
    return row


async def types(house: House) -> list[str]:
    return [event.type for event in await house.feed("greenleaf")]


async def test_released_when_the_window_opens_and_not_before(house: House) -> None:
    reference = await hold(house)
    house.clock.advance(hours=19, minutes=59)
    await house.work()
    assert await house.inbox("anna") == []
    house.clock.advance(minutes=1)
    await house.work()
    await house.work()
    assert await house.inbox("anna") == ["Offer 1"]
    assert await held(house) == []
    events = await house.feed("greenleaf")
    assert [(e.type, e.reference) for e in events] == [
        ("message.held", reference),
        ("message.released", reference),
    ]
    # Told as a day, never as an hour.
    assert events[0].until is not None
    assert events[0].until.isoformat() == "2026-11-24"
    assert events[1].at.isoformat() == "2026-11-24T00:00:00+00:00"


async def test_both_decisions_are_written_down(house: House) -> None:
    await hold(house)
    house.clock.advance(hours=20)
    await house.work()
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    second, first = page.items
    assert type(second.verdict).__name__ == "Deliver"
    assert type(first.verdict).__name__ == "Hold"
    assert second.follows == first.id


async def test_limits_are_consumed_at_release(house: House) -> None:
    await hold(house, number=1)
    await hold(house, number=2)
    house.clock.advance(hours=20)
    await house.work()
    assert len(await house.inbox("anna")) == 1
    assert sorted(await types(house)) == [
        "message.held",
        "message.held",
        "message.refused",
        "message.released",
    ]


async def test_changed_wishes_decide_at_once_about_what_waits(house: House) -> None:
    await hold(house)
    stored = await house.app.consumers.stored("anna")
    assert stored is not None
    opened = msgspec.structs.replace(stored.preferences, window=())
    await house.app.consumers.replace("anna", opened, expect=1, now=house.clock.now())
    await house.work()
    assert await house.inbox("anna") == ["Offer 1"]


async def pause(house: House, *pauses: Pause) -> None:
    stored = await house.app.consumers.stored("anna")
    assert stored is not None
    changed = msgspec.structs.replace(stored.preferences, pauses=pauses)
    await house.app.consumers.replace("anna", changed, expect=None, now=house.clock.now())
    await house.work()


FOR_EVER = Pause(from_=date(2026, 11, 23), until=date.max)


async def test_what_waits_goes_on_waiting_in_a_pause_for_ever_and_comes_after_it(
    house: House,
) -> None:
    await hold(house)
    await pause(house, FOR_EVER)
    house.clock.advance(minutes=1)
    await hold(house, number=2)
    assert len(await held(house)) == 2
    row = (await house.app.mailboxes.decisions("anna", after=None, limit=1)).items[0]
    said = [
        house.app.sentences.person(finding, language)
        for finding in row.findings
        if finding.filter == "window"
        for language in ("en", "nl")
    ]
    assert said == [
        "Nothing opens for offers within a year; it waits.",
        "Het komende jaar opent er niets voor aanbiedingen; het wacht.",
    ]
    # Decided again with nothing new about it, nothing is written.
    before = (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items
    house.clock.advance(days=2)
    await pause(house, FOR_EVER, Pause(from_=date(2026, 1, 1), until=date(2026, 1, 2)))
    assert (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items == before
    await pause(house)
    assert len(await held(house)) == 2  # until Tuesday
    house.clock.advance(days=5, hours=20)
    await house.work()
    assert len(await house.inbox("anna")) == 1  # one a day may come


async def test_a_pause_for_ever_holds_no_longer_than_anything(house: House) -> None:
    await pause(house, FOR_EVER)
    await hold(house)
    house.clock.advance(days=59)
    await house.work()
    assert len(await held(house)) == 1
    house.clock.advance(days=1)
    await house.work()
    assert await held(house) == []
    verdict = (await refused(house)).verdict
    assert isinstance(verdict, Refuse)
    assert verdict.reason == "window-closed"
    assert await types(house) == ["message.held", "message.expired"]


async def test_a_vendor_locked_out_meanwhile_does_not_arrive(house: House) -> None:
    await hold(house)
    await house.people(
        PEOPLE.replace(
            'scope = "everything"', 'standing = "blocked"\nbecause = "too-often"'
        ).replace('limit = { messages = 1, per = "day" }', "")
    )
    await house.work()
    assert await house.inbox("anna") == []
    assert await held(house) == []
    assert await types(house) == ["message.held", "relationship.blocked", "message.refused"]


async def test_the_consumer_may_let_it_in_early_or_say_no(house: House) -> None:
    await hold(house, number=1)
    await hold(house, number=2)
    page = await house.app.mailboxes.held("anna", after=None, limit=10)
    names = {entry.subject: entry.id for entry in page.items}
    assert not await house.app.holds.answer("carl", names["Offer 1"], yes=True)
    assert await house.app.holds.answer("anna", names["Offer 1"], yes=True)
    assert await house.app.holds.answer("anna", names["Offer 2"], yes=False)
    assert not await house.app.holds.answer("anna", names["Offer 2"], yes=True)
    assert await house.inbox("anna") == ["Offer 1"]
    house.clock.advance(days=3)
    await house.work()
    assert await house.inbox("anna") == ["Offer 1"]


async def test_a_no_is_said_as_one(house: House) -> None:
    await hold(house)
    (name,) = await held(house)
    assert await house.app.holds.answer("anna", name, yes=False)
    row = await refused(house)
    said = [house.app.sentences.person(row.findings[0], language) for language in ("en", "nl")]
    assert said == ["You refused it yourself.", "Je hebt het zelf geweigerd."]
    # To the vendor a no and no answer are the same.
    event = (await house.feed("greenleaf"))[-1]
    assert (event.type, event.reason.detail) == (
        "message.declined",
        "The recipient did not say yes",
    )


async def test_what_became_of_a_hold_is_found_from_it(house: House) -> None:
    await hold(house)
    (name,) = await held(house)
    house.clock.advance(hours=20)
    await house.work()
    decision = await house.app.mailboxes.decision("anna", name)
    assert decision is not None
    assert decision.followed_by is not None
    second = await house.app.mailboxes.decision("anna", decision.followed_by)
    assert second is not None
    assert (second.follows, second.followed_by) == (name, None)
    assert await house.app.mailboxes.entry("anna", decision.followed_by) is not None


async def test_deciding_again_without_a_change_writes_nothing(house: House) -> None:
    await hold(house)
    stored = await house.app.consumers.stored("anna")
    assert stored is not None
    for wait in (1, 2, 3):
        changed = msgspec.structs.replace(stored.preferences, ask_for_days=wait)
        await house.app.consumers.replace("anna", changed, expect=None, now=house.clock.now())
        await house.work()
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    assert len(page.items) == 1
    house.clock.advance(hours=20)
    await house.work()
    assert await house.inbox("anna") == ["Offer 1"]
    # A window that opens at another time is a change.
    house.clock.advance(days=1)
    await hold(house, number=2)
    later = msgspec.structs.replace(stored.preferences.window[0], from_="10:00")
    changed = msgspec.structs.replace(stored.preferences, window=(later,))
    house.clock.advance(minutes=1)
    await house.app.consumers.replace("anna", changed, expect=None, now=house.clock.now())
    await house.work()
    rows = (await house.app.mailboxes.decisions("anna", after=None, limit=10)).items
    assert [type(row.verdict).__name__ for row in rows] == ["Hold", "Hold", "Deliver", "Hold"]
    assert rows[1].followed_by == rows[0].id


async def test_what_was_told_as_accepted_stays_so(house: House) -> None:
    """A consumer who tells nothing: neither feed nor page says that it was held and refused."""
    await house.people(
        PEOPLE.replace('scope = "everything"', 'scope = "everything"\ntells = "nothing"')
    )
    content = signed(mail("Offer 1", Letterbox_Kind="offer"))
    (outcome,) = (await house.send(content, "anna@letterbox.example")).outcomes
    assert outcome.told.verdict == "accepted"
    (name,) = await held(house)
    assert await house.app.holds.answer("anna", name, yes=False)
    assert await types(house) == []
    row = await refused(house)
    assert row.told == outcome.told


async def test_a_no_tells_no_more_of_a_sensitive_subject_than_a_refusal(house: House) -> None:
    headers = {"Letterbox_Kind": "offer", "Letterbox_Category": "health"}
    (outcome,) = (
        await house.send(signed(mail("Pills", **headers)), "anna@letterbox.example")
    ).outcomes
    assert outcome.told.until is None
    (name,) = await held(house)
    # The window is open now: no rule stands in the way any more, only the consumer.
    house.clock.advance(hours=20)
    assert await house.app.holds.answer("anna", name, yes=False)
    codes = [event.reason.code for event in await house.feed("greenleaf")]
    assert codes == ["timing", "choice"]


async def test_what_is_let_in_by_hand_counts(house: House) -> None:
    await hold(house, number=1)
    await hold(house, number=2)
    page = await house.app.mailboxes.held("anna", after=None, limit=10)
    house.clock.advance(hours=20)  # the window opens, and the day's one message is let in by hand
    for entry in page.items:
        await house.app.holds.answer("anna", entry.id, yes=True)
    assert len(await house.inbox("anna")) == 2
    content = signed(mail("Offer 3", number=3, Letterbox_Kind="offer"))
    (outcome,) = (await house.send(content, "anna@letterbox.example")).outcomes
    assert outcome.told.line.startswith("550 5.7.1 too-often: ")


async def test_the_feed_does_not_tell_the_hour_of_a_release(house: House) -> None:
    await hold(house)
    house.clock.advance(hours=20)
    await house.work()
    released = (await house.feed("greenleaf"))[-1]
    hours = {first_id(house.clock.now() + timedelta(hours=h))[:9] for h in range(-30, 30)}
    assert released.id[:9] not in hours


async def test_a_newcomer_waits_for_a_yes(house: House) -> None:
    await hold(house, "carl")
    (name,) = await held(house, "carl")
    assert await house.inbox("carl") == []
    assert await house.app.holds.answer("carl", name, yes=True)
    assert await house.inbox("carl") == ["Offer 1"]
    assert await types(house) == ["message.awaiting", "message.approved"]


async def test_a_yes_holds_whatever_the_rules_say(house: House) -> None:
    """A limit used up while the message waited does not turn the consumer's yes into a refusal."""
    await house.people(
        PEOPLE.replace(
            'newcomers = "ask"', 'newcomers = "ask"\nlimit = { messages = 1, per = "day" }'
        )
    )
    await hold(house, "carl", number=1)
    await hold(house, "carl", number=2)
    for name in await held(house, "carl"):
        assert await house.app.holds.answer("carl", name, yes=True)
    assert len(await house.inbox("carl")) == 2


async def test_the_last_day_for_an_answer_stays_where_it_was(house: House) -> None:
    await hold(house, "carl")
    for days in (30, 60, 90):
        house.clock.advance(hours=12)
        people = PEOPLE.replace("ask_for_days = 2", f"ask_for_days = {days}")
        await house.people(people)
        await house.work()
    house.clock.advance(days=2)
    await house.work()
    assert await types(house) == ["message.awaiting", "message.declined"]


async def test_an_entry_without_its_message_does_not_keep_the_worker_busy(house: House) -> None:
    orphan = Schedule(key="held/absent", at=house.clock.now())
    await house.app.store.commit(Commit(partition="consumer/anna", operations=(orphan,)))
    assert await house.app.worker.run_once() == 1
    assert await house.app.worker.run_once() == 0


async def test_a_loser_of_a_race_does_not_speak_for_the_reference(house: House) -> None:
    reference = await hold(house)
    (name,) = await held(house)
    await asyncio.gather(
        house.app.holds.answer("anna", name, yes=True),
        house.app.holds.answer("anna", name, yes=False),
    )
    value = await house.app.store.claim(places.reference(reference), places.REFERENCE)
    assert value is not None
    row = decode(value, Reference)
    assert await house.app.mailboxes.decision("anna", row.decision) is not None
    expected = "deliver" if await house.inbox("anna") else "refuse"
    assert row.told.verdict == expected


ASKED = PEOPLE.replace('scope = "everything"', 'scope = "everything"\n  standing = "ask"')


async def test_a_window_that_opens_without_a_yes_lets_nothing_through(house: House) -> None:
    await house.people(ASKED)
    await hold(house)
    (entry,) = (await house.app.mailboxes.held("anna", after=None, limit=10)).items
    assert entry.why == "awaiting-consumer"
    house.clock.advance(hours=20)  # the window is open
    await house.work()
    assert await held(house) == [entry.id]
    assert await types(house) == ["message.awaiting"]
    assert await house.app.holds.answer("anna", entry.id, yes=True)
    assert await house.inbox("anna") == ["Offer 1"]
    assert await types(house) == ["message.awaiting", "message.approved"]


async def test_a_yes_before_the_window_is_decided_again_when_it_opens(house: House) -> None:
    """Two have a yes and wait on for the window; the limit of one a day is consumed there."""
    await house.people(ASKED)
    await hold(house, number=1)
    await hold(house, number=2)
    for name in await held(house):
        assert await house.app.holds.answer("anna", name, yes=True)
    assert await house.inbox("anna") == []
    assert len(await held(house)) == 2
    house.clock.advance(hours=19, minutes=59)
    await house.work()
    assert await house.inbox("anna") == []
    house.clock.advance(minutes=1)
    await house.work()
    assert len(await house.inbox("anna")) == 1
    assert (await refused(house)).verdict.reason == "too-often"
    assert sorted(await types(house)) == [
        *["message.approved"] * 2,
        *["message.awaiting"] * 2,
        "message.refused",
        "message.released",
    ]


async def test_no_answer_in_time_is_a_no(house: House) -> None:
    await hold(house, "carl")
    house.clock.advance(days=2, hours=11)
    await house.work()
    assert await types(house) == ["message.awaiting"]
    house.clock.advance(hours=2)
    await house.work()
    assert await types(house) == ["message.awaiting", "message.declined"]
    assert await house.inbox("carl") == []
    assert await held(house, "carl") == []


async def test_nothing_is_held_for_ever(house: House) -> None:
    await hold(house)
    paused = PEOPLE.replace(
        'timezone = "Europe/Amsterdam"',
        'timezone = "Europe/Amsterdam"\npauses = [{ from = 2026-11-23, until = 2027-06-01 }]',
        1,
    )
    await house.people(paused)
    await house.work()
    assert len(await held(house)) == 1
    house.clock.advance(days=61)
    await house.work()
    assert await held(house) == []
    assert (await types(house))[-1] == "message.expired"


async def test_bodies_go_when_nobody_holds_on_to_them(house: House) -> None:
    await hold(house)
    page = await house.app.mailboxes.held("anna", after=None, limit=10)
    message = page.items[0].message
    house.clock.advance(hours=20)
    await house.work()
    house.clock.advance(days=31)
    await house.work()
    assert await house.app.mailboxes.body(message) is not None
    (entry,) = (await house.app.mailboxes.inbox("anna", after=None, limit=10)).items
    await house.app.mailboxes.remove("anna", entry.id)
    house.clock.advance(days=31)
    await house.work()
    assert await house.app.mailboxes.body(message) is None
    assert await house.app.mailboxes.message(message) is None


async def test_decisions_and_feedback_are_forgotten_in_time(house: House) -> None:
    await house.app.worker.start()
    await house.app.worker.stop()
    await hold(house)
    house.clock.advance(hours=20)
    await house.work()
    assert await house.feed("greenleaf")
    house.clock.advance(days=91)
    await house.work()
    # The newest stays, so that cursors go on counting where they were.
    assert await types(house) == ["message.released"]
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    assert len(page.items) == 2
    house.clock.advance(days=310)
    await house.work()
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    assert page.items == ()


async def test_starting_over_and_over_does_not_put_the_daily_sweep_off(house: House) -> None:
    for _ in range(3):
        await house.app.worker.start()
        await house.app.worker.stop()
        house.clock.advance(minutes=25)
    (sweep,) = await house.app.store.due(house.clock.now())
    assert (sweep.partition, sweep.key) == ("directory", "sweep")
    await house.work()
    assert await house.app.store.due(house.clock.now()) == []
    house.clock.advance(days=1)
    assert len(await house.app.store.due(house.clock.now())) == 1


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x80"])
async def test_an_entry_of_the_outbox_that_cannot_be_read_stands_in_nobodys_way(
    house: House, value: bytes
) -> None:
    broken = Commit(partition="consumer/anna", operations=(Emit(value=value),))
    await house.app.store.commit(broken)
    (entry,) = await house.app.store.outbox()
    await hold(house)
    house.clock.advance(hours=20)
    await house.work()
    assert await types(house) == ["message.held", "message.released"]
    assert await house.app.store.outbox() == []
    aside = await house.app.store.get("consumer/anna", f"broken/{entry.sequence}")
    assert aside is not None
    assert aside.value == value


async def give_up(house: House, consumer: str, *addresses: str, **changed: object) -> None:
    """Have these addresses alone, where there were others."""
    stored = await house.app.consumers.stored(consumer)
    assert stored is not None
    after = msgspec.structs.replace(stored.preferences, addresses=addresses, **changed)
    await house.app.consumers.replace(consumer, after, expect=None, now=house.clock.now())


@pytest.mark.parametrize("taken_by", ["", "carl"])
async def test_what_waits_at_an_address_that_is_given_up_is_decided_by_who_has_it(
    house: House, taken_by: str
) -> None:
    reference = await hold(house)
    await give_up(house, "anna", "another@letterbox.example")
    if taken_by:
        await give_up(house, taken_by, "anna@letterbox.example")
    await house.work()
    assert len(await held(house)) == 1
    house.clock.advance(hours=20)
    await house.work()
    assert await held(house) == []
    assert await house.inbox("anna") == ["Offer 1"]
    assert await house.inbox("carl") == []
    feed = await house.feed("greenleaf")
    assert [(e.type, e.reference) for e in feed][-1] == ("message.released", reference)


async def test_a_word_about_what_waits_at_an_address_that_is_given_up_counts(house: House) -> None:
    await hold(house, number=1)
    await hold(house, number=2)
    first, second = await held(house)
    await give_up(house, "anna", "another@letterbox.example")
    assert await house.app.holds.answer("anna", first, yes=True)
    assert await house.app.holds.answer("anna", second, yes=False)
    assert len(await house.inbox("anna")) == 1
    assert await held(house) == []
