"""Handing on: what is delivered goes to where people read it, and stays here whatever happens."""

import asyncio
import email
import email.policy
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import dkim
import msgspec
import pytest
from aiosmtplib import SMTP

from letterbox.administration.queue import queue_lines
from letterbox.identity.spf import check_path
from letterbox.misconfigured import check
from letterbox.model.address import parse_address
from letterbox.model.configuration import (
    Configuration,
    DkimSection,
    OnwardSection,
    OutboundSection,
)
from letterbox.model.envelope import Client
from letterbox.model.preferences import OnwardRule
from letterbox.ports.courier import Handed, Letter, Never
from letterbox.ports.store import StoreUnavailable
from letterbox.reading.mail import DEFAULT_LIMITS, split
from letterbox.records import places
from letterbox.records.onward import NothingToRetry
from letterbox.wiring.onward import names_of
from tests.support.house import House, mail, open_house, signed
from tests.support.nexthop import SILENT, STAGES, VANISH, NextHop, next_hop
from tests.support.plain import shipment
from tests.support.signing import Signer, rsa_key
from tests.unit.test_signing import pem

ME = "anna@provider.test"
PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
onward = [{ to = "anna@provider.test" }, { kinds = ["newsletter"], to = "keep" }]
  [[consumer.window]]
  from = "09:00"
  until = "10:00"
  kinds = ["offer"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
onward = [{ to = "mailbox" }]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]
"""
ANNA, BEN = "anna@letterbox.example", "ben@letterbox.example"
OURS = Signer(domain="letterbox.example")


class Handing(msgspec.Struct):
    """A house, and the server that it hands mail on to."""

    house: House
    hop: NextHop

    async def send(self, number: int = 1, to: str = ANNA, **said):
        said = {"Letterbox_Kind": "service"} | said
        return await self.house.send(signed(mail(f"Order {number}", number=number, **said)), to)

    async def confirm(self, consumer: str = "anna", address: str = ME) -> None:
        """As whoever reads the mailbox does."""
        destinations = self.house.app.destinations
        row = await destinations.add(consumer, address)
        token = await destinations.link(consumer, row.id)
        assert token is not None
        assert await destinations.confirm(token)

    async def entries(self, consumer: str = "anna"):
        page = await self.house.app.mailboxes.inbox(consumer, after=None, limit=100)
        return [each for each in page.items if not each.is_ours]

    async def state(self, consumer: str = "anna"):
        """How far the handing on of the newest has come."""
        return (await self.entries(consumer))[0].onward

    async def told(self, consumer: str = "anna") -> list[str]:
        """What the consumer was told of its own accord: the texts."""
        page = await self.house.app.mailboxes.inbox(consumer, after=None, limit=100)
        bodies = [await self.house.app.mailboxes.body(e.message) for e in page.items if e.is_ours]
        return [
            email.message_from_bytes(body, policy=email.policy.default).get_content()
            for body in bodies
        ]

    def came(self) -> list[bytes]:
        return [raw.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.") for raw in self.hop.came]


@asynccontextmanager
async def opened(tmp_path, *, lmtp: bool = False, **onward):
    key = tmp_path / "key.pem"
    key.write_bytes(pem(rsa_key(2048)))
    async with next_hop() as hop:
        configuration = Configuration(
            public_url="https://letterbox.example",
            outbound=OutboundSection(
                relay=hop.address, timeout=5.0, dkim=DkimSection(selector="s1", key=str(key))
            ),
            onward=OnwardSection(lmtp=hop.address if lmtp else "", timeout=5.0, **onward),
        )
        async with open_house(PEOPLE, configuration=configuration) as house:
            handing = Handing(house, hop)
            if not lmtp:
                await handing.confirm()
            yield handing


@pytest.fixture
async def handing(tmp_path):
    async with opened(tmp_path) as handing:
        yield handing


# ---- what goes on ------------------------------------------------------------------------------


async def test_what_is_delivered_goes_on_and_a_copy_stays(handing: Handing) -> None:
    await handing.send()
    assert (await handing.state()).state == "owed"
    await handing.house.work()
    (came,) = handing.came()
    state = await handing.state()
    assert (state.state, state.to, state.detail) == ("done", ME, "2.0.0 taken")
    assert state.at == handing.house.clock.now()
    assert await handing.house.inbox("anna") == ["Order 1"]
    received = signed(mail("Order 1", Letterbox_Kind="service"))
    assert came.endswith(received)
    message = email.message_from_bytes(came, policy=email.policy.default)
    assert message["From"] == "Shop <shop@greenleaf.example>"
    assert message["Delivered-To"] == ANNA
    assert message["Return-Path"] is None
    path = next(c for c in handing.hop.commands if c.startswith("MAIL"))
    assert path.startswith("MAIL FROM:<SRS0=")
    assert "@letterbox.example>" in path
    assert f"RCPT TO:<{ME}>" in handing.hop.commands
    assert not await handing.house.app.store.due(handing.house.clock.now() + timedelta(days=9))


async def test_each_kind_goes_its_own_way(handing: Handing) -> None:
    await handing.send(1, Letterbox_Kind="newsletter")
    await handing.house.work()
    assert handing.came() == []
    assert await handing.state() is None


async def test_what_was_held_goes_on_when_it_is_released(handing: Handing) -> None:
    await handing.send(1, Letterbox_Kind="offer")
    await handing.house.work()
    assert handing.came() == []
    handing.house.clock.advance(hours=21, minutes=30)
    await handing.house.work()
    assert len(handing.came()) == 1
    assert (await handing.state()).state == "done"


async def test_what_goes_on_verifies_by_other_programs(handing: Handing) -> None:
    await handing.send()
    await handing.house.work()
    (came,) = handing.came()
    records = OURS.records | Signer(domain="greenleaf.example").records

    def ask(name: bytes, timeout: int = 5) -> bytes | None:
        found = records.get(name.rstrip(b".").decode())
        return found["TXT"][0].encode() if found else None

    verifier = dkim.DKIM(came)
    assert verifier.verify(idx=0, dnsfunc=ask)
    assert verifier.domain == b"letterbox.example"
    # The sender's own still fits: From is not touched, nor is what it signed.
    theirs = dkim.DKIM(came)
    assert theirs.verify(idx=1, dnsfunc=ask)
    assert theirs.domain == b"greenleaf.example"
    status, sets, _ = dkim.arc_verify(came, dnsfunc=ask)
    assert (status, len(sets)) == (b"pass", 1)
    results = email.message_from_bytes(came)["ARC-Authentication-Results"]
    assert "letterbox.example" in results
    assert "dkim=pass" in results
    assert "header.d=greenleaf.example" in results


TRACKED = (
    b"From: Shop <shop@greenleaf.example>\r\nTo: anna@letterbox.example\r\nSubject: Order 1\r\n"
    b"Message-ID: <1@greenleaf.example>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\n"
    b"Letterbox-Kind: service\r\nLetterbox-Removed: 9\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p>Thank you. <a href="https://greenleaf.example/x?id=1&amp;utm_source=mail">Look</a></p>\r\n'
    b'<img src="https://greenleaf.example/o/a1b2c3d4e5.gif" width="1" height="1">\r\n'
)


@pytest.mark.parametrize(
    ("whom", "cleaned", "goes"),
    [
        ("anna", "mailbox", "as it came"),
        ("anna", "everywhere", "cleaned"),
        ("anna", "nowhere", "as it came"),
        ("ben", "mailbox", "cleaned"),
        ("ben", "everywhere", "cleaned"),
        ("ben", "nowhere", "as it came"),
    ],
)
async def test_what_tells_of_the_reader_stays_here_where_they_want_it(
    tmp_path, whom: str, cleaned: str, goes: str
) -> None:
    async with opened(tmp_path, lmtp=whom == "ben") as handing:
        stored = await handing.house.app.consumers.stored(whom)
        wanted = msgspec.structs.replace(stored.preferences, cleaned_onward=cleaned)
        await handing.house.app.consumers.revise(
            whom, wanted, expect=stored.revision, now=handing.house.clock.now()
        )
        await handing.house.send(signed(TRACKED), f"{whom}@letterbox.example")
        await handing.house.work()
        (came,) = handing.came()
        (entry,) = await handing.entries(whom)
        assert await handing.house.app.mailboxes.body(entry.message) == signed(TRACKED)
    message = email.message_from_bytes(came, policy=email.policy.default)
    assert (b"a1b2c3d4e5" not in came) is (goes == "cleaned")
    assert (b"utm_source" not in came) is (goes == "cleaned")
    assert b"https://greenleaf.example/x?id=1" in came
    # What the sender says of itself in our name is masked.
    assert message["X-Masked-Letterbox-Removed"] == "9"
    assert message["Letterbox-Removed"] == ("2" if goes == "cleaned" else None)
    records = OURS.records

    def ask(name: bytes, timeout: int = 5) -> bytes | None:
        found = records.get(name.rstrip(b".").decode())
        return found["TXT"][0].encode() if found else None

    assert dkim.DKIM(came).verify(idx=0, dnsfunc=ask)


async def test_what_is_too_large_to_be_signed_goes_on_without(handing: Handing) -> None:
    received = signed(mail("Order 1", Letterbox_Kind="service"))
    more = DEFAULT_LIMITS.header_fields - len(split(received).fields)
    received = b"".join(b"X-%d: on the way\r\n" % nth for nth in range(more)) + received
    await handing.house.send(received, ANNA)
    await handing.house.work()
    assert (await handing.state()).state == "done"
    (came,) = handing.came()
    assert came.endswith(received)


async def test_whoever_needs_quotes_hears_of_nothing_and_it_comes_back(handing: Handing) -> None:
    order = signed(mail("Order", Letterbox_Kind="service"))
    await handing.house.send(order, ANNA, sender='"a shop"@greenleaf.example')
    await handing.house.work()
    (path,) = (c for c in handing.hop.commands if c.startswith("MAIL"))
    assert "=greenleaf.example=" in path


async def test_it_goes_to_the_address_that_was_confirmed(handing: Handing) -> None:
    await _wish(handing, "anna", "Anna@Provider.test")
    await handing.send()
    await handing.house.work()
    assert f"RCPT TO:<{ME}>" in handing.hop.commands


async def _wish(handing: Handing, consumer: str, to: str) -> None:
    """Have all of their mail go there from now on."""
    consumers = handing.house.app.consumers
    stored = await consumers.stored(consumer)
    wishes = msgspec.structs.replace(stored.preferences, onward=(OnwardRule(to=to),))
    await consumers.replace(consumer, wishes, expect=None, now=handing.house.clock.now())


async def test_its_return_path_passes_spf_for_our_domain(handing: Handing) -> None:
    await handing.send()
    await handing.house.work()
    line = next(c for c in handing.hop.commands if c.startswith("MAIL"))
    path = parse_address(line.partition("<")[2].partition(">")[0])
    assert path is not None
    handing.house.zone.records["letterbox.example"] = {"TXT": ["v=spf1 ip4:203.0.113.9 -all"]}
    for client, result in (("203.0.113.9", "pass"), ("203.0.113.8", "fail")):
        helo = Client(address=client, helo="letterbox.example")
        spf = await check_path(handing.house.zone, helo, path)
        assert (spf.result, spf.domain) == (result, "letterbox.example")


async def test_what_nobody_is_to_answer_keeps_its_null_path(handing: Handing) -> None:
    await handing.house.send(signed(mail("Order", Letterbox_Kind="service")), ANNA, sender=None)
    await handing.house.work()
    assert any(c.startswith("MAIL FROM:<>") for c in handing.hop.commands)


async def test_without_a_yes_nothing_goes_on(handing: Handing) -> None:
    (row,) = await handing.house.app.destinations.listed("anna")
    await handing.house.app.destinations.remove("anna", row.id)
    await handing.send()
    await handing.house.work()
    assert handing.came() == []
    state = await handing.state()
    assert (state.state, state.why) == ("failed", "unconfirmed")
    (text,) = await handing.told()
    assert ME in text
    there = {f"Mail does not get through to {ME}", "Order 1"}
    assert set(await handing.house.inbox("anna")) == there


# ---- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("said", [VANISH, "451 4.3.0 not now", "550 5.7.1 go away"])
async def test_a_next_hop_that_fails_loses_nothing(handing: Handing, stage, said: str) -> None:
    handing.hop.says[stage] = said
    await handing.send()
    await handing.house.work()
    state = await handing.state()
    assert "Order 1" in await handing.house.inbox("anna")
    if said.startswith("550") and stage != "greeting":
        assert (state.state, state.why, state.detail) == ("failed", "refused", said)
        (text,) = await handing.told()
        assert said in text
        assert "Order 1" in text
    else:
        assert state.state == "owed"
        assert state.attempts == 1
        assert state.next == handing.house.clock.now() + timedelta(minutes=5)
        assert state.detail
    stuck = await handing.house.app.elsewhere.onward.stuck("anna", after=None, limit=9)
    assert [each.subject for each in stuck.items] == ["Order 1"]
    # It listens again.
    handing.hop.says.clear()
    before = len(handing.hop.came)
    if state.state == "failed":
        assert await handing.house.app.onward.handing.retry("anna", (await handing.entries())[0].id)
    else:
        handing.house.clock.advance(minutes=7)
    await handing.house.work()
    assert (await handing.state()).state == "done"
    assert len(handing.hop.came) == before + 1
    assert not (await handing.house.app.elsewhere.onward.stuck("anna", after=None, limit=9)).items


async def test_who_is_silent_keeps_nobody_else_waiting(tmp_path) -> None:
    """Anna's server never answers; ben's mail goes on meanwhile, and anna's is not lost."""
    async with opened(tmp_path) as handing, next_hop() as other:
        handing.hop.says["greeting"] = SILENT
        app = handing.house.app
        for number in range(20):
            await handing.send(number)
        to_ben = app.onward.handing._mail
        app.onward.handing._mail = _ByDomain(to_ben, {"club.test": other.address})
        await handing.confirm("ben", "ben@club.test")
        await _wish(handing, "ben", "ben@club.test")
        await handing.send(99, to=BEN)
        await handing.house.work()
        assert (await handing.state("ben")).state == "done"
        assert len(other.came) == 1
        # Two were on the way, timed out, and the others left the place alone.
        states = [each.onward for each in await handing.entries()]
        assert {state.state for state in states} == {"owed"}
        assert sum(state.attempts for state in states) <= 4
        assert len(await handing.house.inbox("anna")) == 20


