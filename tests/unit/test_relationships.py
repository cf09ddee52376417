"""Every sort of relationship at both edges: the reply by SMTP and LMTP, and the API's result."""

from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from letterbox.gateways.smtp import SmtpGateway
from letterbox.model.configuration import SmtpSection, TrustedPeer
from tests.support.api import open_api
from tests.support.house import SPF_HERE, House, mail, open_house, signed
from tests.support.wire import greeted

PEOPLE = """
[[vendor]]
id = "greenleaf"
name = "Greenleaf Garden"
domains = ["greenleaf.example"]

[[consumer]]
id = "anna"
addresses = ["anna@letterbox.example"]
timezone = "Europe/Amsterdam"
WISHES
"""
NONE = "550 5.7.1 no-relationship: "
CHOICE = "550 5.7.1 choice: "


class Row(NamedTuple):
    """Wishes, and what the same offer of the vendor's is answered by mail and over HTTP.

    ``code`` is the reason's, ``row`` what the consumer's own log says.
    """

    wishes: str
    line: str
    verdict: str
    code: str | None
    row: str | None
    events: tuple[str, ...] = ()


def known(*said: str) -> str:
    rule = ", ".join(('vendor = "greenleaf"', *said))
    return f"vendor = [{{ {rule} }}]"


ALL = 'scope = "everything"'
FILE = 'when_unwanted = "file"'
REFUSED, WAITS = ("message.refused",), ("message.awaiting",)
HELD = "250 2.0.0 held "
ASKED = "awaiting-consumer"
ROWS = {
    "newcomers refused": Row("", NONE, "refuse", "no-relationship", "vendor-not-allowed", REFUSED),
    "newcomers asked about": Row('newcomers = "ask"', HELD, "hold", ASKED, ASKED, WAITS),
    "newcomers without an interest": Row(
        'newcomers = "interests"',
        NONE, "refuse", "no-relationship", "no-matching-interest", REFUSED,
    ),
    "newcomers by interest": Row(
        'newcomers = "interests"\ninterest = [{ id = "all", open_to = "anyone" }]',
        "250 2.0.0 delivered ", "deliver", None, None,
    ),
    "allowed": Row(known(ALL), "250 2.0.0 delivered ", "deliver", None, None),
    "allowed, telling nothing": Row(
        known(ALL, 'tells = "nothing"'), "250 2.0.0 accepted ", "accepted", None, None
    ),
    "by domain": Row(
        'vendor = [{ domain = "greenleaf.example", scope = "everything" }]',
        "250 2.0.0 delivered ", "deliver", None, None,
    ),
    "by address": Row(
        'vendor = [{ address = "Shop+x@greenleaf.example", scope = "everything" }]',
        "250 2.0.0 delivered ", "deliver", None, None,
    ),
    "blocked, with why and what would help": Row(
        known('standing = "blocked"', 'because = "too-often"',
              'remedy = { limit = { messages = 1, per = "month" } }'),
        "550 5.7.1 vendor-blocked: Locked out: too often; at most 1 per month. ",
        "refuse", "vendor-blocked", "vendor-blocked", REFUSED,
    ),
    "blocked, telling the class": Row(
        known('standing = "blocked"', 'tells = "class"'),
        CHOICE, "refuse", "choice", "vendor-blocked", REFUSED,
    ),
    "blocked, telling nothing": Row(
        known('standing = "blocked"', 'tells = "nothing"'),
        NONE, "refuse", "no-relationship", "vendor-blocked", REFUSED,
    ),
    "asking": Row(known('standing = "ask"', ALL), HELD, "hold", ASKED, ASKED, WAITS),
    "asking, telling nothing": Row(
        known('standing = "ask"', ALL, 'tells = "nothing"'),
        "250 2.0.0 accepted ", "accepted", None, ASKED,
    ),
    "its first day is today": Row(
        known(ALL, "from = 2026-11-23"), "250 2.0.0 delivered ", "deliver", None, None
    ),
    "its last day is today": Row(
        known(ALL, "until = 2026-11-23"), "250 2.0.0 delivered ", "deliver", None, None
    ),
    "it begins tomorrow": Row(
        known(ALL, "from = 2026-11-24"),
        NONE, "refuse", "no-relationship", "vendor-not-allowed", REFUSED,
    ),
    "it ended yesterday": Row(
        known(ALL, "until = 2026-11-22", 'basis = "customer"'),
        NONE, "refuse", "no-relationship", "vendor-not-allowed", REFUSED,
    ),
    "a kind that is not accepted": Row(
        known('accepts = ["service"]'),
        "550 5.7.1 kind-not-wanted: No offers from you; send only service mail. ",
        "refuse", "kind-not-wanted", "kind-not-wanted", REFUSED,
    ),
    "unwanted, filed": Row(
        known('accepts = ["service"]', FILE),
        "250 2.0.0 not delivered, kept for the recipient ",
        "refuse", "kind-not-wanted", "kind-not-wanted", REFUSED,
    ),
    "unwanted, filed, telling the class": Row(
        known('accepts = ["service"]', FILE, 'tells = "class"'),
        "250 2.0.0 not delivered, kept for the recipient ",
        "refuse", "choice", "kind-not-wanted", REFUSED,
    ),
    "unwanted, filed, telling nothing": Row(
        known('accepts = ["service"]', FILE, 'tells = "nothing"'),
        "250 2.0.0 accepted ", "accepted", None, "kind-not-wanted",
    ),
    "blocked is final: nothing is filed": Row(
        known('standing = "blocked"', FILE),
        "550 5.7.1 vendor-blocked: Locked out. ",
        "refuse", "vendor-blocked", "vendor-blocked", REFUSED,
    ),
}  # fmt: skip


