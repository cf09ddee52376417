"""Reports by mail: owed for what no reply said, to proven paths alone, once, bounded."""

import asyncio
import email
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import Message

import msgspec
import pytest
from aiosmtplib import SMTP

from letterbox.model.address import Address
from letterbox.model.configuration import (
    Configuration,
    HttpSection,
    OutboundSection,
    SmtpSection,
    StoreSection,
)
from letterbox.model.envelope import Client, Request
from letterbox.model.report import Silence
from letterbox.ports.courier import NotNow
from letterbox.ports.store import Claim, Commit, Put, Schedule, StoreUnavailable
from letterbox.records import places
from letterbox.records.coding import encode
from tests.support.house import HERE, SPF_HERE, House, mail, open_house, signed
from tests.support.postoffice import PostOffice, post_office

# The clock starts on Monday 23 November 2026, noon UTC.
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]
reply = "report"

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  [[consumer.vendor]]
  vendor = "voltshop"
  scope = "everything"
  [[consumer.vendor]]
  domain = "other.example"
  scope = "everything"

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  accepts = ["service"]
  [[consumer.vendor]]
  vendor = "voltshop"
  accepts = ["service"]
  [[consumer.vendor]]
  domain = "other.example"
  accepts = ["service"]

[[consumer]]
id = "carl"
addresses = ["carl@letterbox.example"]
newcomers = "ask"
ask_for_days = 2
"""
REPORT = places.REPORT
ANNA, BEN, CARL, NOBODY = (
    f"{name}@letterbox.example" for name in ("anna", "ben", "carl", "nobody")
)


class Mailing(msgspec.Struct):
    """A house, and the mail server it hands its own mail to."""

    house: House
    office: PostOffice

    async def send(self, *to: str, content: bytes | None = None, **said):
        """Hand in an offer of other.example's, with one reply for all."""
        said = {"sender": "bounces@other.example", "one_reply": True} | said
        content = content or offer()
        return await self.house.send(content, *to, **said)

    async def reports(self) -> list[Message]:
        """What has come at the other server, once all that is due now is done."""
        await self.house.work()
        return [email.message_from_bytes(came.content) for came in self.office.came]


def offer(domain: str = "other.example", number: int = 1, **headers: str) -> bytes:
    headers = {"List-Unsubscribe": f"<mailto:off@{domain}>"} | headers
    return mail("Spring sale", domain=domain, number=number, **headers)


def told(message: Message) -> list[tuple[str, str, str]]:
    """Recipient, action and status of each group."""
    groups = message.get_payload()[1].get_payload()[1:]
    return [
        (group["Final-Recipient"].partition(";")[2], group["Action"], group["Status"])
        for group in groups
    ]


@asynccontextmanager
async def opened(**outbound):
    async with post_office() as office:
        configuration = Configuration(
            public_url="https://letterbox.example",
            outbound=OutboundSection(relay=office.address, **outbound),
        )
        async with open_house(PEOPLE, configuration=configuration) as house:
            yield Mailing(house, office)


@pytest.fixture
async def mailing():
    async with opened() as mailing:
        yield mailing


# ---- what is owed ------------------------------------------------------------------------------


async def test_what_the_one_reply_cannot_say_is_reported(mailing: Mailing) -> None:
    received = await mailing.send(
        ANNA,
        BEN,
        NOBODY,
        envelope_id="mailing-7",
        requests={Address("ben", "letterbox.example"): Request(original="rfc822;Ben@old.example")},
    )
    answers = [outcome.told for outcome in received.outcomes]
    assert [each.reply for each in answers] == [250, 550, 550]
    (report,) = await mailing.reports()
    assert mailing.office.came[0].to == ("bounces@other.example",)
    assert mailing.office.came[0].sender in {"", "<>", None}
    assert told(report) == [(BEN, "failed", "5.7.1"), (NOBODY, "failed", "5.7.1")]
    about, ben, nobody = report.get_payload()[1].get_payload()
    assert about["Original-Envelope-Id"] == "mailing-7"
    assert ben["Original-Recipient"] == "rfc822;Ben@old.example"
    # The very words of the reply that was not given.
    assert ben["Diagnostic-Code"] == f"smtp; {answers[1].line}"
    assert nobody["Diagnostic-Code"] == f"smtp; {answers[2].line}"
    assert "kind-not-wanted" in answers[1].line
    assert "no-relationship" in answers[2].line
    assert "Subject: Spring sale" in report.get_payload()[2].get_payload()
    assert "Pruners" not in report.as_string()


