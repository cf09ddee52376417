"""Notices to channels: what each is told, when none is given, and what becomes of failures."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from letterbox.delivery.notifier import BadChannel, TooManyTrials
from letterbox.feedback.webhooks import shown
from letterbox.model.configuration import Configuration, WebhooksSection
from letterbox.model.kind import Kind
from letterbox.model.preferences import Notify, Pause, Quiet
from letterbox.model.webhook import SigningKey
from letterbox.ports.courier import WebTrouble
from letterbox.ports.store import Commit, Put, Schedule
from letterbox.records import places
from letterbox.records.channels import TooMany
from letterbox.records.coding import encode
from letterbox.records.names import new_id
from letterbox.records.news import News
from tests.support.counting import Counting
from tests.support.house import House, mail, open_house
from tests.support.receiver import receiving
from tests.support.webhost import WebHost

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
newcomers = "ask"
notify = { about = ["personal", "waiting"] }
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal", "newsletter"]

[[consumer]]
id = "ben"
addresses = ["ben@letterbox.example"]
newcomers = "ask"
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["personal"]
"""
ANNA = "anna@letterbox.example"
TEN = timedelta(minutes=10)


@asynccontextmanager
async def house(*, hook: str = "", kind: str = "webhook", **notify):
    """A house whose calls go to loopback; anna has one channel there."""
    section = WebhooksSection(allow_private_addresses=True, timeout=0.5)
    configuration = Configuration(public_url="https://letterbox.example", webhooks=section)
    async with open_house(PEOPLE, configuration=configuration) as opened:
        if notify:
            await wish(opened, **notify)
        if hook:
            await opened.app.notifier.add("anna", kind, hook)
        yield opened


async def wish(opened: House, pauses=(), **notify) -> None:
    stored = await opened.app.consumers.stored("anna")
    about = {"about": ("personal", "waiting"), **notify}
    changed = msgspec.structs.replace(
        stored.preferences, notify=Notify(**about), pauses=tuple(pauses)
    )
    now = opened.clock.now()
    await opened.app.consumers.revise("anna", changed, expect=stored.revision, now=now)
    await opened.work()


async def come(opened: House, number: int = 1, **fields) -> None:
    content = mail(f"Note {number}", number=number, text="Hi.\r\n", **fields)
    await opened.send(content, ANNA)
    await opened.work()


async def channel(opened: House):
    (row,) = await opened.app.channels.listed("anna")
    return row


# ---- what each is told --------------------------------------------------------------------------

SAYS = {
    "count": ("1 new message", [], []),
    "company": ("1 new message (Greenleaf Garden)", ["Greenleaf Garden"], []),
    "subject": (
        "1 new message (Greenleaf Garden)\nGreenleaf Garden: Note 1",
        ["Greenleaf Garden"],
        ["Greenleaf Garden: Note 1"],
    ),
}


@pytest.mark.parametrize("shows", SAYS)
async def test_a_webhook_is_told_as_much_as_may_be_read(shows):
    text, companies, subjects = SAYS[shows]
    async with receiving() as there, house(hook=there.url, shows=shows) as opened:
        await come(opened)
        (call,) = there.calls
        row = await channel(opened)
        secret = shown("hmac", SigningKey(row.secret))
        # The fake clock's time is not that of the library, which looks at its own.
        stamp = datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), UTC)
        assert stamp == opened.clock.now()
        signed = Webhook(secret).sign(call.id, stamp, call.body.decode())
        assert signed == call.headers["webhook-signature"]
        assert call.json["type"] == "notice"
        data = call.json["data"]
        assert data.pop("id") == call.id
        assert data == {
            "text": text,
            "url": "https://letterbox.example/inbox",
            "new": 1,
            "waiting": 0,
            "companies": companies,
            "subjects": subjects,
        }
        everything = call.body.decode() + str(call.headers)
        assert ("Note" in everything) == (shows == "subject")
        assert ("Greenleaf" in everything) == (shows != "count")
        assert row.last == opened.clock.now()


