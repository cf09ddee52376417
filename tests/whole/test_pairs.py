"""Pairs of letterboxes that differ in one hidden fact: a vendor sees the same on every channel.

Both get the same mail, by every way there is. What comes back (replies, results, the feed, reports
by mail, the page of each reference) is compared octet for octet, once what is random has been
numbered; and so is what the store was asked to do meanwhile. Endpoints, statistics, preflight and
asking to come back are channels like the others.
"""

import re
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from letterbox.gateways.smtp import SmtpGateway
from letterbox.model.configuration import (
    Configuration,
    OutboundSection,
    SmtpSection,
    TrustedPeer,
)
from tests.support.api import PRUNERS, Api, open_api
from tests.support.counting import Counting
from tests.support.house import mail, signed
from tests.support.postoffice import PostOffice, post_office
from tests.support.webhost import WebHost
from tests.support.wire import Wire, connected

HERE = {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}
PERSON, OPEN, SHUT = (f"{name}@letterbox.example" for name in ("person", "open", "shut"))
#: The vendor, and two neighbours that answer always the same: one takes all, one nothing.
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
id = "open"
addresses = ["open@letterbox.example"]
vendor = [{ vendor = "greenleaf", scope = "everything" }]

[[consumer]]
id = "shut"
addresses = ["shut@letterbox.example"]
vendor = [{ vendor = "greenleaf", standing = "blocked" }]
"""
NOBODY = ""


def person(*lines: str, addresses: str = '"person@letterbox.example"', language: str = "en") -> str:
    head = ["[[consumer]]", 'id = "person"', f"addresses = [{addresses}]"]
    head += [f'language = "{language}"', 'timezone = "Europe/Amsterdam"']
    return "\n".join([*head, *lines, ""])


def known(*fields: str, more: tuple[str, ...] = ()) -> str:
    """Somebody with a relationship with the vendor, and more."""
    said = ", ".join(('vendor = "greenleaf"', *fields))
    return person(f"vendor = [{{ {said} }}]", *more)


def window(day: str, hours: str, kind: str = "offer") -> str:
    first, _, last = hours.partition("-")
    return (
        f'window = [{{ days = ["{day}"], from = "{first}", until = "{last}", kinds = ["{kind}"] }}]'
    )


def interest(**fields: Any) -> str:
    said = ", ".join(f"{key} = {value}" for key, value in ({"id": '"wish"'} | fields).items())
    return f"interest = [{{ {said} }}]"


def price(amount: str) -> str:
    return f'{{ amount = "{amount}", currency = "EUR" }}'


ALL, TOOLS = 'scope = "everything"', '["home-garden/garden-tools"]'
#: Each: what differs, as two lists of people. The offer is about garden tools at 149.95 EUR.
PAIRS = {
    "newcomer: whether the address exists": (person(), NOBODY),
    "newcomer: whose the address is": (
        person(
            addresses='"p@letterbox.example", { address = "person@letterbox.example", '
            'vendor = "voltshop" }'
        ),
        NOBODY,
    ),
    "remedy: whose the address is": (
        person(
            'vendor = [{ vendor = "greenleaf", scope = "everything" }]',
            addresses='"p@letterbox.example", { address = "person@letterbox.example", '
            'vendor = "voltshop" }',
        ),
        NOBODY,
    ),
    "newcomer: who else is allowed": (
        person('vendor = [{ vendor = "voltshop", scope = "everything" }]'),
        person(),
    ),
    "newcomer: what is wanted": (person(interest(categories=TOOLS)), person()),
    "newcomer: that it was locked out, at nothing": (
        known('standing = "blocked"', 'tells = "nothing"'),
        NOBODY,
    ),
    "newcomer: that a relationship is over": (known(ALL, "until = 2026-11-22"), NOBODY),
    "remedy: a competitor is allowed": (
        person(f'vendor = [{{ vendor = "greenleaf", {ALL} }}, {{ vendor = "voltshop", {ALL} }}]'),
        person(f'vendor = [{{ vendor = "greenleaf", {ALL} }}]'),
    ),
    "remedy: which other things are wanted": (
        known(more=(interest(keywords='{ any = ["bicycle"] }'),)),
        known(more=(interest(categories='["electronics"]', vendors='["voltshop"]'),)),
    ),
    "remedy: the hours of a window": (
        known(ALL, more=(window("sat", "09:00-12:00"),)),
        known(ALL, more=(window("sat", "14:00-15:00"),)),
    ),
    "reason: how far above the price": (
        known('tells = "reason"', more=(interest(categories=TOOLS, max_price=price("100.00")),)),
        known('tells = "reason"', more=(interest(categories=TOOLS, max_price=price("20.00")),)),
    ),
    "class: which day it comes": (
        known(ALL, 'tells = "class"', more=(window("sat", "09:00-12:00"),)),
        known(ALL, 'tells = "class"', more=(window("sun", "14:00-15:00"),)),
    ),
    "class: whether the price or the kind": (
        known('tells = "class"', more=(interest(categories=TOOLS, max_price=price("100.00")),)),
        known('tells = "class"', 'accepts = ["service"]'),
    ),
    "class: whether it is locked out or nothing fits": (
        known('tells = "class"', more=(interest(keywords='{ any = ["bicycle"] }'),)),
        known('tells = "class"', more=(interest(brands='["Felix"]', categories=TOOLS),)),
    ),
    "nothing: whether a kind is refused or nobody is there": (
        known('tells = "nothing"', 'accepts = ["service"]'),
        NOBODY,
    ),
    "nothing: whether it is wanted or nobody is there": (
        known('tells = "nothing"', more=(interest(keywords='{ any = ["bicycle"] }'),)),
        NOBODY,
    ),
    "nothing: whether it waits": (
        known(ALL, 'tells = "nothing"', more=(window("sat", "09:00-12:00"),)),
        known(ALL, 'tells = "nothing"'),
    ),
    "the language and the zone": (
        person('vendor = [{ vendor = "greenleaf", accepts = ["service"] }]', language="nl"),
        person('vendor = [{ vendor = "greenleaf", accepts = ["service"] }]'),
    ),
}
#: What is done differs by nature: something is delivered, or held. It is asked for as often.
OTHER_WORK = {"nothing: whether it waits"}
#: On which day something was released may be told once it was.
TOLD_IN_THE_END = {"class: which day it comes"}


class Side:
    """One of the two, and everything the vendor has seen of it."""

    def __init__(
        self, api: Api, office: PostOffice, host: WebHost, addresses: dict[str, str], counting
    ) -> None:
        self.api = api
        self.host = host
        self.house = api.house
        self.office = office
        self.addresses = addresses
        self.counting = counting
        self.seen: list[tuple[str, bytes]] = []
        self.work: list[tuple[str, list[str]]] = []
        self.number = 0

    async def by(self, channel: str, doing) -> None:
        """Do something by a channel; what is seen, and what it cost."""
        self.counting.taken()
        seen = await doing
        self.work.append((channel, self.counting.taken()))
        self.seen += [(channel, each) for each in seen]
        # What is carried on is counted by itself: when it is done is nobody's to see.
        await self.house.work()

    def offer(self) -> bytes:
        self.number += 1
        return signed(
            mail(
                f"Pruners {self.number}",
                number=self.number,
                text="Pruners for 149.95 EUR.\r\n",
                Letterbox_Kind="offer",
                Letterbox_Category="home-garden/garden-tools",
            )
        )

    async def mailed(self, edge: str, *to: str, options: str = "") -> list[bytes]:
        """One message over a mail edge: everything that is replied to its content."""
        async with connected(self.addresses[edge]) as wire:
            await wire.reply()
            await wire.lines("LHLO mail.greenleaf.example" if edge == "lmtp" else "EHLO client")
            if edge == "lmtp":
                await wire.say("XFORWARD ADDR=127.0.0.1 HELO=mail.greenleaf.example")
            await wire.say(f"MAIL FROM:<bounces@greenleaf.example>{options}")
            replies = [await wire.say(f"RCPT TO:<{each}>") for each in to]
            replies.append(await wire.say("DATA"))
            await wire.send(self.offer() + b".\r\n")
            replies.append(await wire.reply())
            replies += await self._rest(wire)
        return [each.encode() for each in replies]

    async def _rest(self, wire: Wire) -> list[str]:
        """Replies that come beside the first; NOOP's ends them."""
        await wire.send(b"NOOP\r\n")
        replies = []
        while (reply := await wire.reply()) != "250 2.0.0 OK":
            replies.append(reply)
        return replies

    async def posted(self, *to: str) -> list[bytes]:
        self.number += 1
        reply = await self.api.send(to=list(to), subject=f"Pruners {self.number}")
        return [str(reply.status).encode(), reply.body]

    async def raw(self, *to: str) -> list[bytes]:
        query = "&".join(f"to={each}" for each in to)
        reply = await self.api.call(
            "POST",
            f"/v1/messages?{query}",
            who="greenleaf",
            data=self.offer(),
            headers={"Content-Type": "message/rfc822"},
        )
        return [str(reply.status).encode(), reply.body]

    async def feed(self) -> list[bytes]:
        reply = await self.api.call("GET", "/v1/feedback?limit=1000", who="greenleaf")
        return [reply.body]

    async def pages(self) -> list[bytes]:
        """The page of every reference that was seen, with its header."""
        found = []
        for reference in self.references():
            reply = await self.api.call("GET", f"/r/{reference}")
            headers = {k: v for k, v in reply.headers.items() if k != "Date"}
            found.append(msgspec.json.encode(headers) + reply.body)
        return found

    async def called(self) -> list[bytes]:
        """What the vendor's endpoint was sent, without the signature, which is by a secret."""
        said = [
            (each.url, {k: v for k, v in each.headers.items() if k != "webhook-signature"})
            for each in self.host.posted
        ]
        return [msgspec.json.encode(each) for each in said] + [e.body for e in self.host.posted]

    async def asked_ahead(self) -> list[bytes]:
        """What a preflight says."""
        form = PRUNERS | {"to": [PERSON]}
        reply = await self.api.call("POST", "/v1/preflight", who="greenleaf", json=form)
        return [str(reply.status).encode(), reply.body]

    async def numbers(self) -> list[bytes]:
        query = "from=2026-11-01&to=2026-12-31"
        return [(await self.api.call("GET", f"/v1/stats?{query}", who="greenleaf")).body]

    async def asking_back(self) -> list[bytes]:
        """To ask to come back, by every reference that was seen."""
        found = []
        for reference in self.references():
            path = f"/v1/relations/{reference}/reconnect"
            form = {"accept": True}
            reply = await self.api.call("POST", path, who="greenleaf", json=form)
            found.append(str(reply.status).encode() + reply.body)
        return found

    def references(self) -> list[str]:
        text = b"\n".join(seen for _, seen in self.seen)
        return [each.decode() for each in dict.fromkeys(re.findall(rb"/r/([0-9a-f]{32})", text))]

    async def reports(self) -> list[bytes]:
        return [came.content for came in self.office.came]

    def numbered(self) -> list[tuple[str, bytes]]:
        """What was seen, with names and references by the order they came in."""
        names: dict[bytes, bytes] = {}

        def name(match: re.Match[bytes]) -> bytes:
            return names.setdefault(match[0], b"#%d" % len(names))

        return [(channel, re.sub(rb"[0-9a-f]{32}", name, seen)) for channel, seen in self.seen]