async def test_a_silent_domain_says_nothing_of_its_organizations_others(handing: Handing) -> None:
    """Whoever has a name below a provider's must not keep the mail of all of its people waiting."""
    await _wish(handing, "anna", "anna@mute.provider.test")
    await handing.confirm("anna", "anna@mute.provider.test")
    await _wish(handing, "ben", "ben@provider.test")
    await handing.confirm("ben", "ben@provider.test")
    over = handing.house.app.onward.handing
    over._mail = _ByDomain(over._mail, {"mute.provider.test": "127.0.0.1:1"})
    await handing.send(1)
    await handing.house.work()
    assert (await handing.state()).state == "owed"
    await handing.send(2, to=BEN)
    await handing.house.work()
    assert (await handing.state("ben")).state == "done"


async def test_those_who_meet_one_silence_together_prolong_it_once(handing: Handing) -> None:
    silences = handing.house.app.onward.handing._silences
    for nth, minutes in enumerate((5, 15, 30)):
        await asyncio.gather(*(silences.begin("hop/provider.test") for _ in range(6)))
        left = await silences.left("hop/provider.test")
        assert timedelta(0) <= left - timedelta(minutes=minutes) <= timedelta(minutes=1), nth
        handing.house.clock.advance(minutes=minutes)


async def test_it_is_tried_once_however_long_we_were_down(handing: Handing) -> None:
    await handing.send()
    handing.house.clock.advance(days=6)
    await handing.house.work()
    assert (await handing.state()).state == "done"