async def test_a_topic_of_ntfy_is_posted_a_line():
    async with receiving() as there, house() as opened:
        await opened.app.notifier.add("anna", "ntfy", there.url, token="tk_secret")
        content = mail("Hello", domain="other.example")
        await opened.send(content, ANNA, sender="a@other.example")
        await opened.work()
        (call,) = there.calls
        assert call.body.decode() == "1 message waits for your answer"
        assert call.headers["Title"] == "letterbox"
        assert call.headers["Tags"] == "envelope"
        assert call.headers["Authorization"] == "Bearer tk_secret"
        assert call.headers["Click"] == "https://letterbox.example/waiting"


class Browser:
    """What a browser does with what its push service hands it (RFC 8291), by its own means."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None, auth: bytes = b"a" * 16):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.auth = auth

    @property
    def point(self) -> bytes:
        return _point(self.key.public_key())

    def opened(self, body: bytes) -> bytes:
        # RFC 8188, section 2.1: salt, record size, length of the key id, key id.
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs)
        shared = self.key.exchange(ec.ECDH(), public)
        info = b"WebPush: info\0" + self.point + theirs
        ikm = _hkdf(self.auth, shared, info, 32)
        key = _hkdf(salt, ikm, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, ikm, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert plain[-1:] == b"\x02"
        return plain[:-1]


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_browser_of_these_tests_reads_the_example_of_the_rfc():
    number = int.from_bytes(octets("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big")
    browser = Browser(
        ec.derive_private_key(number, ec.SECP256R1()), octets("BTBZMqHH6r4Tts7J_aSIgg")
    )
    body = octets(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    said = b"When I grow up, I want to be a watermelon"
    assert browser.opened(body) == said


async def test_a_browser_alone_reads_what_it_is_pushed():
    browser = Browser()
    async with receiving() as there, house(shows="subject") as opened:
        await opened.app.notifier.add(
            "anna", "push", there.url, key=browser.point, auth=browser.auth
        )
        await come(opened)
        (call,) = there.calls
        said = json.loads(browser.opened(call.body))
        assert said["body"] == "1 new message (Greenleaf Garden)\nGreenleaf Garden: Note 1"
        assert said["url"] == "https://letterbox.example/inbox"
        with pytest.raises(InvalidTag):
            Browser(auth=browser.auth).opened(call.body)
        assert b"Note" not in call.body
        assert call.headers["Content-Encoding"] == "aes128gcm"
        assert call.headers["TTL"] == "3600"
        origin = there.url.removesuffix("/hook")
        assert verified(call.headers["Authorization"]) == {
            "aud": origin,
            "exp": int((opened.clock.now() + timedelta(hours=12)).timestamp()),
            "sub": "mailto:postmaster@letterbox.example",
        }
        # The key is one for good: browsers know it.
        key = await opened.app.channels.push_key()
        assert call.headers["Authorization"].endswith(
            base64.urlsafe_b64encode(_point(key.public_key())).decode().rstrip("=")
        )


def verified(field: str) -> dict:
    """The claims of a VAPID header (RFC 8292), its signature looked at without our library."""
    parts = dict(part.strip().split("=", 1) for part in field.removeprefix("vapid").split(","))
    head, claims, signature = parts["t"].split(".")
    raw = octets(signature)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets(parts["k"]))
    public.verify(
        utils.encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())
    )
    assert json.loads(octets(head)) == {"typ": "JWT", "alg": "ES256"}
    return json.loads(octets(claims))


# ---- when ---------------------------------------------------------------------------------------


async def test_off_by_default_and_nothing_of_it_is_left():
    async with receiving() as there, house() as opened:
        await opened.app.notifier.add("ben", "webhook", there.url)
        content = mail("Note", text="Hi.\r\n")
        await opened.send(content, "ben@letterbox.example")
        await opened.work()
        assert there.calls == []
        assert not await opened.app.store.documents(places.consumer("ben"), places.NEW)
        # Of what anna did not ask for neither is given.
        await come(opened, Letterbox_Kind="newsletter", List_Id="<news.greenleaf.example>")
        assert there.calls == []


async def test_a_sender_measures_nothing_of_it(monkeypatch):
    costs = []
    for name in ("anna", "ben"):
        async with house() as opened:
            content = mail("Note", text="Hi.\r\n")
            await opened.send(mail("Before", number=9), f"{name}@letterbox.example")
            await opened.work()
            with monkeypatch.context() as patch:
                counting = Counting(opened, patch)
                await opened.send(content, f"{name}@letterbox.example")
            costs.append(counting.taken())
    assert costs[0] == costs[1]


async def test_a_channel_that_is_silent_does_not_grow_what_it_is_told():
    host = WebHost()
    async with house(hook="https://hooks.example/") as opened:
        opened.app.notifier._courier = host
        host.answers = [500] * 99
        for number in range(12):
            await come(opened, number)
            opened.clock.advance(minutes=4)
        (row,) = await opened.app.store.documents(places.consumer("anna"), places.CALL)
        assert row.value.count(b"Note ") <= 5


async def test_what_two_workers_find_at_once_is_told_of_once():
    async with receiving() as there, house(hook=there.url) as opened:
        content = mail("Note", text="Hi.\r\n")
        sent = await opened.send(content, "anna@letterbox.example")
        (entry,) = (await opened.app.mailboxes.inbox("anna", after=None, limit=9)).items
        assert sent.outcomes[0].told.verdict == "deliver"
        notifier = opened.app.notifier
        await asyncio.gather(*(notifier.gather("anna", entry.decision) for _ in range(3)))
        await opened.work()
        await notifier.gather("anna", entry.decision)
        opened.clock.advance(minutes=10)
        await opened.work()
        assert [call.json["data"]["new"] for call in there.calls] == [1]


async def test_a_burst_is_one_notice_and_the_rest_another():
    async with receiving() as there, house(hook=there.url) as opened:
        for number in range(5):
            await come(opened, number)
        assert [call.json["data"]["new"] for call in there.calls] == [1]
        opened.clock.advance(minutes=9, seconds=59)
        await opened.work()
        assert len(there.calls) == 1
        opened.clock.advance(seconds=1)
        await opened.work()
        assert [call.json["data"]["text"] for call in there.calls] == [
            "1 new message",
            "4 new messages",
        ]
        opened.clock.advance(days=1)
        await opened.work()
        assert len(there.calls) == 2
        names = await opened.app.store.names(places.consumer("anna"))
        assert not any(name.startswith(("news", "channel-call")) for name in names.due)


async def test_in_quiet_time_none_and_one_of_all_after_it():
    quiet = (Quiet(from_="12:30", until="15:00"),)  # it is 13:00 in Amsterdam
    async with receiving() as there, house(hook=there.url, quiet=quiet) as opened:
        for number in range(3):
            await come(opened, number)
        opened.clock.advance(hours=1, minutes=59)
        await opened.work()
        assert there.calls == []
        opened.clock.advance(minutes=1)
        await opened.work()
        assert [call.json["data"]["text"] for call in there.calls] == ["3 new messages"]


async def test_on_the_days_of_a_pause_none():
    async with receiving() as there, house(hook=there.url) as opened:
        today = opened.clock.now().date()
        await wish(opened, pauses=[Pause(from_=today, until=today)])
        row = News(opened.clock.now(), "personal", "Greenleaf", "Hi", ("greenleaf",))
        await left(opened, row)
        assert there.calls == []
        opened.clock.advance(hours=11)
        await opened.work()
        assert len(there.calls) == 1


async def test_a_pause_of_one_company_silences_what_comes_of_it():
    async with receiving() as there, house(hook=there.url) as opened:
        today = opened.clock.now().date()
        pause = Pause(from_=today, until=today, vendors=("greenleaf",), kinds=(Kind.PERSONAL,))
        await wish(opened, pauses=[pause])
        for company in ("greenleaf", "voltshop"):
            row = News(opened.clock.now(), "personal", company, "Hi", (company,))
            await left(opened, row)
            opened.clock.advance(minutes=10)
        await opened.work()
        assert [call.json["data"]["new"] for call in there.calls] == [1]


async def left(opened: House, *rows: News) -> None:
    """Leave news as a decision does."""
    for row in rows:
        now = opened.clock.now()
        operations = (
            Put(places.NEW + new_id(now), encode(row)),
            Put(places.NEWS, b""),
            Schedule(places.NEWS, at=now),
        )
        await opened.app.store.commit(Commit(places.consumer("anna"), operations))
    await opened.work()


class Noting(WebHost):
    """Notes when it was called; it takes some calls and not others."""

    def __init__(self, clock, answers) -> None:
        super().__init__()
        self.clock, self.at = clock, []
        self.answers = answers

    async def post(self, url, headers, body):
        self.at.append(self.clock.now())
        return await super().post(url, headers, body)


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 10, 30]))
ZONES = ("Europe/Amsterdam", "Pacific/Auckland", "America/St_Johns")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    zone=st.sampled_from(ZONES),
    spans=st.lists(
        st.tuples(clocks, clocks).filter(lambda s: s[0] != s[1]), min_size=1, max_size=2
    ),
    pause=st.one_of(st.none(), st.integers(0, 2)),
    steps=st.lists(st.integers(1, 200), min_size=10, max_size=40),
    answers=st.lists(st.sampled_from([200, 500]), max_size=20),
)
async def test_never_in_quiet_time_or_a_pause(zone, spans, pause, steps, answers):
    async with house() as opened:
        there = Noting(opened.clock, list(answers))
        opened.app.notifier._courier = there
        await opened.app.notifier.add("anna", "webhook", "https://hooks.example/x")
        start = date(2026, 11, 23)
        pauses = [] if pause is None else [
            Pause(from_=start + timedelta(pause), until=start + timedelta(pause))
        ]  # fmt: skip
        quiet = tuple(Quiet(from_=begin, until=end) for begin, end in spans)
        stored = await opened.app.consumers.stored("anna")
        changed = msgspec.structs.replace(stored.preferences, timezone=zone)
        await opened.app.consumers.revise(
            "anna", changed, expect=stored.revision, now=opened.clock.now()
        )
        await wish(opened, pauses=pauses, quiet=quiet, every_minutes=1)
        for minutes in steps:
            await left(opened, News(opened.clock.now(), "personal", "Shop", "Hi"))
            opened.clock.advance(minutes=minutes)
            await opened.work()
        for at in there.at:
            local = at.astimezone(ZoneInfo(zone))
            assert all(not (each.from_ <= local.date() <= each.until) for each in pauses)
            clock = f"{local:%H:%M}"
            for begin, end in spans:
                inside = begin <= clock < end if begin < end else clock >= begin or clock < end
                assert not inside


# ---- what fails ---------------------------------------------------------------------------------


async def test_one_that_is_down_is_tried_for_an_hour_and_hears_of_it_once_when_it_is_back():
    async with receiving() as there, house(hook=there.url) as opened:
        there.down()
        await come(opened)
        for _ in range(30):
            opened.clock.advance(minutes=1)
            await opened.work()
        assert 4 <= len(there.calls) <= 6
        assert len(set(there.ids)) == 1
        row = await channel(opened)
        assert (row.detail, row.off) == ("500", None)
        assert row.failing == opened.clock.now() - timedelta(minutes=30)
        there.up()
        opened.clock.advance(minutes=15)
        await opened.work()
        row = await channel(opened)
        assert (row.failing, row.detail) == (None, "")
        calls = len(there.calls)
        opened.clock.advance(hours=5)
        await opened.work()
        assert len(there.calls) == calls


async def test_a_notice_that_is_too_late_is_dropped():
    async with receiving() as there, house(hook=there.url) as opened:
        there.down()
        await come(opened)
        opened.clock.advance(hours=1)
        await opened.work()
        calls = len(there.calls)
        there.up()
        opened.clock.advance(hours=1)
        await opened.work()
        assert len(there.calls) == calls
        documents = await opened.app.store.documents(places.consumer("anna"), places.CALL)
        assert not documents


async def test_what_comes_while_it_fails_is_folded_in():
    async with receiving() as there, house(hook=there.url) as opened:
        there.down()
        await come(opened, 1)
        opened.clock.advance(minutes=10)
        await come(opened, 2)
        there.up()
        opened.clock.advance(minutes=20)
        await opened.work()
        assert there.calls[-1].json["data"]["new"] == 2


FAILS = {
    "a redirect": (lambda _: web.Response(status=302, headers={"Location": "/else"}), "302"),
    "an error": (lambda _: 503, "503"),
}


@pytest.mark.parametrize("how", FAILS)
async def test_what_fails_and_why_is_shown(how):
    answers, detail = FAILS[how]
    async with receiving() as there, house(hook=there.url) as opened:
        there.answers = answers
        await come(opened)
        assert (await channel(opened)).detail == detail
        assert [call.path for call in there.calls] == ["/hook"]


async def test_one_that_is_slow_keeps_nobody_waiting():
    async with receiving() as there, receiving() as other, house(hook=there.url) as opened:
        await opened.app.notifier.add("anna", "ntfy", other.url)
        there.gate.clear()
        await come(opened)
        assert len(other.calls) == 1
        slow, quick = await opened.app.channels.listed("anna")
        assert (slow.detail, quick.detail) == ("timeout", "")


async def test_one_that_takes_nothing_for_days_is_turned_off_and_on_again():
    async with receiving() as there, house(hook=there.url) as opened:
        there.down()
        for number in range(5):
            await come(opened, number)
            opened.clock.advance(hours=20)
            await opened.work()
        row = await channel(opened)
        assert row.off == "failing"
        calls = len(there.calls)
        await come(opened, 9)
        assert len(there.calls) == calls
        there.up()
        await opened.app.notifier.turn_on("anna", row.id)
        await come(opened, 10)
        assert len(there.calls) == calls + 1


@pytest.mark.parametrize("status", [404, 410])
async def test_one_that_is_gone_is_turned_off_at_once(status):
    async with receiving() as there, house(hook=there.url) as opened:
        there.answers = lambda _: status
        await come(opened)
        assert (await channel(opened)).off == "gone"
        opened.clock.advance(minutes=30)
        await opened.work()
        assert len(there.calls) == 1


async def test_killed_after_a_call_it_goes_out_again_under_the_same_name(monkeypatch):
    async with receiving() as there, house(hook=there.url) as opened:
        note = opened.app.notifier._note

        async def dies(*_):
            raise RuntimeError("killed")

        monkeypatch.setattr(opened.app.notifier, "_note", dies)
        await come(opened)
        monkeypatch.setattr(opened.app.notifier, "_note", note)
        opened.clock.advance(minutes=5)
        await opened.work()
        assert len(there.calls) == 2
        assert len(set(there.ids)) == 1


# ---- what may be a channel ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://localhost/x",
        "https://inside.example/x",
        "https://user@hooks.example/",
        "ftp://hooks.example/",
        "https://hooks.example/" + "x" * 3000,
    ],
)
async def test_nothing_within_our_own_walls(url):
    async with open_house(PEOPLE) as opened:
        opened.zone.records |= {"inside.example": {"A": ["192.168.1.1"]}}
        with pytest.raises(BadChannel):
            await opened.app.notifier.add("anna", "webhook", url)


async def test_a_name_that_changes_its_mind_leads_nowhere():
    async with open_house(PEOPLE) as opened:
        opened.zone.records |= {"hooks.example": {"A": ["8.8.8.8"]}}
        await opened.app.notifier.add("anna", "ntfy", "https://hooks.example/topic")
        opened.zone.records |= {"hooks.example": {"A": ["127.0.0.1"]}}
        await come(opened)
        assert (await channel(opened)).detail == "address"


async def test_bounds_of_channels_and_of_trying_them():
    async with house() as opened:
        host = WebHost()
        opened.app.notifier._courier = host
        notifier = opened.app.notifier
        for number in range(10):
            await notifier.add("anna", "webhook", f"https://hooks.example/{number}")
        with pytest.raises(TooMany):
            await notifier.add("anna", "webhook", "https://hooks.example/10")
        # The same again is the same one, with a new secret.
        again = await notifier.add("anna", "webhook", "https://hooks.example/3")
        assert len(await opened.app.channels.listed("anna")) == 10
        with pytest.raises(BadChannel):
            await notifier.add("anna", "push", "https://push.example/", key=b"x", auth=b"y")
        with pytest.raises(BadChannel):
            await notifier.add("anna", "ntfy", "https://ntfy.example/", token="a\r\nb: c")
        assert await notifier.test("ben", again.id) is None
        host.answers = [WebTrouble("timeout")]
        assert (await notifier.test("anna", again.id)).detail == "timeout"
        for _ in range(19):
            assert (await notifier.test("anna", again.id)).arrived
        with pytest.raises(TooManyTrials):
            await notifier.test("anna", again.id)


async def test_a_secret_is_in_no_log(capsys):
    async with receiving() as there, house() as opened:
        await opened.app.notifier.add("anna", "ntfy", there.url, token="tk_secret")
        there.answers = lambda _: 410
        await come(opened)
        said = capsys.readouterr()
        assert "tk_secret" not in said.out + said.err
        assert there.url not in said.out + said.err
        assert "tk_secret" not in repr(await channel(opened))
