"""What a proof costs: CPU time for whole messages, the share of each part, dkimpy beside it.

python -m bench.prove
"""

import asyncio
import gc
import hashlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from logging import WARNING
from pathlib import Path
from statistics import median
from time import thread_time_ns

import dkim
import msgspec
import structlog

from letterbox.adapters.dns import DnsResolver
from letterbox.demo.dns import DnsServer
from letterbox.identity import Domains, Proof, Prover
from letterbox.identity.canon import Signable, canonical_body, relaxed_field
from letterbox.identity.dkim import Claim, Verified, read_signature
from letterbox.identity.dkim_key import read_key
from letterbox.identity.results import authentication_results
from letterbox.identity.spf import SpfRecords, check_path
from letterbox.model.address import Address
from letterbox.model.envelope import Client, Envelope
from letterbox.model.sender import Proven
from letterbox.reading.header import author
from letterbox.reading.mail import Mail, split
from tests.support.house import open_house
from tests.support.signing import Signer, Zone, craft, ed25519_record

ROUNDS = 500  # proofs of one message, of which the median is taken
BATCH = 20  # of one part, timed together: a part may take less than the clock's own time
RECIPIENTS = (1, 10, 100)
SENT = 20  # messages to each number of recipients
KB = 1024

_SERVER = "mx.letterbox.example"
_AUTHOR = "greenleaf.example"
_SHOP = Signer(domain=_AUTHOR)
_PLATFORM = Signer(domain="platform.example", selector="p1")
_NETWORKS = " ".join(f"ip4:198.51.{n}.0/24" for n in range(12))
_RECORDS = {
    **_SHOP.records,
    **_PLATFORM.records,
    f"ed._domainkey.{_AUTHOR}": {"TXT": [ed25519_record()]},
    # As shops have it: an office suite, and the platform that sends.
    _AUTHOR: {"TXT": ["v=spf1 include:office.example include:platform.example -all"]},
    "office.example": {"TXT": [f"v=spf1 {_NETWORKS} ~all"]},
    "platform.example": {"TXT": [f"v=spf1 {_NETWORKS} ip4:192.0.2.0/24 ~all"]},
    f"_dmarc.{_AUTHOR}": {"TXT": ["v=DMARC1; p=reject"]},
}
_ENVELOPE = Envelope(
    session="bench",
    edge="smtp",
    client=Client(address="192.0.2.1", helo="mta.platform.example"),
    reverse_path=Address(local="bounces", domain=_AUTHOR),
    recipients=(Address(local="anna", domain="letterbox.example"),),
)
_PROVIDERS = Path(__file__).parents[1] / "config" / "mailbox_providers.toml"
_HEADER = (
    f"From: Greenleaf Gardens <news@{_AUTHOR}>\r\nTo: anna@letterbox.example\r\n"
    "Subject: =?utf-8?Q?Autumn_is_for_planting:_bulbs,_bare_roots?=\r\n =?utf-8?Q?_and_more?=\r\n"
    f"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\nMessage-ID: <20261123.1@{_AUTHOR}>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\nFeedback-ID: 17:bulbs:platform\r\n"
    f"List-Unsubscribe: <https://{_AUTHOR}/u/7>, <mailto:u@{_AUTHOR}>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nReceived: from a.platform.example\r\n"
    " by b.platform.example with ESMTPS\r\n\tfor <anna@letterbox.example>;\r\n"
    "\tMon, 23 Nov 2026 11:00:00 +0000\r\n\r\n"
).encode()
# What a page from a newsletter editor is made of: nested tables, long styles, some indentation,
# cut into lines of 76 by quoted-printable.
_ROW = b"""\
<table role=3D"presentation" cellpadding=3D"0" cellspacing=3D"0" width=3D"1=\r
00%" style=3D"border-collapse:collapse;font-family:Arial,sans-serif;color:=\r
#333333">\r
  <tr>\r
    <td align=3D"left" style=3D"padding:10px 25px;word-break:break-word">=\r
<a href=3D"https://click.platform.example/c/7f3a9e/Zm9vYmFyYmF6cXV4/00127=\r
" target=3D"_blank">Tulip bulbs, 50 for =E2=82=AC 12.95 while they last</a=\r
></td> \r
  </tr>\r
</table>\r
"""
_SPACED = b"<td  \t class=3Da>  \tbulbs,\t\t 50  for  12.95 \t </td>  \t \r\n\t\t<br>  \r\n"


