"""However a header is put together, nobody is proven whom another reader might not see there."""

import asyncio
import email
import email.policy
from datetime import UTC, datetime
from email.utils import getaddresses

from hypothesis import given, settings
from hypothesis import strategies as st

from letterbox.identity import Prover
from letterbox.model.address import Address, is_below
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven
from letterbox.reading.mail import split
from tests.support.plain import domains
from tests.support.proofs import ATTACKER, landscape
from tests.support.signing import Zone, craft

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ENVELOPE = Envelope(
    session="s",
    edge="smtp",
    client=Client(address=ATTACKER, helo="attacker.example"),
    reverse_path=Address(local="any", domain="attacker.example"),
    recipients=(Address(local="anna", domain="letterbox.example"),),
)
THEIRS, MINE = "admin@legit.example", "any@attacker.example"

PIECES = st.sampled_from(
    [
        *(THEIRS, MINE, f"<{THEIRS}>", f"<{MINE}>", f'"{THEIRS}"', f"({THEIRS})", "<", ">", '"'),
        *("(", ")", ",", ";", ":", "\\", "@", " ", "\t", "\r\n ", ".", "\0", "\x0b", "\u2000"),
        *("Legit", "=?utf-8?q?admin=40legit.example?=", "=?utf-8?b?PGFkbWluQGxlZ2l0LmV4YW1wbGU+?="),
        *(
            "@legit.example",
            "@attacker.example",
            "admin",
            "。",
            "\uff20",
            "\r",
            "\n",
            "'",
            "%",
            "!",
        ),
    ]
)
SOME = st.lists(PIECES, max_size=2).map("".join)
VALUES = st.one_of(
    st.lists(PIECES, max_size=6).map("".join),
    st.tuples(SOME, st.sampled_from([MINE, f"<{MINE}>"]), SOME).map("".join),
)
NAMES = st.sampled_from(
    ["From", "from", "From ", " From", "From\t", "From\r\n ", "From\x0b", "From\0", "Sender", "X"]
)
LINES = st.one_of(
    VALUES.map(lambda value: [f"From: {value}"]),
    st.lists(st.tuples(NAMES, VALUES).map(": ".join), min_size=1, max_size=3),
)


def attempt(lines: list[str]) -> bytes:
    """The mail, signed by the attacker with whatever of From a signature can cover."""
    text = "".join(f"{line}\r\n" for line in (*lines, "To: anna@letterbox.example", "Subject: x"))
    raw = f"{text}\r\nHello.\r\n".encode()
    return craft(raw, {"d": "attacker.example", "h": "from:from:from:to:subject"}, bits=1024)


def seen_by_another(raw: bytes) -> list[str]:
    """The authors that Python's own reader sees, in every From it takes for one."""
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    values = [str(value) for value in message.get_all("from", [])]
    return [address for _, address in getaddresses(values)]


@settings(max_examples=1000)
@given(LINES)
def test_whoever_is_proven_is_the_one_author_there_is(lines: list[str]) -> None:
    raw = attempt(lines)
    prover = Prover(Zone(landscape()), domains(), server="letterbox.example")
    sender = asyncio.run(prover.prove(split(raw), ENVELOPE, NOW)).sender
    if isinstance(sender, Proven):
        assert is_below(sender.domain, "attacker.example")
        assert sender.author.domain == sender.domain
        seen = seen_by_another(raw)
        assert not any(address.lower().endswith("@legit.example") for address in seen), seen
