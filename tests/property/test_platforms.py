"""An author is proven by way of a signature that its consumer trusts, and by no other."""

import asyncio
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterbox.model.envelope import Client
from letterbox.model.preferences import Preferences
from tests.support.house import mail, open_house
from tests.support.signing import Signer, craft

AUTHORS = ("katjes.example", "news.katjes.example", "other.example", "gmail.com")
SIGNERS = (
    "platform.example", "k1.platform.example", "xplatform.example", "k1.third.example",
    "hotmail.com", "co.uk",
)  # fmt: skip
WAYS = (
    "platform.example",
    "K1.platform.example.",
    "form.example",
    "example",
    "co.uk",
    "hotmail.com",
)
POLICIES = (None, "p=none", "p=quarantine", "p=reject", "p=none; sp=reject", "p=reject; t=y")
AWAY = Client(address="198.51.100.7", helo="mta.platform.example")
NAMES = "from:to:subject"


@cache
def field(author: str, signer: str, sound: bool) -> bytes:
    """A signature of the mail of an author; a broken one is of another mail."""
    content = mail(domain=author) if sound else mail("Another", domain=author)
    return craft(content, {"d": signer, "h": NAMES}).removesuffix(content)


signatures = st.lists(st.tuples(st.sampled_from(SIGNERS), st.booleans()), max_size=6)
rules = st.fixed_dictionaries(
    {"via": st.lists(st.sampled_from(WAYS), max_size=3)},
    optional={
        "standing": st.sampled_from(["allowed", "ask", "blocked"]),
        "until": st.sampled_from(["2026-11-22", "2026-11-23"]),
    },
)
sides = st.sampled_from([
    {"domain": "katjes.example"}, {"domain": "news.katjes.example"}, {"domain": "other.example"},
    {"address": "shop@gmail.com"}, {"address": "shop@katjes.example"},
])  # fmt: skip


def covers(name: str, above: str) -> bool:
    return name == above or name.endswith("." + above)


def trusted(author, signed, rule, policy) -> bool:
    """Whether a rule and the DNS allow it, worked out anew from what stands in the documents."""
    domain, address = rule.get("domain"), rule.get("address")
    meant = address == f"shop@{author}" or (domain is not None and covers(author, domain))
    # Of a reject that is tried out (t=y) a quarantine is left: RFC 9989, section 4.7.
    refuses = policy in {"p=reject", "p=quarantine", "p=reject; t=y"}
    refuses = refuses or (policy == "p=none; sp=reject" and author != "katjes.example")
    if refuses and covers(author, "katjes.example"):
        return False
    ways = {way.lower().rstrip(".") for way in rule["via"]}
    passed = [
        signer for signer, sound in signed[:5] if sound and signer not in {"hotmail.com", "co.uk"}
    ]
    in_force = rule.get("until", "2026-11-23") >= "2026-11-23"
    allowed = in_force and rule.get("standing") != "blocked"
    return meant and allowed and any(covers(s, way) for s in passed for way in ways)


async def _sound(*_: object) -> list[object]:
    return []


class Trials:
    """One house for all examples, and in it a consumer of its own for each."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.opening = open_house()
        self.house = self.runner.run(self.opening.__aenter__())
        # Preferences stand as they may stand in the store, whatever a check would say of them.
        self.house.app.consumers._checks.by_operator = _sound
        self.number = 0
        for signer in SIGNERS:
            self.house.zone.records |= Signer(domain=signer).records

    async def outcome(self, author, signed, rule, policy, newcomers) -> str:
        self.number += 1
        house, address = self.house, f"c{self.number}@letterbox.example"
        house.clock.advance(milliseconds=100)
        record = {"TXT": [f"v=DMARC1; {policy}"] if policy else []}
        house.zone.records["_dmarc.katjes.example"] = record
        preferences = msgspec.convert(
            {
                "addresses": [address],
                "newcomers": newcomers,
                "interest": [{"id": "all", "open_to": "anyone"}],
                "vendor": [{"scope": "everything", "accepts": ["offer", "personal"], **rule}],
            },
            Preferences,
        )
        await house.app.consumers.replace(
            f"c{self.number}", preferences, expect=None, now=house.clock.now()
        )
        content = b"".join(field(author, *each) for each in signed) + mail(domain=author)
        received = await house.send(content, address, sender=None, client=AWAY)
        return received.outcomes[0].told.line

    def close(self) -> None:
        self.runner.run(self.opening.__aexit__(None, None, None))
        self.runner.close()


@pytest.fixture(scope="module")
def trials():
    trials = Trials()
    yield trials
    trials.close()


@given(
    author=st.sampled_from(AUTHORS),
    signed=signatures,
    rule=st.tuples(rules, sides).map(lambda parts: parts[0] | parts[1]),
    policy=st.sampled_from(POLICIES),
    newcomers=st.sampled_from(["refuse", "ask", "interests"]),
)
def test_nothing_comes_in_but_by_a_way_that_is_trusted(
    trials, author, signed, rule, policy, newcomers
):
    line = trials.runner.run(trials.outcome(author, signed, rule, policy, newcomers))
    if trusted(author, signed, rule, policy):
        assert line.startswith("250 2.0.0 "), line
    else:
        assert line.startswith("550 5.7.1 not-accepted: "), line
