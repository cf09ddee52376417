"""Every way to stay unproven: its reason and its reply, the same whoever it is written to.

What a stranger is told hangs on the message alone; a failed lookup is always a temporary answer.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from letterbox.model.envelope import Client
from tests.support.counting import Counting
from tests.support.house import HERE, open_house
from tests.support.house import mail as letter
from tests.support.signing import Signer, craft, ed25519_record

PEOPLE = """
[[vendor]]
id = "shop"
name = "Shop"
domains = ["shop.example"]
[[consumer]]
id = "friend"
addresses = ["friend@letterbox.example"]
vendor = [{ vendor = "shop", scope = "everything", accepts = ["service", "personal"] }]
[[consumer]]
id = "foe"
addresses = ["foe@letterbox.example"]
vendor = [{ vendor = "shop", standing = "blocked", because = "too-often" }]
[[consumer]]
id = "other"
addresses = ["other@letterbox.example"]
newcomers = "ask"
"""
TO = ("friend", "foe", "other", "nobody")
SHOP = Signer(domain="shop.example")
AWAY = Client(address="198.51.100.9", helo="away.example")
OURS = Client(address=HERE, helo="mta.shop.example")


def cut_off() -> str:
    """A record whose key ends too soon."""
    return SHOP.record[:-40]


def domain(name: str, **records: list[str]) -> dict[str, dict[str, list[str]]]:
    """A domain with some policy and the shop's key."""
    found = {f"s1._domainkey.{name}": {"TXT": [SHOP.record]}, name: {"TXT": []}}
    for kind, values in records.items():
        place = {"spf": name, "dmarc": f"_dmarc.{name}"}[kind]
        found[place] = {"TXT": values}
    return found


RECORDS: dict[str, dict[str, list[str]]] = {
    **domain("shop.example", spf=[f"v=spf1 ip4:{HERE} -all"]),
    **domain("soft.example", spf=["v=spf1 ~all"]),
    **domain("neutral.example", spf=["v=spf1 ?all"]),
    **domain("broken.example", spf=["v=spf1 ip4:nonsense -all"]),
    **domain("two.example", spf=["v=spf1 -all", "v=spf1 +all"]),
    **domain("deep.example", spf=["v=spf1 " + "a:x.example " * 11 + "+all"]),
    **domain("reject.example", spf=["v=spf1 -all"], dmarc=["v=DMARC1; p=reject"]),
    **domain("quarantine.example", dmarc=["v=DMARC1; p=quarantine"]),
    **domain("none.example", dmarc=["v=DMARC1; p=none"]),
    **domain("tried.example", dmarc=["v=DMARC1; p=quarantine; t=y"]),
    **domain("strict.example", dmarc=["v=DMARC1; p=none; adkim=s; aspf=s"]),
    **domain("sub.strict.example", spf=[f"v=spf1 ip4:{HERE} -all"]),
    **domain("other.example", spf=[f"v=spf1 ip4:{HERE} -all"]),
    "revoked._domainkey.shop.example": {"TXT": ["v=DKIM1; p="]},
    "empty._domainkey.shop.example": {"A": ["192.0.2.1"]},
    "weak._domainkey.shop.example": {"TXT": [cut_off()]},
    "service._domainkey.shop.example": {"TXT": [SHOP.record + "; s=other"]},
    "sha1._domainkey.shop.example": {"TXT": [SHOP.record + "; h=sha1"]},
    "ed._domainkey.shop.example": {"TXT": [ed25519_record()]},
    "junk._domainkey.shop.example": {"TXT": ["v=DKIM1; p=***"]},
}


class Way(msgspec.Struct, frozen=True):
    """One message, how it comes, and what is answered. ``down`` are names that do not answer."""

    name: str
    content: bytes
    reason: str
    path: str | None = None
    client: Client = AWAY
    down: frozenset[str] = frozenset()


def by(author: str = "shop.example", **tags: str) -> bytes:
    """A signed letter, with tags as they should not be."""
    return craft(letter(domain=author), {"d": author, **tags})


def plain(author: str = "shop.example") -> bytes:
    return letter(domain=author)


def down(*names: str) -> frozenset[str]:
    return frozenset(names)