def people(wishes: str) -> str:
    return PEOPLE.replace("WISHES", wishes)


def offer() -> bytes:
    return signed(mail("Pruners", Letterbox_Kind="offer"))


@asynccontextmanager
async def gateway(house: House, *, lmtp: bool):
    """The mail edge of a house; over LMTP its peer may say whose mail it brings."""
    peer = TrustedPeer(address="127.0.0.1", client="xforward")
    edge = SmtpGateway(
        house.app.intake,
        paths=house.app.prover,
        hostname="letterbox.example",
        domains=frozenset({"letterbox.example"}),
        section=SmtpSection(trusted_peers=(peer,) if lmtp else ()),
        clock=house.clock,
        metrics=house.app.metrics,
        lmtp=lmtp,
    )
    address = await edge.start("127.0.0.1:0")
    try:
        yield address
    finally:
        await edge.close()


async def answered(address: str, *, lmtp: bool, hidden: bool = False) -> str:
    """What is said to an offer. ``hidden``: the peer shows no client behind it."""
    async with greeted(address) as wire:
        client = "127.0.0.1" if lmtp and not hidden else ""
        await wire.begin(verb="LHLO" if lmtp else "EHLO", client=client)
        await wire.send(offer() + b".\r\n")
        return await wire.reply()


async def recorded(house: House) -> str | None:
    page = await house.app.mailboxes.decisions("anna", after=None, limit=10)
    (row,) = page.items
    return getattr(row.verdict, "reason", None)


@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@pytest.mark.parametrize("name", ROWS)
async def test_by_mail(name: str, lmtp: bool) -> None:
    row = ROWS[name]
    async with open_house(people(row.wishes)) as house, gateway(house, lmtp=lmtp) as address:
        assert (await answered(address, lmtp=lmtp)).startswith(row.line)
        assert await recorded(house) == row.row
        assert [event.type for event in await house.feed("greenleaf")] == list(row.events)


@pytest.mark.parametrize("name", ROWS)
async def test_over_http(name: str) -> None:
    row = ROWS[name]
    wishes = row.wishes.replace('address = "Shop+x@greenleaf', 'address = "greenleaf@letterbox')
    async with open_api(people(wishes)) as api:
        reply = await api.send(offer=None)
        (result,) = reply.json["results"]
        assert (reply.status, result["verdict"]) == (200, row.verdict)
        assert result.get("reason", {}).get("code") == row.code
        assert await recorded(api.house) == row.row
        assert [event.type for event in await api.house.feed("greenleaf")] == list(row.events)