@asynccontextmanager
async def side(people: str, monkeypatch):
    """One letterbox with every edge open."""
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(post_office())
        configuration = Configuration(
            public_url="https://letterbox.example", outbound=OutboundSection(relay=office.address)
        )
        api = await stack.enter_async_context(
            open_api(PEOPLE + people, configuration=configuration)
        )
        house = api.house
        house.zone.records["greenleaf.example"] = HERE
        addresses = {}
        peer = TrustedPeer(address="127.0.0.1", client="xforward")
        for edge in ("smtp", "lmtp"):
            gateway = SmtpGateway(
                house.app.intake,
                paths=house.app.prover,
                hostname="letterbox.example",
                domains=frozenset({"letterbox.example"}),
                section=SmtpSection(trusted_peers=(peer,) if edge == "lmtp" else ()),
                clock=house.clock,
                metrics=house.app.metrics,
                lmtp=edge == "lmtp",
            )
            addresses[edge] = await gateway.start("127.0.0.1:0")
            stack.push_async_callback(gateway.close)
        await api.credential("greenleaf")
        host = house.app.webhooks._courier = WebHost()
        hook = {"url": "https://hooks.greenleaf.example/"}
        made = await api.call("POST", "/v1/webhooks", who="greenleaf", json=hook)
        assert made.status == 201, made.body
        yield Side(api, office, host, addresses, Counting(house, monkeypatch))