async def test_what_was_begun_in_vain_ends_in_time(handing: Handing, monkeypatch) -> None:
    """A fault of ours, say, that no attempt comes to its end with."""
    await handing.send()

    async def fails(_letter) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(handing.house.app.onward.handing._mail, "hand_on", fails)
    await handing.house.work()
    assert (await handing.state()).state == "owed"
    handing.house.clock.advance(days=5)
    await handing.house.work()
    assert (await handing.state()).why == "expired"


class _ByDomain:
    """Brings mail for some domains elsewhere."""

    def __init__(self, usual, addresses) -> None:
        self._usual = usual
        self._addresses = addresses

    async def hand_on(self, letter):
        courier = self._usual
        if (address := self._addresses.get(letter.to.domain)) is not None:
            courier = type(self._usual)(
                None, hostname="letterbox.example", relay=address, seconds=5.0
            )
        return await courier.hand_on(letter)


async def test_what_is_not_taken_in_days_stays_here_and_is_told(handing: Handing) -> None:
    handing.hop.says["recipient"] = "452 4.2.2 mailbox full"
    await handing.send()
    tries = 0
    for _ in range(200):
        await handing.house.work()
        state = await handing.state()
        if state.state != "owed":
            break
        assert state.detail == "452 4.2.2 mailbox full"
        assert state.next > handing.house.clock.now()
        tries += 1
        handing.house.clock.at = state.next
    assert (state.state, state.why) == ("failed", "expired")
    assert 20 < tries < 50
    assert state.at - state.since == timedelta(days=5)
    (text,) = await handing.told()
    assert "452 4.2.2 mailbox full" in text
    # What is told of failing lies here: it is not handed on itself.
    assert not await handing.house.app.store.due(handing.house.clock.now() + timedelta(days=1))
    # Once a week for each place, however much fails.
    await handing.send(2)
    handing.hop.says["recipient"] = "550 5.1.1 gone"
    await handing.house.work()
    assert (await handing.state()).why == "refused"
    assert len(await handing.told()) == 1


