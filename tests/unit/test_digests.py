"""A digest by mail: what it says, when it comes, and that it comes once."""

import email
import email.policy
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from letterbox.model.preferences import Digest, Pause
from letterbox.model.record import InboxEntry
from letterbox.ports.courier import Handed, Letter, Never, NotNow
from letterbox.ports.store import Commit, Put, StoreUnavailable
from letterbox.records import places
from letterbox.records.coding import decode, encode
from tests.support.clock import FakeClock
from tests.support.house import House, mail, open_house

GOLDEN = Path(__file__).parents[1] / "golden"
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
language = "LANGUAGE"
newcomers = "ask"
digest = { at = ["18:00"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
  [[consumer.vendor]]
  vendor = "voltshop"
  standing = "blocked"
  because = "too-often"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
digest = { at = ["18:00"] }
"""
#: 18:00 in Amsterdam on the first day.
DUE = datetime(2026, 11, 23, 17, tzinfo=UTC)
MAILBOX = "anna@elsewhere.example"


class Post:
    """A mail server that takes what it is given, or answers as it is told to."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.answers: list[NotNow | Never] = []

    async def hand_on(self, letter: Letter):
        self.letters.append(letter)
        return self.answers.pop(0) if self.answers else Handed()


class Evening(House):
    """A house with its post office, and a digest in the evening."""

    post: Post

    async def confirm(self, mailbox: str = MAILBOX) -> None:
        row = await self.app.destinations.add("anna", mailbox)
        token = await self.app.destinations.link("anna", row.id)
        assert await self.app.destinations.confirm(token) is not None
        await self.work()
        self.post.letters.clear()

    async def until(self, at: datetime) -> None:
        self.clock.advance(seconds=(at - self.clock.now()).total_seconds())
        await self.work()

    def sent(self) -> list[email.message.EmailMessage]:
        return [parsed(letter.content) for letter in self.post.letters]

    async def kept(self) -> list[email.message.EmailMessage]:
        """Digests in the letterbox itself, newest first."""
        page = await self.app.mailboxes.inbox("anna", after=None, limit=100)
        bodies = [await self.app.mailboxes.body(e.message) for e in page.items if e.is_ours]
        return [parsed(body) for body in bodies]


def parsed(content: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)


def said(message: email.message.EmailMessage, kind: str = "plain") -> str:
    return message.get_body((kind,)).get_content()


@asynccontextmanager
async def evening(language: str = "en", people: str = PEOPLE, clock: FakeClock | None = None):
    async with open_house(people.replace("LANGUAGE", language), clock=clock) as house:
        house.__class__ = Evening
        house.post = Post()
        for part in (house.app.digests, house.app.onward.confirming):
            if hasattr(part, "_post"):
                part._post = part._post._replace(courier=house.post)
            else:
                part._courier = house.post
        await house.work()
        yield house


async def everything(house: Evening) -> None:
    """One that is delivered, one that waits for an answer, one that is refused."""
    to = "anna@letterbox.example"
    await house.send(mail("Lunch?", text="See you.\r\n"), to)
    await house.send(mail("Hello", domain="other.example", number=2), to, sender="a@other.example")
    await house.send(
        mail("Sale", domain="voltshop.example", number=3), to, sender="a@voltshop.example"
    )


@pytest.mark.parametrize("language", ["en", "nl"])
async def test_what_a_digest_says(language):
    async with evening(language) as house:
        await house.confirm()
        await everything(house)
        await house.until(DUE)
        (letter,) = house.post.letters
        assert str(letter.to) == MAILBOX
        message = parsed(letter.content)
        header = "".join(f"{name}: {value}\n" for name, value in message.items())
        whole = "\n".join((header, said(message), said(message, "html")))
        text = re.sub(r"anna~[\w.-]+", "TOKEN", whole)
        text = re.sub(r"[0-9a-f]{32}", "NAME", text)
        text = text.replace("\r\n", "\n")
        assert text == (GOLDEN / f"digest-{language}.txt").read_text()


async def test_nothing_is_loaded_from_anywhere_and_both_parts_say_the_same():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        await house.until(DUE)
        (message,) = house.sent()
        page, text = said(message, "html"), said(message)
        assert not re.search(r"<(img|link|script|style|iframe)|src=|url\(", page)
        links = re.findall(r'href="([^"]+)"', page)
        assert all(link.startswith("https://letterbox.example/") for link in links)
        assert set(links) == set(re.findall(r"https://\S+", text))
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message["List-Unsubscribe"].strip("<>") in text
        assert message["Auto-Submitted"] == "auto-generated"


async def test_without_a_mailbox_it_lies_in_the_letterbox():
    async with evening() as house:
        await everything(house)
        await house.until(DUE)
        assert house.post.letters == []
        (message,) = await house.kept()
        assert "Lunch?" in said(message)
        # And no digest speaks of a digest.
        await house.until(DUE + timedelta(days=1))
        assert len(await house.kept()) == 1


async def test_an_empty_digest_is_not_sent_and_the_next_tells_what_is_new():
    async with evening() as house:
        await house.confirm()
        await house.until(DUE)
        assert house.post.letters == []
        await everything(house)
        await house.until(DUE + timedelta(days=1))
        await house.send(mail("Dinner?", number=9, text="Tonight.\r\n"), "anna@letterbox.example")
        await house.until(DUE + timedelta(days=2))
        first, second = house.sent()
        assert {"Lunch?", "Hello", "Sale"} <= set(re.findall(r"[A-Z]\w+\??", said(first)))
        assert "Dinner?" in said(second)
        assert "Lunch?" not in said(second)
        assert first["Message-ID"] != second["Message-ID"]


async def test_what_is_committed_late_is_in_the_next_one():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        await house.until(DUE)
        (row,) = await house.app.store.documents(places.consumer("anna"), places.INBOX)
        at = DUE - timedelta(seconds=30)
        name = f"{int(at.timestamp() * 1000):012x}{'0' * 20}"
        late = msgspec.structs.replace(
            decode(row.value, InboxEntry), id=name, decision=name, at=at, subject="Late"
        )
        put = Put(places.INBOX + name, encode(late))
        await house.app.store.commit(Commit(places.consumer("anna"), (put,)))
        await house.until(DUE + timedelta(days=1))
        assert ["Late" in said(each) for each in house.sent()] == [False, True]


async def test_many_are_counted():
    async with evening() as house:
        await house.confirm()
        for number in range(140):
            content = mail(f"Note {number}", number=number, text="Hi.\r\n")
            await house.send(content, "anna@letterbox.example")
            house.clock.advance(seconds=1)
        await house.until(DUE)
        (message,) = house.sent()
        assert "and 40 more: https://letterbox.example/inbox" in said(message)
        assert said(message).count("Archive:") == 100
        assert message["Subject"] == "Your letterbox: 140 delivered"


# ---- when ---------------------------------------------------------------------------------------


async def test_by_the_clock_on_the_wall_whatever_is_done_to_it():
    # The clock goes back on 31 October 2027: 02:30 comes twice. On 28 March 2027 it never does.
    for start in (datetime(2027, 3, 26, tzinfo=UTC), datetime(2027, 10, 29, tzinfo=UTC)):
        people = PEOPLE.replace('at = ["18:00"]', 'at = ["02:30"]')
        async with evening(people=people, clock=FakeClock(start)) as house:
            await house.confirm()
            sent = []
            for hour in range(24 * 4):
                content = mail(f"Note {hour}", number=hour, text="Hi.\r\n")
                await house.send(content, "anna@letterbox.example")
                house.clock.advance(minutes=30)
                await house.work()
                house.clock.advance(minutes=30)
                await house.work()
                if house.post.letters:
                    sent.append(len(house.post.letters))
                    house.post.letters.clear()
            assert sent == [1, 1, 1, 1]


async def test_turned_off_and_on_and_moved():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        await set_to(house, digest=None)
        await house.until(DUE)
        assert house.post.letters == []
        assert await house.app.store.get(places.consumer("anna"), places.DIGEST) is None
        await set_to(house, digest=Digest(at=("20:00", "09:00"), lists=("delivered",)))
        await house.send(mail("Dinner?", number=9, text="Tonight.\r\n"), "anna@letterbox.example")
        await house.until(DUE + timedelta(hours=2))
        (message,) = house.sent()
        assert message["Subject"] == "Your letterbox: 1 delivered"


async def test_none_on_the_days_of_a_pause_and_all_of_it_after():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        day = DUE.date()
        await set_to(house, pauses=(Pause(from_=day, until=day + timedelta(days=1)),))
        for days in range(2):
            await house.until(DUE + timedelta(days=days))
            assert house.post.letters == []
        await house.until(DUE + timedelta(days=2))
        assert "Lunch?" in said(*house.sent())


async def set_to(house: Evening, **fields) -> None:
    stored = await house.app.consumers.stored("anna")
    changed = msgspec.structs.replace(stored.preferences, **fields)
    now = house.clock.now()
    await house.app.consumers.revise("anna", changed, expect=stored.revision, now=now)
    await house.work()


async def test_after_days_without_a_worker_there_is_one():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        await house.until(DUE + timedelta(days=3, hours=1))
        assert len(house.post.letters) == 1
        await house.until(DUE + timedelta(days=4))
        assert len(house.post.letters) == 1


async def test_one_that_is_late_does_not_come_in_a_pause_either():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        day = DUE.date() + timedelta(days=1)
        await set_to(house, pauses=(Pause(from_=day, until=day),))
        await house.until(DUE + timedelta(hours=12))
        assert house.post.letters == []
        await house.until(DUE + timedelta(days=2))
        assert "Lunch?" in said(*house.sent())


# ---- that it comes, and once --------------------------------------------------------------------


async def test_a_mailbox_that_takes_it_later_has_it_once():
    async with evening() as house:
        await house.confirm()
        await everything(house)
        house.post.answers = [NotNow("busy"), NotNow("busy")]
        for hours in range(24):
            await house.until(DUE + timedelta(hours=hours))
        assert len(house.post.letters) == 3
        assert len({each["Message-ID"] for each in house.sent()}) == 1


@pytest.mark.parametrize("answer", [Never("no such user"), NotNow("full")])
async def test_what_no_mailbox_takes_lies_in_the_letterbox(answer):
    async with evening() as house:
        await house.confirm()
        await everything(house)
        house.post.answers = [answer] * 200
        for hours in range(0, 72, 2):
            await house.until(DUE + timedelta(hours=hours))
        (message,) = await house.kept()
        assert "Lunch?" in said(message)


@pytest.mark.parametrize("elsewhere", [True, False])
@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_any_commit_it_is_sent_under_one_name(elsewhere, after, monkeypatch):
    for nth in range(5):
        async with evening() as house:
            if elsewhere:
                await house.confirm()
            await everything(house)
            await house.work()
            store = house.app.store
            commit, count = store.commit, iter(range(1000))

            async def dies(*commits, _commit=commit, _count=count, _nth=nth):
                if next(_count) != _nth:
                    return await _commit(*commits)
                if after:
                    await _commit(*commits)
                raise StoreUnavailable("killed")

            house.clock.advance(seconds=(DUE - house.clock.now()).total_seconds())
            with monkeypatch.context() as patch:
                patch.setattr(store, "commit", dies)
                patch.setattr("letterbox.delivery.worker._AFTER_TROUBLE", 0)
                for _ in range(4):
                    try:
                        await house.work()
                    except StoreUnavailable:
                        continue
                    finally:
                        house.clock.advance(seconds=10)
            messages = house.sent() if elsewhere else await house.kept()
            assert len({each["Message-ID"] for each in messages}) == 1
            assert len(messages) == 1 or elsewhere
            await house.until(DUE + timedelta(days=1))
            again = house.sent() if elsewhere else await house.kept()
            assert len(again) == len(messages)


async def test_asked_for_now():
    async with evening() as house:
        await house.confirm()
        assert await house.app.digests.send_now("nobody") is None
        assert await house.app.digests.send_now("anna") == "nothing"
        await everything(house)
        assert await house.app.digests.send_now("anna") == "sent"
        await house.work()
        assert len(house.post.letters) == 1
        await house.until(DUE)
        assert len(house.post.letters) == 1  # it told all there was


async def test_nothing_of_it_is_left_of_one_who_is_erased():
    async with evening() as house:
        await everything(house)
        await house.until(DUE)
        await house.app.erasure.begin("anna")
        for _ in range(10):
            house.clock.advance(hours=24)
            await house.work()
        assert list(await house.app.store.documents(places.consumer("anna"), "")) == []
        names = await house.app.store.names(places.consumer("anna"))
        assert not any((names.counters, names.claims, names.due))


@pytest.mark.parametrize(
    "subject", ["<img src=https://t.example/x>", "a\u202eb\u2028c", '"><script>x</script>', ""]
)
async def test_a_hostile_subject_is_a_subject_and_no_more(subject):
    async with evening() as house:
        await house.confirm()
        content = mail("SUBJECT", text="See you.\r\n").replace(b"SUBJECT", subject.encode())
        await house.send(content, "anna@letterbox.example")
        await house.until(DUE)
        (message,) = house.sent()
        assert not re.search(r"<(img|script)", said(message, "html"))
        assert not {"\u202e", "\u2028"} & set(said(message))