async def everything(side: Side) -> None:
    """The same mail by every way, some days, and all that can be read of it."""
    for to in ((PERSON,), (PERSON, OPEN), (OPEN, PERSON), (SHUT, PERSON)):
        await side.by(f"smtp {len(to)}", side.mailed("smtp", *to))
        await side.by(f"prdr {len(to)}", side.mailed("smtp", *to, options=" PRDR"))
        await side.by(f"lmtp {len(to)}", side.mailed("lmtp", *to))
        await side.by(f"http {len(to)}", side.posted(*to))
        await side.by(f"rfc822 {len(to)}", side.raw(*to))
    await side.by("preflight", side.asked_ahead())
    await side.by("feed", side.feed())
    await side.by("reports", side.reports())
    await side.by("webhooks", side.called())
    await side.by("stats", side.numbers())
    await side.by("pages", side.pages())
    await side.by("reconnect", side.asking_back())


async def a_week_later(side: Side) -> None:
    """What has become of what was held."""
    side.house.clock.advance(days=8)
    await side.house.work()
    await side.by("feed later", side.feed())
    await side.by("reports later", side.reports())
    await side.by("pages later", side.pages())
    await side.by("webhooks later", side.called())
    await side.by("stats later", side.numbers())


@pytest.mark.parametrize("name", PAIRS)
async def test_a_vendor_sees_no_difference(name: str, monkeypatch) -> None:
    sides = []
    for people in PAIRS[name]:
        async with side(people, monkeypatch) as each:
            await everything(each)
            if name not in TOLD_IN_THE_END:
                await a_week_later(each)
            sides.append(each)
    one, other = sides
    assert one.numbered() == other.numbered()
    if name in OTHER_WORK:
        one.work, other.work = ([(c, sizeless(w)) for c, w in each.work] for each in sides)
    assert one.work == other.work
    # The comparison compares something: mail went, and was answered by each channel.
    channels = {channel.partition(" ")[0] for channel, seen in one.seen if seen}
    assert channels >= {"smtp", "prdr", "lmtp", "http", "rfc822", "feed", "webhooks", "stats"}


def sizeless(work: list[str]) -> list[str]:
    return [call.rstrip("0123456789") for call in work]


async def test_a_difference_that_may_be_told_is_seen(monkeypatch) -> None:
    """Where the level lets it, the two do differ: so the comparison is worth something."""
    sides = []
    for fields in (('tells = "reason"', 'accepts = ["service"]'), ('standing = "blocked"',)):
        async with side(known(*fields), monkeypatch) as each:
            await everything(each)
            sides.append(each)
    one, other = (each.numbered() for each in sides)
    told_apart = {channel for channel, _ in set(one) ^ set(other)}
    assert told_apart >= {"smtp 1", "lmtp 2", "feed", "pages", "webhooks", "stats", "reconnect"}