async def test_killed_before_its_record_it_is_handed_on_once_more(
    handing: Handing, monkeypatch
) -> None:
    await handing.send()
    store = handing.house.app.store
    commit, killed = store.commit, []

    async def dies(*commits):
        if handing.hop.came and not killed:
            killed.append(commits)
            raise StoreUnavailable("killed")
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", dies)
    await handing.house.work()
    assert killed
    monkeypatch.undo()
    assert (await handing.state()).state == "owed"
    handing.house.clock.advance(minutes=5)
    await handing.house.work()
    assert (await handing.state()).state == "done"
    first, second = handing.came()
    names = [email.message_from_bytes(came)["Message-ID"] for came in (first, second)]
    assert names[0] == names[1] == "<1@greenleaf.example>"
    # And comes back by one path, whichever of the two it is.
    paths = [c for c in handing.hop.commands if c.startswith("MAIL")]
    assert paths[0].partition(" SIZE")[0] == paths[1].partition(" SIZE")[0]


@pytest.mark.parametrize("nth", range(6))
async def test_killed_at_any_commit_nothing_is_lost(handing: Handing, monkeypatch, nth) -> None:
    await handing.send()
    store = handing.house.app.store
    commit, count = store.commit, []

    async def dies(*commits):
        count.append(commits)
        if len(count) == nth + 1:
            raise StoreUnavailable("killed")
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", dies)
    with suppress(StoreUnavailable):
        await handing.house.work()
    monkeypatch.undo()
    for _ in range(3):
        handing.house.clock.advance(minutes=6)
        await handing.house.work()
    assert (await handing.state()).state == "done"
    assert 1 <= len(handing.came()) <= 2
    assert await handing.house.inbox("anna") == ["Order 1"]