NOTHING_OWED = {
    "all taken": {"to": (ANNA,)},
    "all refused": {"to": (BEN, NOBODY)},
    "each had its reply": {"to": (ANNA, BEN), "one_reply": False},
    "null path": {"to": (ANNA, BEN), "sender": None},
    "never": {
        "to": (ANNA, BEN),
        "requests": {Address("ben", "letterbox.example"): Request(notify=())},
    },
    "successes alone": {
        "to": (ANNA, BEN),
        "requests": {Address("ben", "letterbox.example"): Request(notify=("success",))},
    },
    "a report": {
        "to": (ANNA, BEN),
        "content": offer(Content_Type="multipart/report; report-type=delivery-status; boundary=b"),
    },
    "an answer": {"to": (ANNA, BEN), "content": offer(Auto_Submitted="auto-replied")},
    "a hidden client": {"to": (ANNA, BEN), "client": Client(HERE, inner=True)},
    "a path of another": {"to": (ANNA, BEN), "sender": "victim@forged.example"},
    "a path with quotes": {"to": (ANNA, BEN), "sender": '"a b"@other.example'},
}


@pytest.mark.parametrize("case", NOTHING_OWED.values(), ids=NOTHING_OWED)
async def test_nothing_is_sent_to_whom_it_does_not_concern(mailing: Mailing, case: dict) -> None:
    mailing.house.zone.records["forged.example"] = {"TXT": ["v=spf1 -all"]}
    # Signed by nobody, but the path of another: the author is proven by a relay's word.
    if case.get("sender") == "victim@forged.example":
        case = case | {"client": Client(HERE, asserts_from=True)}
    await mailing.send(*case["to"], **{k: v for k, v in case.items() if k != "to"})
    assert await mailing.reports() == []
    due = await mailing.house.app.store.due(mailing.house.clock.now() + timedelta(days=3))
    assert not [entry for entry in due if entry.key.startswith(REPORT)]


async def test_what_a_vendor_agreed_to_read_in_its_feed_is_not_sent(mailing: Mailing) -> None:
    mailing.house.zone.records["voltshop.example"] = SPF_HERE
    received = await mailing.send(
        ANNA, BEN, content=offer("voltshop.example"), sender="bounces@voltshop.example"
    )
    assert [each.told.reply for each in received.outcomes] == [250, 250]
    assert await mailing.reports() == []


async def test_who_asks_hears_that_it_was_taken_and_no_more(mailing: Mailing) -> None:
    requests = {
        Address(name, "letterbox.example"): Request(notify=("success", "failure"))
        for name in ("anna", "ben", "carl")
    }
    await mailing.send(ANNA, BEN, CARL, requests=requests)
    failed, relayed = sorted(await mailing.reports(), key=lambda each: told(each)[0][1])
    assert told(failed) == [(BEN, "failed", "5.7.1")]
    # Delivered and held look the same.
    assert told(relayed) == [
        (ANNA, "relayed", "2.0.0"),
        (CARL, "relayed", "2.0.0"),
    ]


async def test_a_resend_is_reported_on_once(mailing: Mailing) -> None:
    await mailing.send(ANNA, BEN)
    assert len(await mailing.reports()) == 1
    await mailing.send(ANNA, BEN)
    await mailing.send(BEN, ANNA)
    assert len(await mailing.reports()) == 1
    await mailing.send(ANNA, BEN, content=offer(number=2))
    assert len(await mailing.reports()) == 2


# ---- after the session -------------------------------------------------------------------------


async def hold(mailing: Mailing, **said) -> None:
    received = await mailing.send(CARL, one_reply=False, **said)
    assert received.outcomes[0].told.line.startswith("250 2.0.0 held ")


