"""Mailboxes elsewhere: before its reader says yes, nothing goes there but the letter that asks."""

import email
import email.policy
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from letterbox.model.configuration import Configuration, OutboundSection
from letterbox.ports.courier import NotNow
from letterbox.records.destinations import LINK_LASTS, MOST, AskedEnough, OwnAddress, TooMany, Unfit
from tests.support.house import House, open_house
from tests.support.postoffice import PostOffice, post_office

PEOPLE = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
language = "nl"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
"""
ME = "anna@provider.test"


class Asking(msgspec.Struct):
    """A house, and the mail server where people read their mail."""

    house: House
    office: PostOffice

    @property
    def destinations(self):
        return self.house.app.destinations

    async def token(self, nth: int = -1) -> str:
        """What the link in a letter carries."""
        await self.house.work()
        letter = email.message_from_bytes(
            self.office.came[nth].content, policy=email.policy.default
        )
        (token,) = re.findall(r"https://letterbox\.example/confirm/(\w+)", letter.get_content())
        return token


@asynccontextmanager
async def opened():
    async with post_office() as office:
        configuration = Configuration(
            hostname="mx.letterbox.example",
            domains=("letterbox.example",),
            public_url="https://letterbox.example",
            outbound=OutboundSection(relay=office.address),
        )
        async with open_house(PEOPLE, configuration=configuration) as house:
            yield Asking(house, office)


@pytest.fixture
async def asking():
    async with opened() as asking:
        yield asking


async def test_whoever_reads_the_mailbox_confirms_it_once(asking: Asking) -> None:
    row = await asking.destinations.add("anna", ME)
    assert await asking.destinations.confirmed("anna") == []
    token = await asking.token()
    (came,) = asking.office.came
    assert (came.sender, came.to) == ("<>", (ME,))
    letter = email.message_from_bytes(came.content, policy=email.policy.default)
    assert letter["To"] == ME
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "anna@letterbox.example" in letter["Subject"]
    assert "Mag post" in letter["Subject"]
    # Looking uses nothing up, as often as a scanner follows it.
    for _ in range(3):
        found = await asking.destinations.confirmable(token)
        assert found is not None
        assert (found.consumer, found.destination.address) == ("anna", ME)
    assert await asking.destinations.confirmed("anna") == []
    assert await asking.destinations.confirm(token)
    (confirmed,) = await asking.destinations.confirmed("anna")
    assert (confirmed.id, confirmed.address, confirmed.kind) == (row.id, ME, "mail")
    assert confirmed.confirmed_at == asking.house.clock.now()
    assert await asking.destinations.confirm(token) is None
    assert await asking.destinations.confirmable(token) is None


async def test_a_link_ends_with_its_time_another_link_or_its_mailbox(asking: Asking) -> None:
    row = await asking.destinations.add("anna", ME)
    first = await asking.token()
    await asking.destinations.ask_again("anna", row.id)
    second = await asking.token()
    assert await asking.destinations.confirmable(first) is None
    asking.house.clock.at += LINK_LASTS - timedelta(seconds=1)
    assert await asking.destinations.confirmable(second) is not None
    asking.house.clock.advance(seconds=1)
    assert await asking.destinations.confirm(second) is None
    await asking.destinations.ask_again("anna", row.id)
    third = await asking.token()
    assert await asking.destinations.remove("anna", row.id)
    assert await asking.destinations.confirm(third) is None
    assert await asking.destinations.listed("anna") == ()


@pytest.mark.parametrize("change", ["", "0" * 65, "x", "é"])
async def test_a_link_that_we_did_not_make_confirms_nothing(asking: Asking, change: str) -> None:
    await asking.destinations.add("anna", ME)
    token = await asking.token()
    assert await asking.destinations.confirm(change) is None
    assert await asking.destinations.confirm(token[:32] + "0" * 33) is None
    assert await asking.destinations.confirmed("anna") == []


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("nobody", Unfit),
        ("a@b@c", Unfit),
        ("ben@letterbox.example", OwnAddress),
        ("BEN@Letterbox.Example", OwnAddress),
        ("postmaster@mx.letterbox.example", OwnAddress),
    ],
)
async def test_mail_does_not_go_in_circles(asking: Asking, address: str, wrong) -> None:
    with pytest.raises(wrong):
        await asking.destinations.add("anna", address)
    await asking.house.work()
    assert asking.office.came == []


async def test_nobody_is_bombarded(asking: Asking) -> None:
    """The address has its own bound, whoever asks, and so has who asks."""
    row = await asking.destinations.add("anna", ME)
    assert await asking.destinations.add("anna", ME.upper()) == row
    await asking.destinations.ask_again("anna", row.id)
    await asking.destinations.add("ben", ME)
    for consumer in ("anna", "ben"):
        (theirs,) = await asking.destinations.listed(consumer)
        with pytest.raises(AskedEnough):
            await asking.destinations.ask_again(consumer, theirs.id)
    await asking.house.work()
    # The second of anna's was asked for before the first was sent.
    assert [came.to for came in asking.office.came] == [(ME,)] * 2
    for nth in range(8):
        await asking.destinations.add("anna", f"anna-{nth}@provider.test")
    with pytest.raises(AskedEnough):
        await asking.destinations.add("anna", "anna-more@provider.test")
    asking.house.clock.advance(days=1)
    await asking.destinations.add("anna", "anna-more@provider.test")
    assert len(await asking.destinations.listed("anna")) == MOST
    with pytest.raises(TooMany):
        await asking.destinations.add("anna", "anna-most@provider.test")


async def test_whoever_reads_a_mailbox_has_so_many_letters_by_whatever_name(asking: Asking) -> None:
    for nth in range(3):
        await asking.destinations.add("anna", f"victim+{nth}@provider.test")
    with pytest.raises(AskedEnough):
        await asking.destinations.add("ben", "Victim+more@provider.test")


async def test_who_has_asked_enough_uses_up_nobody_elses_letters(asking: Asking) -> None:
    rows = [await asking.destinations.add("anna", f"anna-{nth}@provider.test") for nth in range(10)]
    await asking.destinations.remove("anna", rows[0].id)
    for _ in range(3):
        with pytest.raises(AskedEnough):
            await asking.destinations.add("anna", "ben@provider.test")
    assert await asking.destinations.add("ben", "ben@provider.test")


async def test_what_became_of_the_letter_is_shown(asking: Asking) -> None:
    asking.office.recipients[ME] = "550 5.1.1 no such user"
    row = await asking.destinations.add("anna", ME)
    await asking.house.work()
    (refused,) = await asking.destinations.listed("anna")
    assert (refused.letter, refused.detail) == ("refused", "550 5.1.1 no such user")
    asking.office.recipients[ME] = "451 4.2.1 not now"
    await asking.destinations.ask_again("anna", row.id)
    await asking.house.work()
    (waits,) = await asking.destinations.listed("anna")
    assert (waits.letter, waits.detail, waits.attempts) == ("owed", "451 4.2.1 not now", 1)
    del asking.office.recipients[ME]
    asking.house.clock.advance(minutes=5)
    await asking.house.work()
    (sent,) = await asking.destinations.listed("anna")
    assert (sent.letter, sent.detail) == ("sent", "")
    assert await asking.destinations.confirm(await asking.token())


async def test_a_letter_that_nobody_takes_is_given_up(asking: Asking, monkeypatch) -> None:
    async def nobody(letter):
        return NotNow("no answer")

    monkeypatch.setattr(asking.house.app.onward.confirming._courier, "hand_on", nobody)
    await asking.destinations.add("anna", ME)
    for _ in range(30):
        await asking.house.work()
        asking.house.clock.advance(hours=4)
    (failed,) = await asking.destinations.listed("anna")
    assert (failed.letter, failed.detail) == ("failed", "no answer")
    assert not await asking.house.app.store.due(asking.house.clock.now())
