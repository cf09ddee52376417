"""Real mail of every kind, over the wire: one final reply each, and every byte kept."""

import asyncio

import msgspec
import pytest

from letterbox.app import App
from letterbox.model.configuration import (
    Configuration,
    HttpSection,
    ListenSection,
    SmtpSection,
    StoreSection,
    TrustedPeer,
)
from letterbox.model.preferences import Preferences, VendorRule
from letterbox.reading.header import Author, author
from letterbox.reading.mail import split, with_crlf
from tests.support.shared import real_mail, shared

BELIEVED = TrustedPeer(address="127.0.0.0/8", asserts="from")


def configuration(folder, *, believed: bool) -> Configuration:
    return Configuration(
        public_url="https://letterbox.example",
        http=HttpSection(listen=""),
        smtp=SmtpSection(listen="127.0.0.1:0", trusted_peers=(BELIEVED,) if believed else ()),
        lmtp=ListenSection(listen="127.0.0.1:0"),
        store=StoreSection(url=f"sqlite:{folder}/letterbox.db"),
    )


async def converse(address: str, lmtp: bool, to: str, content: bytes) -> list[bytes]:
    """One transaction, said at once where that is allowed; every reply line."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    hello = b"LHLO there.example\r\n" if lmtp else b"EHLO there.example\r\n"
    body = content if content.endswith(b"\r\n") else content + b"\r\n"
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    replies = []

    async def say(octets: bytes) -> bytes:
        writer.write(octets)
        while True:
            line = await asyncio.wait_for(reader.readline(), 20)
            if line[3:4] != b"-":
                replies.append(line)
                return line

    try:
        await say(b"")
        await say(hello)
        await say(b"MAIL FROM:<bounces@sender.example>\r\n")
        await say(b"RCPT TO:<%s>\r\n" % to.encode())
        assert (await say(b"DATA\r\n")).startswith(b"354 ")
        final = await say(stuffed + b".\r\n")
        writer.write(b"QUIT\r\n")
        rest = await asyncio.wait_for(reader.read(), 20)
        assert rest.startswith(b"221 "), (final, rest)
    finally:
        writer.close()
        await writer.wait_closed()
    return replies


@pytest.mark.parametrize("edge", ["smtp", "lmtp"])
async def test_every_real_mail_gets_one_reply_and_is_kept_byte_for_byte(tmp_path, edge):
    shared("mail")
    mails = [with_crlf(path.read_bytes()) for path in real_mail()]
    mails = [m if m.endswith(b"\r\n") else m + b"\r\n" for m in mails]
    assert len(mails) >= 60
    everybody = {str(a.address) for m in mails if isinstance(a := author(split(m)), Author)}
    wishes = Preferences(
        addresses=("anna@letterbox.example",),
        vendor=tuple(
            VendorRule(
                address=address,
                scope="everything",
                accepts=("service", "offer", "newsletter", "personal"),
            )
            for address in sorted(everybody)
        ),
    )
    kept = 0
    async with App.open(configuration(tmp_path, believed=True)) as app:
        wishes = msgspec.convert(msgspec.to_builtins(wishes), Preferences)
        await app.consumers.replace("anna", wishes, expect=None, now=app.clock.now())
        addresses = await app.start()
        try:
            for content in mails:
                replies = await converse(
                    addresses[edge], edge == "lmtp", "anna@letterbox.example", content
                )
                final = replies[-1]
                known = isinstance(author(split(content)), Author)
                assert final[:3] == (b"250" if known else b"550"), final
                kept += known
            page = await app.mailboxes.inbox("anna", after=None, limit=1000)
            bodies = {await app.mailboxes.body(entry.message) for entry in page.items}
        finally:
            await app.stop()
    assert kept == len(page.items)
    assert kept >= 50
    assert bodies <= set(mails)
    assert len(bodies) == len({m for m in mails if isinstance(author(split(m)), Author)})


async def test_nobody_unproven_gets_in(tmp_path):
    shared("mail")
    configured = configuration(tmp_path, believed=False)
    # No name of real mail is ever resolved: a resolver that nobody answers for.
    configured = msgspec.structs.replace(
        configured,
        dns=msgspec.structs.replace(configured.dns, servers=("127.0.0.1:1",), timeout=0.2),
    )
    async with App.open(configured) as app:
        addresses = await app.start()
        try:
            for path in real_mail()[::7]:
                replies = await converse(
                    addresses["smtp"],
                    False,
                    "anna@letterbox.example",
                    with_crlf(path.read_bytes()),
                )
                assert replies[-1][:10] in {b"451 4.4.3 ", b"550 5.7.1 "}, path
        finally:
            await app.stop()