async def test_what_is_filed_is_taken_from_a_relay_that_hides_its_client_too() -> None:
    """Refused there, it would travel back to the vendor as a report, and invoices stop."""
    wishes = known('accepts = ["service"]', FILE)
    async with open_house(people(wishes)) as house:
        async with gateway(house, lmtp=True) as address:
            assert (await answered(address, lmtp=True, hidden=True)).startswith(
                "250 2.0.0 accepted "
            )
        assert await house.inbox("anna") == []
        (event,) = await house.feed("greenleaf")
        assert (event.type, event.reason.code) == ("message.refused", "kind-not-wanted")


async def test_what_is_filed_is_in_the_refused_log_with_its_body() -> None:
    async with open_api(people(known('accepts = ["service"]', FILE))) as api:
        await api.house.send(offer(), "anna@letterbox.example")
        path = "/v1/me/decisions?verdict=refuse"
        (row,) = (await api.call("GET", path, who="anna")).json["items"]
        assert row["reason"] == "kind-not-wanted"
        assert await api.house.app.mailboxes.body(row["message"]) == offer()
        assert await api.house.inbox("anna") == []


async def test_a_person_at_a_mailbox_provider_is_one_relationship() -> None:
    wishes = (
        'vendor = [{ address = "tom@gmail.com", accepts = ["personal"], scope = "everything" }]'
    )
    async with open_house(people(wishes)) as house:
        house.zone.records |= {"gmail.com": SPF_HERE}
        for number, (author, line) in enumerate(
            (("Tom+x@gmail.com", "250 2.0.0 delivered "), ("tim@gmail.com", NONE))
        ):
            content = mail("Hello", number=number, domain="gmail.com", From=author)
            received = await house.send(content, "anna@letterbox.example", sender="x@gmail.com")
            assert received.outcomes[0].told.line.startswith(line)


async def test_the_answer_follows_or_its_absence() -> None:
    async with open_api(people('newcomers = "ask"\nask_for_days = 2')) as api:
        for number in range(3):
            content = signed(mail("Pruners", number=number, Letterbox_Kind="offer"))
            await api.house.send(content, "anna@letterbox.example")
        first, second, _ = (await api.call("GET", "/v1/me/held", who="anna")).json["items"]
        for entry, word in ((first, "release"), (second, "refuse")):
            reply = await api.call("POST", f"/v1/me/held/{entry['id']}/{word}", who="anna")
            assert reply.status == 200
        api.house.clock.advance(days=3)
        types = [event.type for event in await api.house.feed("greenleaf")]
        assert types == [
            *WAITS * 3,
            "message.approved",
            "message.declined",
            "message.declined",
        ]


async def test_a_relationship_ends_at_the_end_of_its_last_local_day() -> None:
    async with open_house(people(known(ALL, "until = 2026-11-23"))) as house:
        house.clock.advance(hours=10, minutes=59)  # 23:59 in Amsterdam
        told = (await house.send(offer(), "anna@letterbox.example")).outcomes[0].told
        assert told.line.startswith("250 2.0.0 delivered ")
        house.clock.advance(minutes=1)
        content = signed(mail("Pruners", number=2, Letterbox_Kind="offer"))
        told = (await house.send(content, "anna@letterbox.example")).outcomes[0].told
        assert told.line.startswith(NONE)


async def test_the_ceiling_on_service_mail_holds() -> None:
    """Whatever the interests and the limit say, and no further than ``service_limit``."""
    rule = known(
        'service_limit = { messages = 2, per = "week" }', 'limit = { messages = 1, per = "week" }'
    )
    async with open_house(people(rule)) as house:
        lines = []
        for number in range(3):
            content = signed(mail("Invoice", number=number, Letterbox_Kind="service"))
            received = await house.send(content, "anna@letterbox.example")
            lines.append(received.outcomes[0].told.line)
        assert [line.split()[2] for line in lines] == ["delivered", "delivered", "too-often:"]
        assert "at most 2 per week, next from 2026-11-30" in lines[2]
        house.clock.advance(days=7)
        content = signed(mail("Invoice", number=4, Letterbox_Kind="service"))
        received = await house.send(content, "anna@letterbox.example")
        assert received.outcomes[0].told.verdict == "deliver"