async def test_trying_again_is_the_consumers_word(handing: Handing) -> None:
    handing.hop.says["content"] = "554 5.7.1 spam"
    await handing.send()
    await handing.house.work()
    (entry,) = await handing.entries()
    over = handing.house.app.onward.handing
    handing.hop.says.clear()
    assert await over.retry("ben", entry.id) is None
    assert await over.retry("anna", "0" * 32) is None
    again = await over.retry("anna", entry.id)
    assert again is not None
    assert again.onward.state == "owed"
    await handing.house.work()
    assert (await handing.state()).state == "done"
    with pytest.raises(NothingToRetry):
        await over.retry("anna", entry.id)


async def test_an_attempt_says_nothing_of_another_place(handing: Handing, monkeypatch) -> None:
    """While it is on its way in vain, its consumer has it sent elsewhere."""
    await handing.confirm(address="anna@club.test")
    await handing.send()
    (entry,) = await handing.entries()
    over = handing.house.app.onward.handing

    async def hand_on(letter: Letter):
        if letter.to.domain == "club.test":
            return Handed("2.0.0 taken")
        await _wish(handing, "anna", "anna@club.test")
        await over.retry("anna", entry.id)
        return Never("554 5.7.1 spam")

    monkeypatch.setattr(over._mail, "hand_on", hand_on)
    await handing.house.work()
    state = await handing.state()
    assert (state.to, state.state) == ("anna@club.test", "done")
    assert await handing.told() == []