BROKEN = by()[:-3] + b"!\r\n"
HEADER = by().replace(b"Subject: Spring sale", b"Subject: Spring sold")
KEY = "s1._domainkey.shop.example"
WAYS = [
    # nothing is there to be proven by
    Way("no signature, no path", plain(), "dkim-missing"),
    Way("no signature, the path of another", plain(), "dkim-missing", "b@other.example", OURS),
    Way("another's signature", by(d="other.example"), "dkim-missing"),
    Way(
        "an unaligned path and signature",
        by(d="other.example"),
        "dkim-missing",
        "b@other.example",
        OURS,
    ),
    # a signature that does not hold
    Way("the body has changed", BROKEN, "dkim-failed"),
    Way("the header has changed", HEADER, "dkim-failed"),
    Way("no key", by(s="gone"), "dkim-failed"),
    Way("a name without a key", by(s="empty"), "dkim-failed"),
    Way("a key that was withdrawn", by(s="revoked"), "dkim-failed"),
    Way("a key that cannot be read", by(s="junk"), "dkim-failed"),
    Way("a key that is cut off", by(s="weak"), "dkim-failed"),
    Way("a key for something else", by(s="service"), "dkim-failed"),
    Way("a key for another hash", by(s="sha1"), "dkim-failed"),
    Way("a key of another sort", by(s="ed"), "dkim-failed"),
    Way("the hash of old", by(a="rsa-sha1"), "dkim-failed"),
    Way("its time is over", by(t="1000", x="2000"), "dkim-failed"),
    Way("it is of the future", by(t="99999999999"), "dkim-failed"),
    Way("a part of the body", by(l="3"), "dkim-failed"),
    Way("more than the body", by(l="3000"), "dkim-failed"),
    Way("From is not signed", by(h="to:subject"), "dkim-failed"),
    Way("no version", by(v="2"), "dkim-failed"),
    Way("an agent of another", by(i="@other.example"), "dkim-failed"),
    Way(
        "below, where the owner is strict",
        by("strict.example", d="sub.strict.example"),
        "sender-unproven",
    ),
    # a path that does not hold
    Way("the path fails", plain(), "spf-failed", "b@shop.example"),
    Way("the path fails softly", plain("soft.example"), "sender-unproven", "b@soft.example"),
    Way("the path says nothing", plain("neutral.example"), "sender-unproven", "b@neutral.example"),
    Way("its record is broken", plain("broken.example"), "sender-unproven", "b@broken.example"),
    Way("it has two records", plain("two.example"), "sender-unproven", "b@two.example"),
    Way("it asks for too much", plain("deep.example"), "sender-unproven", "b@deep.example"),
    Way("a null path", plain(), "dkim-missing", None, OURS),
    Way(
        "a path below, where the owner is strict",
        plain("strict.example"),
        "sender-unproven",
        "b@sub.strict.example",
        OURS,
    ),
    # what the owner asks for
    Way("refuse", plain("reject.example"), "dmarc-refused"),
    Way("refuse, below", plain("sub.reject.example"), "dmarc-refused"),
    Way("refuse, with a broken signature", by("reject.example", l="3"), "dmarc-refused"),
    Way("put aside", plain("quarantine.example"), "dmarc-refused"),
    Way("nothing", plain("none.example"), "dkim-missing"),
    Way("put aside, tried out", plain("tried.example"), "dkim-missing"),
    # who wrote it is not clear
    Way("no author", plain().replace(b"From:", b"Form:"), "author-ambiguous"),
    Way("two authors", b"From: a@other.example\r\n" + plain(), "author-ambiguous"),
    Way(
        "a list of authors",
        plain().replace(b"From: ", b"From: a@other.example, "),
        "author-ambiguous",
    ),
    # nobody answers
    Way("the key", by(), "lookup-failed", None, AWAY, down(KEY)),
    Way(
        "the path's record", plain(), "lookup-failed", "b@shop.example", OURS, down("shop.example")
    ),
    Way(
        "the policy, where it decides",
        by("shop.example", d="sub.shop.example", s="s1"),
        "lookup-failed",
        None,
        AWAY,
        down("s1._domainkey.sub.shop.example"),
    ),
    Way(
        "another's key",
        by(d="other.example"),
        "lookup-failed",
        None,
        AWAY,
        down("s1._domainkey.other.example"),
    ),
]


@pytest.mark.parametrize("way", [pytest.param(way, id=way.name) for way in WAYS])
async def test_the_reason_is_the_messages_own(way: Way, monkeypatch) -> None:
    async with open_house(PEOPLE) as house:
        house.clock.at = datetime.now(tz=UTC)  # what dkimpy signs has the time of the day
        house.zone.records = RECORDS
        house.zone.trouble = way.down
        # What is remembered of domains and vendors is so for whoever comes next.
        await house.send(way.content, "first@letterbox.example", sender=way.path, client=way.client)
        counting = Counting(house, monkeypatch)
        lines, work = {}, {}
        for to in TO:
            received = await house.send(
                way.content, f"{to}@letterbox.example", sender=way.path, client=way.client
            )
            told = received.outcomes[0].told
            lines[to] = told.line.replace(told.reference, "REF")
            work[to] = counting.taken()
        line = lines["nobody"]
        assert set(lines.values()) == {line}
        assert all(each == work["nobody"] for each in work.values()), work
        if way.reason == "lookup-failed":
            assert line.startswith("451 4.4.3 lookup-failed: ")
        else:
            assert line == (
                "550 5.7.1 not-accepted: This letterbox does not take the message "
                f"({way.reason}). https://letterbox.example/r/REF"
            )
        assert await house.inbox("friend") == []


CONTROLS: list[tuple[str, Callable[[], bytes], str | None, Client]] = [
    ("its own signature", by, None, AWAY),
    ("its own path", plain, "b@shop.example", OURS),
    ("one good signature of two", lambda: craft(by(), {"l": "3"}), None, AWAY),
]


@pytest.mark.parametrize(
    ("content", "path", "client"), [pytest.param(*each[1:], id=each[0]) for each in CONTROLS]
)
async def test_what_is_proven_comes_in(content, path, client) -> None:
    async with open_house(PEOPLE) as house:
        house.clock.at = datetime.now(tz=UTC)
        house.zone.records = RECORDS
        received = await house.send(
            content(), "friend@letterbox.example", sender=path, client=client
        )
        assert received.outcomes[0].told.reply == 250


def test_every_reason_of_the_proof_is_among_them() -> None:
    assert {way.reason for way in WAYS} == {
        "sender-unproven",
        "dkim-missing",
        "dkim-failed",
        "spf-failed",
        "dmarc-refused",
        "author-ambiguous",
        "lookup-failed",
    }