class Case(msgspec.Struct, frozen=True):
    """A signed message; ``nth``: the signature that dkimpy is shown, the one that proves most."""

    name: str
    raw: bytes
    nth: int = 0


def letter(size: int, row: bytes = _ROW) -> bytes:
    """An unsigned newsletter of about ``size`` octets."""
    return _HEADER + row * ((size - len(_HEADER)) // len(row))


def cases() -> list[Case]:
    """Everything that is measured; the first is what the others are compared with."""
    mail = letter(60 * KB)
    ours, other = _SHOP.field(mail), _PLATFORM.field(mail)
    ed25519 = craft(mail, {"s": "ed", "h": "from:to:subject:date:message-id"}, kind="ed25519")
    return [
        Case("60 KB, relaxed/relaxed, RSA-2048", ours + mail),
        Case("60 KB, simple/simple, RSA-2048", _SHOP.sign(mail, "simple/simple")),
        Case("60 KB, relaxed/relaxed, Ed25519", ed25519),
        Case("60 KB, two signatures, the author's first", ours + other + mail),
        Case("60 KB, two signatures, the author's second", other + ours + mail, nth=1),
        Case("60 KB, a platform's signature; SPF and DMARC prove", other + mail),
        Case("60 KB, full of double spaces and tabs", _SHOP.sign(letter(60 * KB, _SPACED))),
        Case("13 KB, relaxed/relaxed, RSA-2048", _SHOP.sign(letter(13 * KB))),
    ]


@asynccontextmanager
async def proving() -> AsyncIterator[tuple[Prover, DnsResolver]]:
    """A prover as the server has it; its resolver asks a name server on loopback."""
    server = DnsServer(_RECORDS, ttl=3600)
    resolver = DnsResolver([await server.start()])
    try:
        yield Prover(resolver, Domains(_PROVIDERS.read_bytes()), server=_SERVER), resolver
    finally:
        await resolver.close()
        await server.close()


async def microseconds(
    work: Callable[[], Awaitable[object]], rounds: int = ROUNDS, batch: int = 1
) -> float:
    """CPU time of this thread that ``work`` takes, at the median of ``rounds``."""
    taken = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            begun = thread_time_ns()
            for _ in range(batch):
                await work()
            taken.append(thread_time_ns() - begun)
    finally:
        gc.enable()
    return median(taken) / batch / 1000


async def part(work: Callable[[], object]) -> float:
    """The same for a part, many times in a row: it may take less than looking at the clock."""

    async def called() -> None:
        work()

    return await microseconds(called, rounds=ROUNDS // BATCH, batch=BATCH)


async def whole(prover: Prover, raw: bytes) -> float:
    """One proof, answers and keys cached."""
    mail, now = split(raw), datetime.now(UTC)
    proof = await prover.prove(mail, _ENVELOPE, now)
    if not isinstance(proof.sender, Proven):
        raise RuntimeError(f"the bench proves nothing: {proof}")  # noqa: TRY004 - no argument
    return await microseconds(lambda: prover.prove(mail, _ENVELOPE, now))


async def theirs(case: Case) -> float | None:
    """What dkimpy takes for one signature; None where it lacks what it needs for the kind."""
    keys = {name: types.get("TXT", [""])[0].encode() for name, types in _RECORDS.items()}

    def answer(name: bytes, **_: object) -> bytes | None:
        return keys.get(name.decode().removesuffix("."))

    async def verify() -> bool:
        return bool(dkim.DKIM(case.raw).verify(idx=case.nth, dnsfunc=answer))

    try:
        if not await verify():
            raise RuntimeError(f"dkimpy does not take what is signed here: {case.name}")
    except dkim.NaClNotFoundError:  # dkimpy without PyNaCl knows no Ed25519
        return None
    return await microseconds(verify, rounds=ROUNDS // BATCH)


async def parts(prover: Prover, resolver: DnsResolver, raw: bytes) -> list[tuple[str, float]]:
    """The parts of one proof; what is left of the whole is the last.

    Each part is done many times in a row, so that it finds all it needs in the processor's caches.
    In a whole proof it does not: what that costs is part of what is left.
    """
    mail, at = split(raw), split(raw).header.body_at
    fields = mail.all("dkim-signature")
    signature, key = read_signature(fields[0]), read_key(_SHOP.record.encode())
    names = (*signature.names, "from")
    bare = re.sub(rb"\bb=[^;]*$", b"b=", fields[0].raw)
    body = b"".join(canonical_body("relaxed", raw, at))

    def header() -> bytes:
        own = relaxed_field(bare).removesuffix(b"\r\n")
        return Signable(mail).header("relaxed", names) + own

    signed = header()
    digest = hashlib.sha256(signed).digest()
    if not key.verify(signature.signature, digest):
        raise RuntimeError("the parts that are measured do not make up a proof")
    client, path, read = _ENVELOPE.client, _ENVELOPE.reverse_path, SpfRecords().read
    zone = Zone(_RECORDS)
    spf = await check_path(zone, client, path, read)
    asked = [*zone.asked, (_SHOP.name, "TXT")]
    verified = [Verified(status="pass", domain=_AUTHOR, selector="s1")]

    async def ask() -> None:
        for name, record in asked:
            await resolver.ask(name, record)

    found = [
        ("From", await part(lambda: author(mail))),
        ("reading the signature", await part(
            lambda: Claim(fields[0]).read())),
        ("body canonicalisation", await part(lambda: list(canonical_body("relaxed", raw, at)))),
        ("SHA-256", await part(lambda: hashlib.sha256(body).digest())),
        ("header canonicalisation", await part(header)),
        ("RSA-2048", await part(lambda: key.verify(signature.signature, digest))),
        (f"SPF, {len(zone.asked)} records", await microseconds(
            lambda: check_path(zone, client, path, read), ROUNDS // BATCH, BATCH)),
        (f"resolver, {len(asked)} answers kept", await microseconds(ask, ROUNDS // BATCH, BATCH)),
        ("results", await part(lambda: authentication_results(_SERVER, spf, verified))),
    ]  # fmt: skip
    left = await whole(prover, raw) - sum(taken for _, taken in found)
    return [*found, ("the decision, and caches gone cold", left)]


async def recipients(count: int) -> tuple[int, float]:
    """Proofs made for one message to so many recipients over LMTP, and what they take of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(WARNING))
    people = "\n".join(
        f'[[consumer]]\nid = "c{n}"\naddresses = ["c{n}@letterbox.example"]\n'
        f'[[consumer.vendor]]\ndomain = "{_AUTHOR}"\n'
        for n in range(count)
    )
    to = [f"c{n}@letterbox.example" for n in range(count)]
    mail = letter(60 * KB)
    proofs: list[int] = []
    async with open_house(people) as house:
        house.zone.records |= _RECORDS
        prove = house.app.prover.prove

        async def counted(mail: Mail, envelope: Envelope, now: datetime) -> Proof:
            begun = thread_time_ns()
            proof = await prove(mail, envelope, now)
            proofs.append(thread_time_ns() - begun)
            return proof

        house.app.prover.prove = counted  # type: ignore[method-assign]
        for n in range(SENT):
            other = mail.replace(b"<20261123.1@", b"<%d@" % n)
            # dkimpy signs with the time of the day, which is not the house's.
            await house.send(craft(other, {"h": "from:to:subject:message-id"}), *to, edge="lmtp")
    return round(len(proofs) / SENT), median(proofs) / 1000


async def _tables() -> str:
    all_ = cases()
    async with proving() as (prover, resolver):
        shares = await parts(prover, resolver, all_[0].raw)
        taken = [(case, await whole(prover, case.raw), await theirs(case)) for case in all_]
    total, first = sum(each for _, each in shares), taken[0][1]
    lines = ["| one proof | us | of dkimpy | of the first |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {case.name} | {us:,.0f} | {f'{us / other:.2f}' if other else ''} | {us / first:.2f} |"
        for case, us, other in taken
    ]
    lines += ["", "| the first by parts | us | share |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {us:,.1f} | {us / total:.0%} |" for name, us in shares]
    header = await part(partial(split, all_[0].raw))
    lines += ["", f"Before it the header is split once for all who read the mail: {header:.1f} us."]
    for count in RECIPIENTS:
        proofs, us = await recipients(count)
        lines.append(f"- to {count} over LMTP: proofs: {proofs}, {us:,.0f} us of CPU in all")
    return "\n".join(lines)


def table() -> str:
    """What whole proofs take, the parts of one, and proofs for many recipients."""
    return asyncio.run(_tables())


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
