"""Nobody gets in under another's name (``tests/cases/proof/composition.toml``).

Each case is a whole message, proven by the real prover with a real resolver against a name
server on loopback, then sent to the whole house over SMTP.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from letterbox.gateways.smtp.syntax import read_mailbox
from letterbox.identity import Prover
from letterbox.identity.key import by_key
from letterbox.model.address import Address, is_below
from letterbox.model.envelope import Client, Envelope
from letterbox.model.preferences import Vendor
from letterbox.model.sender import Proven, Stranger
from letterbox.reading.header import Author, author
from letterbox.reading.mail import split
from tests.support.nameserver import NameServer, resolving
from tests.support.plain import domains
from tests.support.proofs import Attack, Mailroom, attacks, landscape, mailroom

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MODULE = pytest.mark.asyncio(loop_scope="module")
EACH = pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.id)
KNOWN = "anna@letterbox.example"  # she allows legit.example whatever it sends


def test_the_table_is_whole():
    ids = [attack.id for attack in attacks()]
    assert len(ids) == len(set(ids))
    assert len([attack for attack in attacks() if not attack.honest]) >= 100
    # A17 is what the test of keys is about.
    published = {f"A{n}" for n in range(1, 19) if n != 17} | {"B1", "B2", "B3"}
    assert published <= set(ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prover() -> AsyncIterator[Prover]:
    async with resolving(NameServer(landscape())) as resolver:
        yield Prover(resolver, domains(), server="letterbox.example")


@MODULE
@EACH
async def test_proofs(prover: Prover, attack: Attack):
    envelope = Envelope(
        session="s",
        edge="smtp",
        client=Client(address=attack.address, helo=attack.helo),
        # A path that is none is refused at MAIL; here it is as if it had been taken for null.
        reverse_path=read_mailbox(attack.path) if attack.path else None,
        recipients=(Address(local="anna", domain="letterbox.example"),),
    )
    sender = (await prover.prove(split(attack.mail()), envelope, NOW)).sender
    if attack.proven:
        assert isinstance(sender, Proven), sender
        assert sender.domain == attack.expect
        # What is shown is what is proven.
        shown = author(split(attack.mail()))
        assert isinstance(shown, Author)
        assert shown.address == sender.author
        assert sender.author.domain == sender.domain
    else:
        assert isinstance(sender, Stranger), sender
        assert sender.why == attack.expect, sender.detail


@EACH
def test_a_key_is_no_leave_to_write_as_another(attack: Attack):
    """A17: whoever has shown a key of the attacker's writes as the attacker or not at all."""
    vendor = Vendor(id="attacker", name="Attacker", domains=("attacker.example",))
    sender = by_key(split(attack.mail()), vendor, "letterbox.example").sender
    if isinstance(sender, Proven):
        assert sender.author.domain == sender.domain
        assert is_below(sender.domain, "attacker.example")
    else:
        assert isinstance(sender, Stranger)
        assert sender.why in ("author-ambiguous", "author-not-yours")
        assert not (attack.proven and attack.expect.endswith("attacker.example"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room() -> AsyncIterator[Mailroom]:
    async with resolving(NameServer(landscape())) as resolver, mailroom(resolver) as room:
        yield room


@MODULE
@EACH
async def test_over_the_wire(room: Mailroom, attack: Attack):
    before = len(await room.house.inbox("anna"))
    replies = await room.send(
        attack.mail(), KNOWN, path=attack.path, helo=attack.helo, source=attack.address
    )
    assert replies[-1].startswith("250 " if attack.honest else "5"), replies
    assert len(await room.house.inbox("anna")) == before + attack.honest
