"""DMARC's table (``tests/cases/proof/dmarc.toml``), asked of a name server that counts."""

import pytest

from letterbox.identity.dmarc import Dmarc
from letterbox.ports.resolver import ResolverTrouble
from tests.support.nameserver import NameServer, resolving
from tests.support.plain import domains
from tests.support.proofs import DmarcCase, dmarc_cases

MOST = 8  # questions of one walk, RFC 9989 section 4.10


def served(case: DmarcCase) -> NameServer:
    zone = {f"_dmarc.{name}": {"TXT": texts} for name, texts in case.records.items()}
    return NameServer(zone | {name: {"A": ["192.0.2.1"]} for name in case.there})


def policies(server: NameServer) -> list[str]:
    """The domains whose records were asked for."""
    return [name.removeprefix("_dmarc.") for name, _ in server.asked if name.startswith("_dmarc.")]


def test_the_table_is_whole():
    cases = dmarc_cases()
    assert len(cases) >= 50
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("case", dmarc_cases(), ids=lambda case: case.name)
async def test_organizational_domains(case):
    server = served(case)
    async with resolving(server) as resolver:
        home = await Dmarc(resolver, domains(), case.author).organizational(case.author)
    assert home == case.home
    asked = policies(server)
    assert len(asked) == len(set(asked)) <= MOST
    if case.asked:
        assert tuple(asked) == case.asked


@pytest.mark.parametrize("case", dmarc_cases(), ids=lambda case: case.name)
async def test_wishes(case):
    server = served(case)
    async with resolving(server) as resolver:
        assert await Dmarc(resolver, domains(), case.author).wish() == (case.wish or None)
    assert len(policies(server)) <= MOST
    # Whether a domain is there is asked where np makes a difference, and once.
    assert len(server.asked) - len(policies(server)) <= 1


@pytest.mark.parametrize("case", dmarc_cases(), ids=lambda case: case.name)
async def test_alignment(case):
    async with resolving(served(case)) as resolver:
        for by, names, wanted in (
            ("dkim", (case.author, *case.dkim), True),
            ("spf", (case.author, *case.spf), True),
            ("dkim", case.not_dkim, False),
            ("spf", case.not_spf, False),
        ):
            for name in names:
                dmarc = Dmarc(resolver, domains(), case.author)
                assert await dmarc.aligned(name, by) is wanted, (by, name)


@pytest.mark.parametrize("labels", [1, 7, 8, 9, 60])
async def test_work_is_bounded_whatever_is_asked(labels):
    """Two walks, for the author and one signer; all that is said of the author comes from them."""
    deep = "x." * labels
    server = NameServer({})
    async with resolving(server) as resolver:
        dmarc = Dmarc(resolver, domains(), f"{deep}shop.example")
        await dmarc.aligned(f"{deep}y.shop.example", "dkim")
        await dmarc.wish()
    asked = policies(server)
    assert len(asked) == len(set(asked)) <= 2 * MOST


@pytest.mark.parametrize("mode", ["servfail", "refused", "silent", "lying", "garbage"])
async def test_trouble_on_the_way_is_no_answer(mode):
    """What a parent asks for must not take the place of what could not be read."""
    server = NameServer({"_dmarc.shop.example": {"TXT": ["v=DMARC1; p=none"]}})
    server.behave(mode, "_dmarc.news.shop.example")
    async with resolving(server, patience=0.2) as resolver:
        dmarc = Dmarc(resolver, domains(), "news.shop.example")
        with pytest.raises(ResolverTrouble):
            await dmarc.wish()
        with pytest.raises(ResolverTrouble):
            await dmarc.aligned("shop.example", "dkim")