async def test_what_is_declined_in_the_end_is_reported_some_time_of_the_next_day(
    mailing: Mailing,
) -> None:
    await hold(mailing)
    mailing.house.clock.advance(days=2, hours=12)
    assert await mailing.reports() == []
    due = await mailing.house.app.store.due(mailing.house.clock.now() + timedelta(days=2))
    (at,) = [entry.at for entry in due if entry.key.startswith(REPORT)]
    midnight = mailing.house.clock.now() + timedelta(days=1)
    assert (midnight.hour, midnight.minute) == (0, 0)
    assert midnight <= at < midnight + timedelta(days=1)
    mailing.house.clock.advance(hours=48)
    (report,) = await mailing.reports()
    assert told(report) == [(CARL, "failed", "5.7.1")]


@pytest.mark.parametrize(
    ("notify", "count"), [(None, 0), ((), 0), (("success",), 0), (("failure",), 1)]
)
async def test_a_registered_vendor_has_its_feed_unless_it_asks(
    mailing: Mailing, notify, count: int
) -> None:
    content = signed(mail("Sale", Letterbox_Kind="offer"))
    requests = {Address("carl", "letterbox.example"): Request(notify=notify)}
    await hold(mailing, content=content, sender="b@greenleaf.example", requests=requests)
    mailing.house.clock.advance(days=2, hours=12)
    await mailing.house.work()
    mailing.house.clock.advance(days=2)
    assert len([r for r in await mailing.reports() if told(r)[0][1] == "failed"]) == count


# ---- on the way --------------------------------------------------------------------------------


async def test_it_is_tried_again_until_it_is_taken(mailing: Mailing) -> None:
    mailing.office.answers += ["451 4.3.0 not now"] * 3
    await mailing.send(ANNA, BEN)
    for minutes in (0, 5, 15):
        mailing.house.clock.advance(minutes=minutes)
        assert await mailing.reports() == []
        assert await mailing.reports() == []  # not before its time
    mailing.house.clock.advance(minutes=30)
    assert len(await mailing.reports()) == 1
    mailing.house.clock.advance(days=5)
    assert len(await mailing.reports()) == 1


async def test_it_is_given_up_in_the_end(mailing: Mailing) -> None:
    mailing.office.answers += ["451 4.3.0 not now"] * 100
    await mailing.send(ANNA, BEN)
    for _ in range(60):
        await mailing.house.work()
        mailing.house.clock.advance(hours=1)
    tried = 100 - len(mailing.office.answers)
    assert 10 < tried < 30
    mailing.house.clock.advance(days=30)
    await mailing.house.work()
    assert 100 - len(mailing.office.answers) == tried


async def test_a_refused_report_is_reported_to_nobody(mailing: Mailing) -> None:
    mailing.office.answers.append("550 5.7.1 go away")
    await mailing.send(ANNA, BEN)
    mailing.house.clock.advance(days=1)
    assert await mailing.reports() == []
    assert mailing.office.answers == []


async def test_trouble_in_the_dns_puts_it_off(mailing: Mailing) -> None:
    await mailing.send(ANNA, BEN)
    mailing.house.zone.trouble = frozenset({"other.example"})
    assert await mailing.reports() == []
    mailing.house.zone.trouble = frozenset()
    mailing.house.clock.advance(minutes=5)
    assert len(await mailing.reports()) == 1


