"""Running the demonstration: real mail over SMTP, offers over HTTP, every answer printed."""

import asyncio
import signal
import smtplib
import socket
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from letterbox.app import App
from letterbox.demo.dns import DnsServer
from letterbox.demo.signing import Signer
from letterbox.demo.story import HOSTNAME, Scene, people, scenes, zone
from letterbox.model.configuration import Configuration, HttpSection, SmtpSection
from letterbox.records.mailboxes import Mailboxes

_TIMEOUT = 30.0  # seconds for one message; far more than any needs
_WIDTHS = (5, 18, 7, 8, 22)


class Answer(NamedTuple):
    """What the sender of one scene was told."""

    verdict: str
    reason: str
    told: str


class Vendor(NamedTuple):
    """What a vendor of the story has: an API key, and a signing key for its mail."""

    key: str
    signer: Signer


async def run(*, once: bool, say: Callable[[str], None] = print) -> int:
    """Run the story; stay up afterwards unless ``once``. Returns the exit code."""
    now = datetime.now(UTC)
    signers = {name: Signer(f"{name}.example") for name in ("greenleaf", "voltshop", "pagewise")}
    dns = DnsServer(zone())
    for signer in signers.values():
        name, text = signer.record
        dns.publish(name, "TXT", [text])
    resolver = await dns.start()
    try:
        with tempfile.TemporaryDirectory(prefix="letterbox-demo-") as folder:
            async with App.open(_configuration(Path(folder), resolver)) as app:
                await _tell(app, now, signers, say=say, once=once)
    finally:
        await dns.close()
    return 0


def _configuration(folder: Path, resolver: str) -> Configuration:
    standard = Configuration()
    return msgspec.structs.replace(
        standard,
        hostname=HOSTNAME,
        http=HttpSection(listen=_free(standard.http.listen)),
        smtp=SmtpSection(listen=_free(standard.smtp.listen)),
        store=msgspec.structs.replace(standard.store, url=f"sqlite:{folder}/letterbox.db"),
        dns=msgspec.structs.replace(standard.dns, servers=(resolver,)),
    )


def _free(listen: str) -> str:
    """The address itself, or a free port of its host where it is taken."""
    host, _, port = listen.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return f"{host}:0"
    return listen


async def _tell(
    app: App,
    now: datetime,
    signers: dict[str, Signer],
    *,
    say: Callable[[str], None],
    once: bool,
) -> None:
    file = {"name": "the demo's people file", "content": people(now).encode()}
    await app.administration.perform("apply", {"files": [file]})
    addresses = await app.start()
    try:
        vendors = {
            name: Vendor(await app.credentials.issue("key", name, now), signer)
            for name, signer in signers.items()
        }
        say(f"letterbox listens: SMTP {addresses['smtp']}, HTTP http://{addresses['http']}")
        say("Anna wants garden tools up to 150 euro; Ben wants Sonorelle and novels.")
        say("")
        say(_line("edge", "from", "to", "verdict", "reason", "what the sender was told"))
        story = _Story(addresses, vendors, now)
        async with aiohttp.ClientSession() as session:
            for number, scene in enumerate(scenes(now)):
                answer = await story.play(session, number, scene)
                say("")
                say(f"# {scene.shows}")
                say(
                    _line(
                        scene.edge,
                        scene.domain,
                        scene.to,
                        answer.verdict,
                        answer.reason,
                        answer.told,
                    )
                )
        say("")
        for consumer in ("anna", "ben"):
            await _say_mailbox(app.mailboxes, consumer, say)
        if not once:
            await _stay(app, addresses, vendors, now, say)
    finally:
        await app.stop()


def _line(*columns: str) -> str:
    *fixed, last = columns
    padded = [text.ljust(width) for text, width in zip(fixed, _WIDTHS, strict=True)]
    return " ".join([*padded, last])


class _Story:
    """Plays scenes: as a mail server, or as a program with an API key."""

    def __init__(
        self, addresses: dict[str, str], vendors: dict[str, Vendor], now: datetime
    ) -> None:
        self._addresses = addresses
        self._vendors = vendors
        self._now = now

    async def play(self, session: aiohttp.ClientSession, number: int, scene: Scene) -> Answer:
        if scene.edge == "http":
            return await self._post(session, scene)
        mail = scene.mail(self._now, number)
        signer = self._vendors.get(scene.signed_by or scene.vendor)
        if signer:
            mail = signer.signer.sign(mail)
        reply = await asyncio.to_thread(self._send, scene, mail)
        return _of_reply(reply)

    def _send(self, scene: Scene, mail: bytes) -> str:
        """One SMTP transaction; returns the reply that decided."""
        host, _, port = self._addresses["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=_TIMEOUT) as client:
            client.ehlo(f"mail.{scene.domain}")
            for code, text in (
                client.mail(f"bounces@{scene.domain}"),
                client.rcpt(scene.recipient),
                client.data(mail),
            ):
                reply = f"{code} {text.decode()}"
                if code >= 400:  # noqa: PLR2004 - RFC 5321: 4yz and 5yz refuse
                    break
        return reply

    async def _post(self, session: aiohttp.ClientSession, scene: Scene) -> Answer:
        async with session.post(
            f"http://{self._addresses['http']}/v1/messages",
            json=scene.post(),
            headers={"Authorization": f"Bearer {self._vendors[scene.vendor].key}"},
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
        ) as response:
            answer: dict[str, Any] = await response.json()
        (result,) = answer["results"]
        reason = result.get("reason") or {}
        told = reason.get("detail") or reason.get("title") or result["verdict"]
        for remedy in reason.get("remedies", ()):
            told += f" [{remedy}]"
        return Answer(result["verdict"], reason.get("code", "-"), f"{response.status} {told}")


def _of_reply(reply: str) -> Answer:
    code, _, text = reply.partition(" ")
    rest = text.partition(" ")[2]
    if code == "250":
        word = rest.split(" ", 1)[0]
        verdict = {"delivered": "deliver", "held": "hold"}.get(word, word)
        return Answer(verdict, "-", reply)
    verdict = "defer" if code.startswith("4") else "refuse"
    return Answer(verdict, rest.partition(":")[0], reply)


async def _say_mailbox(mailboxes: Mailboxes, consumer: str, say: Callable[[str], None]) -> None:
    inbox = await mailboxes.inbox(consumer, after=None, limit=100)
    held = await mailboxes.held(consumer, after=None, limit=100)
    say(f"{consumer}'s inbox:")
    for entry in reversed(inbox.items):
        because = f" (because of {', '.join(entry.interests)})" if entry.interests else ""
        say(f"  {entry.vendor.name}: {entry.subject}{because}")
    for waiting in held.items:
        say(f"  waits until {waiting.until:%A %H:%M} UTC: {waiting.vendor.name}: {waiting.subject}")


async def _stay(
    app: App,
    addresses: dict[str, str],
    vendors: dict[str, Vendor],
    now: datetime,
    say: Callable[[str], None],
) -> None:
    token = await app.credentials.issue("token", "anna", now)
    base = f"http://{addresses['http']}"
    say("")
    say("Still running; Ctrl-C ends it. As Anna:")
    say(f"  curl -s -H 'Authorization: Bearer {token}' {base}/v1/me/decisions")
    say("As the vendor Greenleaf:")
    say(f"  curl -s -H 'Authorization: Bearer {vendors['greenleaf'].key}' {base}/v1/feedback")
    say(f"In a browser: {base}/ and {base}/reasons")
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()
