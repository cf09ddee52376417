"""The submission port (RFC 6409): SMTP with AUTH, in front of a whole house."""

import asyncio
import base64
import datetime as dt
import smtplib
import ssl
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest

from letterbox.gateways.smtp import SmtpGateway
from letterbox.intake.submitters import Submitters
from letterbox.model.configuration import (
    Configuration,
    SmtpSection,
    TrustedPeer,
    VendorsSection,
)
from letterbox.records.guesses import Guesses
from letterbox.registration import Application
from tests.support.house import House, mail, open_house
from tests.support.tls import tls_contexts
from tests.support.wire import HOST, Wire, connected, greeted

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf"
domains = ["greenleaf.example"]
[[vendor]]
id = "voltshop"
name = "Voltshop"
domains = ["voltshop.example"]
[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
  [[consumer.vendor]]
  vendor = "greenleaf"
  scope = "everything"
  accepts = ["service", "offer", "newsletter", "personal"]
"""


class Port:
    """The port, the house behind it, and what it waited."""

    def __init__(self, house: House, *, section: SmtpSection, tls_context=None, **options) -> None:
        self.house = house
        self.waited: list[float] = []
        app = house.app
        guesses = Guesses(house.clock, per_place=4, per_name=6, period=900)
        self.keys = Submitters(
            credentials=app.credentials,
            vendors=app.vendors,
            guesses=guesses,
            clock=house.clock,
            metrics=app.metrics,
        )
        self.gateway = SmtpGateway(
            app.intake,
            paths=app.prover,
            hostname=HOST,
            domains=frozenset({HOST}),
            section=section,
            clock=house.clock,
            metrics=app.metrics,
            keys=self.keys,
            pause=self.pause,
            certificate=(lambda: tls_context) if tls_context else None,
            **options,
        )
        self.address = ""

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def key(self, vendor: str, **options) -> str:
        now = self.house.clock.now()
        return await self.house.app.credentials.issue("key", vendor, now, **options)


@asynccontextmanager
async def opened(
    people: str = PEOPLE, *, configuration=None, section: SmtpSection | None = None, **options
):
    async with open_house(people, configuration=configuration) as house:
        port = Port(house, section=section or SmtpSection(), **options)
        port.address = await port.gateway.start("127.0.0.1:0")
        try:
            yield port
        finally:
            await port.gateway.close()


def plain(name: str, key: str, act_as: str = "") -> str:
    return base64.b64encode(f"{act_as}\0{name}\0{key}".encode()).decode()


@asynccontextmanager
async def hello(port: Port, source: str = "127.0.0.1"):
    async with greeted(port.address, source) as wire:
        assert (await wire.say("EHLO tool.example")).startswith("250")
        yield wire


async def login(wire: Wire, name: str, key: str) -> str:
    return await wire.say(f"AUTH PLAIN {plain(name, key)}")


async def send(wire: Wire, content: bytes, to: str = "anna@letterbox.example") -> str:
    assert (await wire.say("MAIL FROM:<bounces@tool.example>")).startswith("250")
    assert (await wire.say(f"RCPT TO:<{to}>")).startswith("250")
    assert (await wire.say("DATA")).startswith("354")
    await wire.send(content + b".\r\n")
    return await wire.reply()


async def test_a_tool_sends_as_its_vendor_without_a_signature():
    async with opened() as port, hello(port) as wire:
        assert await login(wire, "greenleaf", await port.key("greenleaf")) == "235 2.7.0 Welcome"
        assert "delivered" in await send(wire, mail())
        entry = (await port.house.app.mailboxes.inbox("anna", after=None, limit=1)).items[0]
        record = await port.house.app.mailboxes.message(entry.message)
        assert (record.edge, record.sender.how, record.vendor.id) == (
            "submission",
            "key",
            "greenleaf",
        )


async def test_one_message_for_several_gets_one_answer_and_the_feed_says_the_rest():
    async with opened() as port, hello(port) as wire:
        await login(wire, "greenleaf", await port.key("greenleaf"))
        for to, answer in (
            (("anna", "nobody"), "250 2.0.0 taken for 1 of 2 recipients, see feedback "),
            (("nobody", "anna", "anna+x"), "250 2.0.0 taken for 2 of 3 recipients, see feedback "),
            (("nobody", "none"), "550 5.7.1 no-relationship: "),
        ):
            content = mail(f"To {len(to)} {to[0]}", number=hash(to))
            assert (await wire.say("MAIL FROM:<b@tool.example>")).startswith("250")
            for each in to:
                assert (await wire.say(f"RCPT TO:<{each}@letterbox.example>")).startswith("250")
            assert (await wire.say("DATA")).startswith("354")
            await wire.send(content + b".\r\n")
            assert (await wire.reply()).startswith(answer)
        assert len(await port.house.inbox("anna")) == 2
        told = [(e.type, e.recipient.partition("@")[0]) for e in await port.house.feed("greenleaf")]
        refused = ["nobody", "nobody", "nobody", "none"]
        assert told == [("message.refused", each) for each in refused]


async def test_what_one_recipient_cannot_take_now_is_sent_again_for_all(monkeypatch):
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        await login(wire, "greenleaf", key)
        receive, deferred = port.house.app.intake.receive, True

        async def sometimes(envelope, content, submission=None):
            received = await receive(envelope, content, submission)
            if not deferred:
                return received
            told = port.house.app.disclosure.tell_all("busy", "R" * 32)
            last = msgspec.structs.replace(received.outcomes[-1], told=told)
            return msgspec.structs.replace(received, outcomes=(*received.outcomes[:-1], last))

        monkeypatch.setattr(port.house.app.intake, "receive", sometimes)
        for answer in ("421", "250"):
            async with hello(port) as again:
                await login(again, "greenleaf", key)
                await again.say("MAIL FROM:<b@tool.example>")
                await again.say("RCPT TO:<anna@letterbox.example>")
                await again.say("RCPT TO:<nobody@letterbox.example>")
                await again.say("DATA")
                await again.send(mail() + b".\r\n")
                assert (await again.reply()).startswith(answer)
            deferred = False
        assert await port.house.inbox("anna") == ["Spring sale"]


async def test_what_a_tool_leaves_out_is_added_where_it_is_read():
    from letterbox.delivery.render import with_trace

    bare = b"From: shop@greenleaf.example\r\nSubject: Bare\r\n\r\nHello\r\n"
    async with opened() as port, hello(port) as wire:
        await login(wire, "greenleaf", await port.key("greenleaf"))
        assert "delivered" in await send(wire, bare)
        mailboxes = port.house.app.mailboxes
        entry = (await mailboxes.inbox("anna", after=None, limit=1)).items[0]
        record = await mailboxes.message(entry.message)
        body = await mailboxes.body(entry.message)
        assert body == bare
        shown = with_trace(record, entry, body, HOST)
        assert shown.count(b"\r\nMessage-ID: <") == 1
        assert shown.count(b"\r\nDate: ") == 1
        assert b"with ESMTPA id" in shown


async def test_a_vendor_writes_as_nobody_else():
    async with opened() as port, hello(port) as wire:
        await login(wire, "voltshop", await port.key("voltshop"))
        told = await send(wire, mail())
        assert told.startswith("550 5.7.1 author-not-yours")
        assert "greenleaf.example" in told
        two = b"From: a@voltshop.example\r\nFrom: b@greenleaf.example\r\n\r\nx\r\n"
        assert (await send(wire, two)).startswith("550 5.7.1 author-ambiguous")
        assert await port.house.inbox("anna") == []


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("MAIL FROM:<a@greenleaf.example>", "530 5.7.0"),
        ("AUTH", "504 5.5.4"),
        ("AUTH LOGIN", "504 5.5.4"),
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH PLAIN ***", "501 5.5.2"),
        ("AUTH PLAIN =", "501 5.5.2"),
        (f"AUTH PLAIN {base64.b64encode(b'greenleaf').decode()}", "501 5.5.2"),
        (f"AUTH PLAIN {base64.b64encode(bytes(3)).decode()}", "501 5.5.2"),
        (f"AUTH PLAIN {base64.b64encode(b'a' * 300 + bytes(1) + b'b' + bytes(1)).decode()}", "501"),
        (f"AUTH PLAIN {plain('greenleaf', 'x', act_as='voltshop')}", "501 5.5.2"),
        (f"AUTH PLAIN {base64.b64encode(bytes([0, 255, 0, 254])).decode()}", "501 5.5.2"),
        ("AUTH PLAIN " + "A" * 3000, "500 5.5.2"),
    ],
)
async def test_what_is_no_answer_is_told_so(said, answer):
    async with opened() as port, hello(port) as wire:
        assert (await wire.say(said)).startswith(answer)
        assert (await login(wire, "greenleaf", await port.key("greenleaf"))).startswith("235")


async def test_a_key_may_be_asked_for_and_kept_back():
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        assert await wire.say("auth plain") == "334 "
        assert (await wire.say("*")).startswith("501 5.7.0")
        assert await wire.say("AUTH PLAIN") == "334 "
        assert (await wire.say("A" * 5000)).startswith("500 5.5.6")
        assert await wire.say("AUTH PLAIN") == "334 "
        assert (await wire.say(plain("GreenLeaf", key))).startswith("235")
        assert (await login(wire, "greenleaf", key)).startswith("503")
        assert (await wire.say("MAIL FROM:<a@greenleaf.example> AUTH=<>")).startswith("250")


async def test_nothing_goes_ahead_of_the_answer():
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        line = f"AUTH PLAIN {plain('greenleaf', key)}\r\nMAIL FROM:<a@b.example>\r\n"
        await wire.send(line.encode())
        assert await wire.line() == "554 5.5.0 You spoke ahead of a reply"
        assert await wire.closed()


async def test_whatever_is_wrong_is_answered_alike():
    configuration = Configuration(vendors=VendorsSection(self_registration=True))
    async with opened(configuration=configuration) as port:
        key = await port.key("greenleaf")
        over = await port.key("greenleaf", lasts=dt.timedelta(seconds=1))
        port.house.clock.advance(hours=1)
        told = set()
        tries = [
            ("greenleaf", "lbk_00000000_" + "x" * 25),
            ("nobody", key),
            ("voltshop", key),
            ("greenleaf", over),
            ("greenleaf", "é" * 20),
            ("gr\u00e9enleaf", key),
        ]
        for nth, (name, shown) in enumerate(tries, 2):
            async with hello(port, f"127.0.0.{nth}") as wire:
                told.add(await login(wire, name, shown))
        assert told == {"535 5.7.8 No vendor with that id and key"}
        assert port.waited == [1.0] * len(tries)


async def test_guessing_is_slowed_and_then_locked_out_for_an_address():
    async with opened() as port:
        key = await port.key("greenleaf")
        async with hello(port) as wire:
            told = [await login(wire, f"v{n}", "lbk_guess") for n in range(4)]
            assert {line[:3] for line in told} == {"535"}
            assert port.waited == [1.0, 2.0, 4.0, 8.0]
            assert (await login(wire, "greenleaf", key)).startswith("454 4.7.0")
        async with hello(port, "127.0.0.2") as wire:
            assert (await login(wire, "greenleaf", key)).startswith("235")
        port.house.clock.advance(minutes=16)
        async with hello(port) as wire:
            assert (await login(wire, "greenleaf", key)).startswith("235")


async def test_behind_a_balancer_who_guesses_locks_out_itself_alone():
    balancer = TrustedPeer(address="127.0.0.1", client="proxy")
    # Not what it says of itself, nor what any other peer says of it.
    relay = TrustedPeer(address="192.0.2.9", client="xclient", asserts="from")
    async with opened(section=SmtpSection(trusted_peers=(balancer, relay))) as port:

        async def guess(client: str, key: str) -> str:
            async with connected(port.address) as wire:
                await wire.send(f"PROXY TCP4 {client} 198.51.100.1 4242 587\r\n".encode())
                assert (await wire.line()).startswith("220 ")
                assert not any("XCLIENT" in line for line in await wire.lines("EHLO tool.example"))
                return (await login(wire, "greenleaf", key))[:3]

        key = await port.key("greenleaf")
        for _ in range(4):
            assert await guess("192.0.2.1", "wrong") == "535"
        assert await guess("192.0.2.1", key) == "454"
        assert await guess("192.0.2.9", key) == "235"


async def test_guessing_from_many_addresses_locks_the_name_but_not_its_own_tools():
    async with opened() as port:
        key = await port.key("greenleaf")
        async with hello(port, "127.0.0.9") as wire:
            assert (await login(wire, "greenleaf", key)).startswith("235")
        for nth in range(2, 8):
            async with hello(port, f"127.0.0.{nth}") as wire:
                await login(wire, "greenleaf", "lbk_guess")
        async with hello(port, "127.0.0.8") as wire:
            assert (await login(wire, "greenleaf", key)).startswith("454")
        async with hello(port, "127.0.0.9") as wire:
            assert (await login(wire, "greenleaf", key)).startswith("235")
        async with hello(port, "127.0.0.8") as wire:
            voltkey = await port.key("voltshop")
            assert (await login(wire, "voltshop", voltkey)).startswith("235")


async def test_guesses_at_one_time_learn_no_more_than_guesses_in_turn(monkeypatch):
    async with opened() as port, AsyncExitStack() as sessions:
        key = await port.key("greenleaf")
        looking, go_on = asyncio.Semaphore(0), asyncio.Event()
        shown = port.house.app.credentials.shown

        async def slowly(*arguments):
            looking.release()
            await go_on.wait()
            return await shown(*arguments)

        monkeypatch.setattr(port.house.app.credentials, "shown", slowly)
        wires = [await sessions.enter_async_context(hello(port)) for _ in range(12)]
        tries = [asyncio.ensure_future(login(wire, "greenleaf", "lbk_guess")) for wire in wires[1:]]
        for _ in tries:
            await looking.acquire()
        tries.append(asyncio.ensure_future(login(wires[0], "greenleaf", key)))
        await looking.acquire()  # the right one, last of all
        go_on.set()
        told = [line[:3] for line in await asyncio.gather(*tries)]
        assert (told.count("535"), told.count("454")) == (4, 8)
        assert told[-1] == "454"


async def test_who_is_locked_out_and_goes_on_is_hung_up_on():
    async with opened() as port, hello(port) as wire:
        for _ in range(SmtpSection().max_errors):
            assert (await login(wire, "greenleaf", "lbk_guess"))[:3] in {"535", "454"}
        assert (await login(wire, "greenleaf", "lbk_guess")).startswith("421 4.7.0")
        assert await wire.closed()


async def test_nothing_goes_ahead_of_the_answer_to_what_was_asked_for():
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        assert await wire.say("AUTH PLAIN") == "334 "
        await wire.send(f"{plain('greenleaf', key)}\r\nMAIL FROM:<a@b.example>\r\n".encode())
        assert await wire.line() == "554 5.5.0 You spoke ahead of a reply"
        assert await wire.closed()


async def test_a_vendor_hears_why_also_from_where_a_relay_stands():
    # A relay of ours hides who is behind it; whoever shows a key hides nothing.
    peers = (TrustedPeer(address="127.0.0.0/8", asserts="from"),)
    people = PEOPLE.replace('"offer", ', "")
    section = SmtpSection(trusted_peers=peers)
    async with opened(people, section=section) as port, hello(port) as wire:
        await login(wire, "greenleaf", await port.key("greenleaf"))
        told = await send(wire, mail(Letterbox_Kind="offer"))
        assert told.startswith("550 5.7.1 kind-not-wanted: ")


async def test_a_key_that_is_revoked_serves_no_longer_in_a_session_that_is_open():
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        await login(wire, "greenleaf", key)
        assert "delivered" in await send(wire, mail(number=1))
        await port.house.app.credentials.revoke(key[:12])
        assert (await send(wire, mail(number=2))).startswith("535 5.7.8")
        assert await wire.closed()
        assert len(await port.house.inbox("anna")) == 1


async def test_a_suspended_vendor_is_told_so():
    async with opened() as port, hello(port) as wire:
        await login(wire, "greenleaf", await port.key("greenleaf"))
        await port.house.app.administration.perform("vendor suspend", {"vendor": "greenleaf"})
        assert (await send(wire, mail())).startswith("550 5.7.1 vendor-suspended")


async def test_one_who_has_proven_nothing_does_not_get_in():
    configuration = Configuration(vendors=VendorsSection(self_registration=True))
    async with opened(configuration=configuration) as port:
        application = Application("newshop", "New Shop", ("newshop.example",))
        welcome = await port.house.app.registration.register(application, "127.0.0.1")
        async with hello(port) as wire:
            told = await login(wire, "newshop", welcome.key)
            assert told == "535 5.7.1 The key is right, but no domain of yours is proven yet"
            narrow = await port.key("greenleaf", scopes=("feedback",))
            assert "scope send" in await login(wire, "greenleaf", narrow)
        assert port.waited == []


async def test_who_loses_its_last_domain_sends_no_more_in_a_session_that_is_open():
    configuration = Configuration(vendors=VendorsSection(self_registration=True))
    async with opened(configuration=configuration) as port:
        app = port.house.app
        application = Application("newshop", "New Shop", ("newshop.example",))
        welcome = await app.registration.register(application, "127.0.0.1")
        await app.vendors.prove("newshop", "newshop.example", port.house.clock.now())
        async with hello(port) as wire:
            await login(wire, "newshop", welcome.key)
            await app.domain_proofs.give_up("newshop", "newshop.example")
            assert (await send(wire, mail(domain="letterbox.example"))).startswith("535 5.7.8")


async def test_no_key_and_no_name_is_logged(caplog, capsys):
    async with opened() as port, hello(port) as wire:
        key = await port.key("greenleaf")
        await login(wire, key, "greenleaf")  # in the wrong order
        await login(wire, "greenleaf", key)
        out = capsys.readouterr()
        assert "outcome=wrong" in out.out + out.err + caplog.text
        assert key[13:] not in out.out + out.err + caplog.text


# ---- TLS


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    return tls_contexts(tmp_path_factory.mktemp("tls"))


async def test_where_there_is_a_certificate_no_key_is_shown_in_the_clear(contexts):
    server, client = contexts
    async with opened(tls_context=server) as port, greeted(port.address) as wire:
        assert not any("AUTH" in line for line in await wire.lines("EHLO tool.example"))
        key = await port.key("greenleaf")
        assert (await login(wire, "greenleaf", key)).startswith("538 5.7.11")
        assert (await wire.say("STARTTLS")).startswith("220")
        await wire.writer.start_tls(client, server_hostname=HOST)
        assert any("AUTH PLAIN" in line for line in await wire.lines("EHLO tool.example"))
        assert (await login(wire, "greenleaf", key)).startswith("235")


def by_smtplib(address: str, key: str, content: bytes, client: ssl.SSLContext, kind: str) -> None:
    host, _, port = address.rpartition(":")
    make = smtplib.SMTP
    options = {}
    if kind == "from-the-first-octet":
        make, options = smtplib.SMTP_SSL, {"context": client}
    with make(host, int(port), timeout=20, **options) as tool:
        if kind == "starttls":
            tool.starttls(context=client)
        tool.login("greenleaf", key)
        tool.sendmail("shop@greenleaf.example", ["anna@letterbox.example"], content)


@pytest.mark.parametrize("kind", ["clear", "starttls", "from-the-first-octet"])
async def test_a_tool_nobody_here_wrote_sends_by_it(contexts, kind):
    server, client = contexts
    options = {} if kind == "clear" else {"tls_context": server}
    if kind == "from-the-first-octet":
        options["tls"] = True
    async with opened(**options) as port:
        key = await port.key("greenleaf")
        await asyncio.to_thread(by_smtplib, port.address, key, mail(), client, kind)
        assert await port.house.inbox("anna") == ["Spring sale"]