async def test_what_is_removed_as_it_goes_leaves_no_name(handing: Handing, monkeypatch) -> None:
    await handing.send()
    (entry,) = await handing.entries()
    app, names = handing.house.app, []
    await app.mailboxes.remove("anna", entry.id)
    monkeypatch.setattr(places, "handed", lambda name: names.append(name) or f"handed/{name}")
    assert await app.elsewhere.onward.named("anna", entry) is None
    assert await app.elsewhere.onward.whose(names[0]) is None


async def test_what_is_removed_is_not_handed_on(handing: Handing) -> None:
    handing.hop.says["data"] = "451 4.3.0 not now"
    await handing.send()
    await handing.house.work()
    (entry,) = await handing.entries()
    await handing.house.app.mailboxes.remove("anna", entry.id)
    handing.hop.says.clear()
    handing.house.clock.advance(hours=1)
    await handing.house.work()
    assert handing.came() == []
    assert not await handing.house.app.store.documents(places.consumer("anna"), places.STUCK)
    assert not await handing.house.app.store.due(handing.house.clock.now() + timedelta(days=1))


# ---- what comes back ---------------------------------------------------------------------------


def report(to: str, action: str = "failed", **fields: str) -> bytes:
    """What another server says of a message it has taken (RFC 3464)."""
    said = {"Action": action, "Status": "5.1.1", "Diagnostic-Code": "smtp; 550 no such user"}
    said |= {name.replace("_", "-"): value for name, value in fields.items()}
    group = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return (
        "From: MAILER-DAEMON@provider.test\r\n"
        f"To: {to}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n'
        "MIME-Version: 1.0\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.provider.test\r\n\r\n"
        f"Final-Recipient: rfc822; {ME}\r\n{group}\r\n--b--\r\n"
    ).encode()


class Gone(msgspec.Struct):
    """A message that was handed on, and the path it comes back by."""

    handing: Handing
    path: str

    async def back(self, content: bytes, to: str = "", sender: str | None = None):
        received = await self.handing.house.send(
            content, to or self.path, sender=sender, client=Client("198.51.100.7", "mx.test")
        )
        return received.outcomes[0].told


@pytest.fixture
async def gone(handing: Handing):
    await handing.send()
    await handing.house.work()
    line = next(c for c in handing.hop.commands if c.startswith("MAIL"))
    return Gone(handing, line.partition("<")[2].partition(">")[0])


async def test_what_comes_back_is_shown_and_goes_no_further(gone: Gone) -> None:
    told = await gone.back(report(gone.path))
    assert told.reply == 250
    state = await gone.handing.state()
    assert (state.state, state.detail) == ("bounced", "5.1.1 550 no such user")
    (text,) = await gone.handing.told()
    assert "550 no such user" in text
    assert "Order 1" in text
    handed_on = len(gone.handing.hop.came)
    # Its vendor hears nothing of it, by mail or in its feed; once more changes nothing.
    assert await gone.handing.house.feed("greenleaf") == []
    assert (await gone.back(report(gone.path.lower()))).reply == 250
    await gone.handing.house.work()
    assert len(gone.handing.hop.came) == handed_on
    assert len(await gone.handing.told()) == 1


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
async def test_a_report_of_something_else_is_taken_and_changes_nothing(gone: Gone, action) -> None:
    assert (await gone.back(report(gone.path, action))).reply == 250
    assert (await gone.handing.state()).state == "done"


async def test_an_old_servers_bounce_is_one(gone: Gone) -> None:
    content = (
        b"From: <MAILER-DAEMON@old.test>\r\nSubject: failure notice\r\n\r\nHi. This is old.\r\n"
    )
    assert (await gone.back(content)).reply == 250
    assert (await gone.handing.state()).detail == "failure notice"


AWAY = (
    b"From: Anna <anna@provider.test>\r\nSubject: Away\r\n"
    b"Auto-Submitted: auto-replied\r\n\r\nBye\r\n"
)