async def settle(mailing: Mailing, seconds: int = 60) -> list[Message]:
    """What has come once those that step back for others have had their turn."""
    for _ in range(seconds // 10):
        await mailing.house.work()
        mailing.house.clock.advance(seconds=10)
    return await mailing.reports()


async def test_too_many_are_told_in_one() -> None:
    async with opened(reports_per_domain_hour=2) as mailing:
        mailing.house.zone.records["b.other.example"] = SPF_HERE
        for number in range(6):
            sender = "bounces@other.example" if number % 2 else f"v{number}@b.other.example"
            await mailing.send(ANNA, BEN, content=offer(number=number), sender=sender)
        assert len(await settle(mailing)) == 2
        mailing.house.clock.advance(hours=1)
        reports = await settle(mailing)
        assert len(reports) == 3
        assert reports[2]["Subject"] == "4 more messages were not delivered"
        text = reports[2].get_payload(decode=True).decode()
        assert "4  kind-not-wanted" in text
        assert "anna" not in text
        assert "ben" not in text
        mailing.house.clock.advance(hours=1)
        assert len(await settle(mailing)) == 3


async def test_none_of_those_that_are_told_in_one_is_forgotten(tmp_path) -> None:
    """However many are at it at once, and whatever comes while the notice is on its way."""
    async with opened(reports_per_domain_hour=1) as mailing:
        for number in range(25):
            await mailing.send(ANNA, BEN, content=offer(number=number))
        await settle(mailing, 300)
        mailing.house.clock.advance(hours=1)
        mailing.office.answers.append("451 4.3.0 not now")
        await settle(mailing, 1200)
        one, notice = await mailing.reports()
        assert told(one) == [(BEN, "failed", "5.7.1")]
        assert notice["Subject"] == "24 more messages were not delivered"


async def test_authors_at_one_platform_hear_nothing_of_one_another() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        mailing.house.zone.records |= {"a.esp.example": SPF_HERE, "b.esp.example": SPF_HERE}
        client = Client(HERE, asserts_from=True)
        for number in range(3):
            for at, domain in (("a", "other.example"), ("b", "greenleaf.example")):
                await mailing.send(
                    ANNA,
                    BEN,
                    content=offer(domain, number=number),
                    sender=f"{at}@{at}.esp.example",
                    client=client,
                )
        await settle(mailing)
        mailing.house.clock.advance(hours=1)
        await settle(mailing)
        notices = [
            (came.to[0], email.message_from_bytes(came.content)["Subject"])
            for came in mailing.office.came
            if b"more messages" in came.content
        ]
        assert sorted(notices) == [
            ("a@a.esp.example", "2 more messages were not delivered"),
            ("b@b.esp.example", "2 more messages were not delivered"),
        ]


async def test_nobody_at_a_mailbox_provider_uses_up_anothers() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        mailing.house.zone.records["gmail.com"] = SPF_HERE
        for number in range(4):
            await mailing.send(
                ANNA,
                BEN,
                content=offer(number=number),
                sender=f"p{number}@gmail.com",
                client=Client(HERE, asserts_from=True),
            )
        await settle(mailing)
        assert len({came.to for came in mailing.office.came}) == 4


async def test_who_keeps_us_waiting_keeps_nobody_else_waiting() -> None:
    """Fifty that stand, and one honest: it is not put behind them."""
    async with opened() as mailing:
        mailing.house.zone.records |= {f"t{n}.example": SPF_HERE for n in range(5)}
        client = Client(HERE, asserts_from=True)
        for number in range(50):
            domain = f"t{number % 5}.example"
            await mailing.send(
                ANNA, BEN, content=offer(number=number), sender=f"x@{domain}", client=client
            )
        await mailing.send(ANNA, BEN, content=offer(number=99))
        courier = mailing.house.app.outgoing.reports._courier
        standing, honest = asyncio.Event(), asyncio.Event()

        class Slow:
            async def hand_on(self, letter):
                if letter.to.domain.startswith("t"):
                    await standing.wait()
                    return NotNow("it kept us waiting")
                honest.set()
                return await courier.hand_on(letter)

        mailing.house.app.outgoing.reports._courier = Slow()
        worker, began = mailing.house.app.worker, mailing.house.clock.now()
        await worker.start()
        async with asyncio.timeout(10):
            while not honest.is_set():
                mailing.house.clock.advance(seconds=10)
                # Something long due wakes it: those that stepped back have their turn.
                tick = Schedule(key=places.COLLECT, at=began)
                await mailing.house.app.store.commit(Commit(places.message("tick"), (tick,)))
                await asyncio.sleep(0.01)
        standing.set()
        await worker.stop()


class Standing:
    """A receiver who takes what it is given, and answers once ``end`` is set."""

    def __init__(self, mailing: Mailing) -> None:
        self.end = asyncio.Event()
        self._worker = mailing.house.app.worker
        self._reports = mailing.house.app.outgoing.reports
        self._courier, self._reports._courier = self._reports._courier, self

    async def hand_on(self, letter):
        await self.end.wait()
        return await self._courier.hand_on(letter)

    async def round(self) -> None:
        """Everything that is due has been looked at, and those that stand are left standing."""
        async with asyncio.timeout(10):
            while await self._worker._round():
                while len(errands := self._worker._errands) > 2:
                    tasks = [task for _, task in errands.values()]
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def test_those_beyond_the_bound_do_not_wait_for_a_slow_place() -> None:
    async with opened(reports_per_domain_hour=3) as mailing:
        for number in range(40):
            await mailing.send(ANNA, BEN, content=offer(number=number))
        standing = Standing(mailing)
        for _ in range(12):
            await standing.round()
            mailing.house.clock.advance(seconds=10)
        count = mailing.house.app.metrics.registry.get_sample_value
        folded = {"kind": "failed", "outcome": "folded"}
        assert count("letterbox_reports_total", folded) == 37
        assert len(await owed(mailing.house)) == 3
        standing.end.set()
        assert len(await settle(mailing)) == 3
        mailing.house.clock.advance(hours=1)
        notice = (await settle(mailing))[-1]
        assert notice["Subject"] == "37 more messages were not delivered"


async def test_who_has_waited_long_for_a_turn_asks_for_it_more_seldom() -> None:
    async with opened() as mailing:
        for number in range(6):
            await mailing.send(ANNA, BEN, content=offer(number=number))
        standing = Standing(mailing)
        await standing.round()
        mailing.house.clock.advance(hours=2)
        await standing.round()
        now = mailing.house.clock.now()
        due = await mailing.house.app.store.due(now + timedelta(days=3))
        waits = [each.at - now for each in due if each.key.startswith(REPORT) and each.at > now]
        assert len(waits) == 4
        assert min(waits) > timedelta(minutes=5)
        standing.end.set()
        mailing.house.clock.advance(minutes=30)
        assert len(await settle(mailing, 3600)) == 6


async def from_one_owner(mailing: Mailing, number: int, *, domains: int) -> None:
    """Mail of authors below so many domains, with return paths at one organization."""
    mailing.house.zone.records["evil.example"] = SPF_HERE
    author = f"a{number}.evil{number % domains}.example"
    client = Client(HERE, asserts_from=True)
    content = offer(author, number=number)
    await mailing.send(
        "postmaster@letterbox.example", BEN, content=content, sender="x@evil.example", client=client
    )


async def test_names_below_a_domain_are_one_author() -> None:
    async with opened(reports_per_domain_hour=2) as mailing:
        for number in range(12):
            await from_one_owner(mailing, number, domains=1)
        assert len(await settle(mailing, 300)) == 2


@pytest.mark.parametrize("folded", [False, True], ids=["reports", "notices"])
async def test_one_receiver_has_four_at_once_whosever_the_mail_was(*, folded: bool) -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        for number in range(24):
            await from_one_owner(mailing, number, domains=12)
        if folded:
            await settle(mailing, 600)
            assert len(mailing.office.came) == 12
            mailing.house.clock.advance(hours=1)
        reports = mailing.house.app.outgoing.reports
        courier, at_once, most, several = reports._courier, 0, 0, asyncio.Event()

        class Watched:
            async def hand_on(self, letter):
                nonlocal at_once, most
                at_once += 1
                most = max(most, at_once)
                if at_once >= 4:
                    several.set()
                await several.wait()
                handover = await courier.hand_on(letter)
                at_once -= 1
                return handover

        reports._courier = Watched()
        await settle(mailing, 600)
        assert most == 4
        assert len(mailing.office.came) == (24 if folded else 12)


async def test_a_place_that_took_nothing_is_left_alone() -> None:
    """One attempt a while for all that is owed there, not one for each."""
    async with opened() as mailing:
        mailing.office.answers += ["421 4.3.2 closing"] * 1000
        for number in range(20):
            await mailing.send(ANNA, BEN, content=offer(number=number))
        await settle(mailing, 240)
        assert 1000 - len(mailing.office.answers) <= 2
        for _ in range(60):
            await mailing.house.work()
            mailing.house.clock.advance(hours=1)
        assert 1000 - len(mailing.office.answers) < 200
        assert await owed(mailing.house) == []


async def test_one_that_is_put_off_silences_none_of_the_others(mailing: Mailing) -> None:
    """A full mailbox, or one that takes nothing at first: the others there are not kept waiting."""
    mailing.office.recipients["full@other.example"] = "452 4.2.2 mailbox full"
    for number, name in enumerate(("full", "one", "two")):
        sender = f"{name}@other.example"
        await mailing.send(ANNA, BEN, content=offer(number=number), sender=sender)
        await mailing.house.work()
    assert [came.to for came in mailing.office.came] == [
        ("one@other.example",),
        ("two@other.example",),
    ]
    mailing.office.recipients.clear()
    mailing.house.clock.advance(minutes=5)
    assert len(await mailing.reports()) == 3


async def folding(mailing: Mailing) -> None:
    """A place's hour is over: a notice is due."""
    for number in range(3):
        await mailing.send(ANNA, BEN, content=offer(number=number))
    await settle(mailing)
    mailing.house.clock.advance(hours=1)


async def test_a_notice_is_given_up_though_its_place_is_left_alone() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        await folding(mailing)
        mailing.house.clock.advance(hours=48)
        store, now = mailing.house.app.store, mailing.house.clock.now()
        (notice,) = [each for each in await store.due(now) if each.key.startswith(places.FOLDED)]
        silence = encode(Silence(until=now + timedelta(hours=4), attempts=6))
        silent = Claim(places.SILENCE, silence, None)
        await store.commit(Commit(notice.partition, (silent,)))
        assert len(await mailing.reports()) == 1
        assert await owed(mailing.house, places.FOLDED) == []
        assert await store.documents(notice.partition, places.FOLDED, limit=1) == []


async def test_a_notice_that_is_taken_ends_the_silence() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        await folding(mailing)
        mailing.office.answers += ["421 4.3.2 closing"] * 3
        for _ in range(3):
            await mailing.house.work()
            mailing.house.clock.advance(hours=1)
        assert len(await mailing.reports()) == 2
        # The next one in vain is the first again: five minutes, not an hour.
        mailing.office.answers.append("421 4.3.2 closing")
        await mailing.send(ANNA, BEN, content=offer(number=9))
        await mailing.house.work()
        mailing.house.clock.advance(minutes=7)
        assert len(await mailing.reports()) == 3


async def test_a_notice_to_a_full_mailbox_is_tried_ever_more_seldom() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        await folding(mailing)
        mailing.office.answers += ["452 4.2.2 mailbox full"] * 1000
        for _ in range(60 * 6):
            await mailing.house.work()
            mailing.house.clock.advance(minutes=10)
        assert 10 < 1000 - len(mailing.office.answers) < 30
        assert await owed(mailing.house, places.FOLDED) == []


# ---- rows of an earlier version ----------------------------------------------------------------


async def rewrite(house: House, change) -> None:
    """Write each report that is owed as somebody else would have."""
    store = house.app.store
    for entry in await store.due(house.clock.now()):
        if entry.key.startswith(REPORT):
            document = await store.get(entry.partition, entry.key)
            value = change(msgspec.msgpack.decode(document.value))
            put = Put(entry.key, msgspec.msgpack.encode(value))
            await store.commit(Commit(entry.partition, (put,)))


async def test_a_row_that_names_no_author_is_sent(mailing: Mailing) -> None:
    await mailing.send(ANNA, BEN)
    await rewrite(mailing.house, lambda row: {k: v for k, v in row.items() if k != "author"})
    (report,) = await mailing.reports()
    assert told(report) == [(BEN, "failed", "5.7.1")]


async def test_a_row_that_cannot_be_read_is_not_tried_for_ever(mailing: Mailing) -> None:
    await mailing.send(ANNA, BEN)
    await rewrite(mailing.house, lambda row: row | {"recipients": "nonsense"})
    assert await mailing.reports() == []
    assert await owed(mailing.house) == []
    count = mailing.house.app.metrics.registry.get_sample_value
    outcome = {"kind": "failed", "outcome": "unsendable"}
    assert count("letterbox_reports_total", outcome) == 1


async def test_what_was_folded_before_is_taken_out(mailing: Mailing) -> None:
    store, place = mailing.house.app.store, places.reports("other.example/other.example")
    now = mailing.house.clock.now()
    await store.commit(Commit(place, (Put("folded", b"\x80"), Schedule("folded", now))))
    assert await mailing.reports() == []
    assert await owed(mailing.house, "folded") == []
    assert await store.get(place, "folded") is None


async def test_a_notice_passes_over_what_cannot_be_read() -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        await folding(mailing)
        store = mailing.house.app.store
        due = await store.due(mailing.house.clock.now())
        (notice,) = [each for each in due if each.key.startswith(places.FOLDED)]
        put = Put(f"{notice.key}/zz", b"\xc1")
        await store.commit(Commit(notice.partition, (put,)))
        reports = await mailing.reports()
        assert reports[-1]["Subject"] == "2 more messages were not delivered"
        assert await owed(mailing.house, places.FOLDED) == []
        assert await store.documents(notice.partition, places.FOLDED, limit=1) == []


# ---- killed in between -------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(8))
async def test_killed_at_any_step_it_is_sent_all_the_same(
    mailing: Mailing, monkeypatch, step: int
) -> None:
    await mailing.send(ANNA, BEN, NOBODY)
    await work_until_killed(mailing, monkeypatch, step)
    reports = await mailing.reports()
    assert {each["Message-ID"] for each in reports} == {reports[0]["Message-ID"]}
    assert len(reports) <= 2
    for report in reports:
        assert told(report) == [(BEN, "failed", "5.7.1"), (NOBODY, "failed", "5.7.1")]
    assert await owed(mailing.house) == []


@pytest.mark.parametrize("step", range(12))
async def test_killed_at_any_step_each_is_counted_once(monkeypatch, step: int) -> None:
    async with opened(reports_per_domain_hour=1) as mailing:
        for number in range(3):
            await mailing.send(ANNA, BEN, content=offer(number=number))
        await work_until_killed(mailing, monkeypatch, step)
        reports = await settle(mailing)
        assert len({each["Message-ID"] for each in reports}) == 1
        mailing.house.clock.advance(hours=1)
        assert (await settle(mailing))[-1]["Subject"] == "2 more messages were not delivered"
        assert await owed(mailing.house) == []


async def work_until_killed(mailing: Mailing, monkeypatch, step: int) -> None:
    """Do what is due until so many commits are done."""
    store = mailing.house.app.store
    commit, left = store.commit, step

    async def until_killed(*commits):
        nonlocal left
        if not left:
            raise StoreUnavailable("killed")
        left -= 1
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", until_killed)
    monkeypatch.setattr("letterbox.delivery.worker._AFTER_TROUBLE", 0.0)
    await mailing.house.app.worker.run_once()
    monkeypatch.setattr(store, "commit", commit)


# ---- two of us ---------------------------------------------------------------------------------


@asynccontextmanager
async def facing(hostname: str, relay: str):
    """A letterbox of its own name on the wire, which hands its mail to the other."""
    configuration = Configuration(
        hostname=hostname,
        public_url=f"https://{hostname}",
        http=HttpSection(listen=""),
        smtp=SmtpSection(listen="127.0.0.1:0"),
        store=StoreSection(url="memory:"),
        outbound=OutboundSection(relay=relay),
    )
    async with open_house(configuration=configuration) as house:
        # Everything that comes from this machine is what it says it is.
        names = ("letterbox.example", "other.example", "shop.example")
        house.zone.records |= {name: {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]} for name in names}
        addresses = await house.app.start()
        try:
            yield house, addresses["smtp"]
        finally:
            await house.app.stop()