async def test_whatever_else_comes_there_is_refused_as_any_strangers(gone: Gone) -> None:
    """A valid path and an invented one, a bounce with a path and none: one answer."""
    usual = await gone.back(AWAY, "nobody@letterbox.example")
    assert usual.reply == 550
    mark = gone.path.split("=")[1]
    forged = gone.path.replace(mark, mark[::-1])
    others = [
        await gone.back(AWAY),
        await gone.back(report(gone.path), sender="x@provider.test"),
        await gone.back(report(forged), forged),
        await gone.back(report("nobody@letterbox.example"), "nobody@letterbox.example"),
    ]
    for told in others:
        said = told.text.replace(told.reference, "")
        expected = usual.text.replace(usual.reference, "")
        assert (told.reply, told.enhanced) == (550, "5.7.1")
        assert said.partition(":")[0] == expected.partition(":")[0]
    assert (await gone.handing.state()).state == "done"


async def test_what_comes_too_late_changes_nothing(gone: Gone) -> None:
    gone.handing.house.clock.advance(days=22)
    assert (await gone.back(report(gone.path))).reply == 550
    assert (await gone.handing.state()).state == "done"


async def test_mail_that_comes_round_again_is_stopped(handing: Handing) -> None:
    """A mailbox that forwards to us what we handed on to it."""
    await handing.send()
    await handing.house.work()
    (came,) = handing.came()
    further = b"Received: from x\r\n" + came
    for content, to in ((came, ANNA), (further, "anna+x@letterbox.example")):
        received = await handing.house.send(content, to)
        told = received.outcomes[0].told
        assert (told.reply, told.reason.code) == (554, "mail-loop")
    assert await handing.house.inbox("anna") == ["Order 1"]
    # To somebody else it is no loop: anna may have sent it on to ben.
    received = await handing.house.send(came, BEN)
    assert received.outcomes[0].told.reply == 250
    # Nor is a mark that we did not make.
    forged = came.replace(b"mark=", b"mark=a", 1)
    received = await handing.house.send(forged.replace(b"<1@", b"<2@"), ANNA)
    assert received.outcomes[0].told.reply == 250


# ---- the operator's mailbox server --------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({}, "<ben@letterbox.example>"),
        ({"lmtp_user": "{id}"}, "<ben>"),
        ({"lmtp_user": "{id}@imap.example"}, "<ben@imap.example>"),
        ({"lmtp_users": {"ben": "benny"}}, "<benny>"),
    ],
)
async def test_the_operators_server_has_it_by_lmtp(tmp_path, said, name: str) -> None:
    async with opened(tmp_path, lmtp=True, **said) as handing:
        await handing.send(to=BEN)
        await handing.house.work()
        assert (await handing.state("ben")).state == "done"
        assert handing.hop.commands[0].startswith("LHLO")
        assert any(c.startswith(f"RCPT TO:{name}") for c in handing.hop.commands)
        assert len(handing.came()) == 1


def test_no_address_names_the_mailbox_of_another() -> None:
    name_of = names_of(OnwardSection())
    assert name_of("anna", parse_address("{id}@letterbox.example")) == "{id}@letterbox.example"


async def test_where_there_is_no_such_server_it_stays_and_is_told(handing: Handing) -> None:
    await handing.send(to=BEN)
    await handing.house.work()
    state = await handing.state("ben")
    assert (state.state, state.why) == ("failed", "no-server")
    (text,) = await handing.told("ben")
    assert "mailbox" in text


async def test_what_is_told_here_goes_on_too(handing: Handing) -> None:
    """A notice is service mail of ours, and read where the rest is read."""
    people = """
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example",
             { address = "shop@letterbox.example", vendor = "voltshop.example" }]
onward = [{ to = "anna@provider.test" }]
"""
    await handing.house.people(people)
    await handing.house.send(signed(mail("Hi")), "shop@letterbox.example")
    await handing.house.work()
    (came,) = handing.came()
    message = email.message_from_bytes(came, policy=email.policy.default)
    assert message["From"] == "letterbox <postmaster@letterbox.example>"
    assert message["DKIM-Signature"] is not None
    assert message["ARC-Seal"] is None


# ---- the operator ------------------------------------------------------------------------------