async def test_two_of_us_fall_silent_at_once() -> None:
    """Reports go from one to the other, where nobody has asked for them, and no further."""
    async with (
        facing("other.example", "127.0.0.1:1") as (other, there),
        facing("letterbox.example", there) as (house, here),
    ):
        await house.people(PEOPLE)
        host, _, port = here.rpartition(":")
        async with SMTP(hostname=host, port=int(port)) as client:
            refused, reply = await client.sendmail("bounces@other.example", [ANNA, BEN], offer())
        assert refused == {}
        assert "taken for 1 of 2 recipients, a report follows" in reply
        async with asyncio.timeout(20):
            while await owed(house):
                await house.app.store.wait(0.05)
        counts = house.app.metrics.registry.get_sample_value
        assert counts("letterbox_reports_total", {"kind": "failed", "outcome": "refused"}) == 1
        refusals = {"edge": "smtp", "verdict": "refuse", "reason": "not-accepted"}
        assert (
            other.app.metrics.registry.get_sample_value("letterbox_recipients_total", refusals) == 1
        )
        assert await owed(other) == []


async def owed(house: House, kind: str = REPORT) -> list[str]:
    """Reports that wait to be sent, or notices."""
    due = await house.app.store.due(house.clock.now() + timedelta(days=3))
    return [entry.key for entry in due if entry.key.startswith(kind)]