async def test_the_operator_sees_what_waits_and_for_whom(handing: Handing) -> None:
    handing.hop.says["recipient"] = "452 4.2.2 mailbox full"
    await handing.send()
    await handing.house.work()
    perform = handing.house.app.administration.perform
    done = await perform("queue", {"after": "", "limit": 1})
    assert done["after"] == "anna"
    (row,) = done["items"]
    assert (row["consumer"], row["to"], row["attempts"]) == ("anna", "provider.test", 1)
    assert row["detail"] == "452 4.2.2 mailbox full"
    # Neither what it is about nor their address there is the operator's to read.
    assert "Order" not in str(row)
    assert ME not in str(row)
    assert (await perform("queue", {"after": "anna"})) == {"items": [], "after": None}
    assert queue_lines([]) == ["nothing waits to be handed on"]
    (line,) = queue_lines([row])
    assert "to provider.test  tried 1 times  452 4.2.2 mailbox full" in line


async def test_what_comes_back_comes_in_by_the_smtp_door(gone: Gone) -> None:
    app = gone.handing.house.app
    gateway = app._gateways()["smtp"]()
    address = await gateway.start("127.0.0.1:0")
    host, _, port = address.rpartition(":")
    try:
        async with SMTP(hostname=host, port=int(port)) as client:
            _, said = await client.sendmail("", [gone.path], report(gone.path))
    finally:
        await gateway.drain(5)
    assert said.startswith("2.0.0 delivered")
    assert (await gone.handing.state()).state == "bounced"


# ---- what nobody is to measure, and what cannot be -----------------------------------------------


async def test_it_is_not_measured_whether_mail_goes_on(handing: Handing, monkeypatch) -> None:
    """A delivery that goes on and one that stays write as many operations, to as many places."""
    store = handing.house.app.store
    commit, written = store.commit, []

    async def counted(*commits):
        written.append([(each.partition[:8], len(each.operations)) for each in commits])
        return await commit(*commits)

    monkeypatch.setattr(store, "commit", counted)
    await handing.send(1)
    goes_on = list(written)
    stored = await handing.house.app.consumers.stored("anna")
    stays = msgspec.structs.replace(stored.preferences, onward=())
    now = handing.house.clock.now()
    await handing.house.app.consumers.replace("anna", stays, expect=None, now=now)
    written.clear()
    await handing.send(2)
    assert written == goes_on
    assert {entry.onward is None for entry in await handing.entries()} == {True, False}


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"lmtp": "nowhere"}, "onward.lmtp"),
        ({"lmtp": "unix:relative"}, "onward.lmtp"),
        ({"lmtp_user": "{address} NOTIFY=NEVER"}, "onward.lmtp_user"),
        ({"lmtp_users": {"anna": "a>\r\nQUIT"}}, "onward.lmtp_users.anna"),
        ({"domain": "elsewhere.example"}, "onward.domain"),
        ({"lmtp": "127.0.0.1:24"}, None),
        ({"lmtp": "unix:/run/dovecot/lmtp", "lmtp_user": "{id}@imap.example"}, None),
    ],
)
def test_where_mail_cannot_go_is_said(said, path: str | None) -> None:
    configuration = Configuration(onward=OnwardSection(**said))
    mistakes = list(check(configuration, lambda: shipment().domains))
    assert [each.path for each in mistakes if each.path.startswith("onward")] == (
        [path] if path else []
    )


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ([OnwardRule(to="nobody")], "onward[0].to"),
        ([OnwardRule(to="ben@letterbox.example")], "onward[0].to"),
        ([OnwardRule(to=ME), OnwardRule(to="keep")], "onward[1].kinds"),
        (
            [OnwardRule(to=ME, kinds=("offer",)), OnwardRule(to="keep", kinds=("offer",))],
            "onward[1].kinds",
        ),
        ([OnwardRule(to="mailbox"), OnwardRule(to=ME, kinds=("offer", "service"))], None),
    ],
)
async def test_wishes_that_cannot_be_are_named(handing: Handing, rules, path) -> None:
    stored = await handing.house.app.consumers.stored("anna")
    wished = msgspec.structs.replace(stored.preferences, onward=tuple(rules))
    found = await handing.house.app.consumers.own_mistakes("anna", wished)
    assert [each.path for each in found] == ([path] if path else [])
