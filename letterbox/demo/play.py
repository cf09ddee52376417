"""Running the demonstration: real mail over SMTP, offers over HTTP, every answer printed."""

import asyncio
import signal
import smtplib
import socket
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import aiohttp
import msgspec

from letterbox import misconfigured
from letterbox.administration import Failed
from letterbox.app import App
from letterbox.demo.dns import DnsServer
from letterbox.demo.show import Document, Lines, Mailbox, Received, Row, Show, Visit, Waiting
from letterbox.demo.signing import Signer
from letterbox.demo.story import HOSTNAME, Scene, people, scenes, watchers, zone
from letterbox.model.configuration import Configuration, HttpSection, SmtpSection
from letterbox.records import places

_TIMEOUT = 30.0  # seconds for one message; far more than any needs


def _print(line: str) -> None:
    # At once: whoever reads it through a pipe watches it happen.
    print(line, flush=True)


class Answer(NamedTuple):
    """What the sender of one scene was told."""

    verdict: str
    reason: str | None
    told: str


class Vendor(NamedTuple):
    """What a vendor of the story has: an API key, and a signing key for its mail."""

    key: str
    signer: Signer


async def run(
    *,
    once: bool,
    json: bool = False,
    store: str | None = None,
    observe: bool = False,
    say: Callable[[str], None] = _print,
) -> int:
    """Run the story; stay up afterwards unless ``once``. Returns the exit code.

    ``json``: everything is said as one JSON document, once all of it was shown. ``store``: a
    store's URL, where it is not to be a file that goes with the demonstration; it must be empty,
    and keeps what was shown. ``observe``: the consumers
    have said nothing and only watch. Raises :class:`Failed` otherwise.
    """
    for mistake in misconfigured.store(store) if store else ():
        raise Failed(str(mistake))
    show = Document(say) if json else Lines(say)
    now = datetime.now(UTC)
    signers = {name: Signer(f"{name}.example") for name in ("greenleaf", "voltshop", "pagewise")}
    dns = DnsServer(zone())
    for signer in signers.values():
        name, text = signer.record
        dns.publish(name, "TXT", [text])
    resolver = await dns.start()
    try:
        with tempfile.TemporaryDirectory(prefix="letterbox-demo-") as folder:
            url = store or f"sqlite:{folder}/letterbox.db"
            async with App.open(_configuration(url, resolver)) as app:
                if await app.store.documents(places.DIRECTORY, "", limit=1):
                    raise Failed("the demonstration needs an empty store, and there are people")
                text = watchers() if observe else people(now)
                await _tell(app, now, text, signers, show=show, once=once)
    finally:
        await dns.close()
    return 0


def _configuration(store: str, resolver: str) -> Configuration:
    standard = Configuration()
    return msgspec.structs.replace(
        standard,
        hostname=HOSTNAME,
        http=HttpSection(listen=_free(standard.http.listen)),
        smtp=SmtpSection(listen=_free(standard.smtp.listen)),
        store=msgspec.structs.replace(standard.store, url=store),
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
    app: App, now: datetime, text: str, signers: dict[str, Signer], *, show: Show, once: bool
) -> None:
    file = {"name": "the demo's people file", "content": text.encode()}
    await app.administration.perform("apply", {"files": [file]})
    addresses = await app.start()
    try:
        vendors = {
            name: Vendor(await app.credentials.issue("key", name, now), signer)
            for name, signer in signers.items()
        }
        show.begin(addresses)
        story = _Story(addresses, vendors, now)
        async with aiohttp.ClientSession() as session:
            for number, scene in enumerate(scenes(now)):
                show.row(_row(scene, await story.play(session, number, scene)))
        mailboxes = (await _mailbox(app, "anna"), await _mailbox(app, "ben"))
        if once:
            show.end(mailboxes, None)
            return
        show.end(mailboxes, await _visit(app, addresses["http"], vendors, now))
        await _interrupted()
    finally:
        await app.stop()


def _row(scene: Scene, answer: Answer) -> Row:
    return Row(
        shows=scene.shows,
        edge=scene.edge,
        from_=scene.domain,
        to=scene.to,
        verdict=answer.verdict,
        reason=answer.reason,
        told=answer.told,
    )


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
        told = f"{response.status} {_said(reason) or result['verdict']}"
        return Answer(result["verdict"], reason.get("code"), told)


def _said(reason: Mapping[str, Any]) -> str:
    """What a reason tells, each thing once."""
    said: str = reason.get("detail") or reason.get("title") or ""
    for remedy in reason.get("remedies", ()):
        if remedy not in said:
            said = remedy if said in remedy else f"{said}; {remedy}"
    return said


def _of_reply(reply: str) -> Answer:
    code, _, text = reply.partition(" ")
    rest = text.partition(" ")[2]
    if code == "250":
        word = rest.split(" ", 1)[0]
        verdict = {"delivered": "deliver", "held": "hold"}.get(word, word)
        return Answer(verdict, None, reply)
    verdict = "defer" if code.startswith("4") else "refuse"
    return Answer(verdict, rest.partition(":")[0], reply)


async def _mailbox(app: App, consumer: str) -> Mailbox:
    inbox = await app.mailboxes.inbox(consumer, after=None, limit=100)
    held = await app.mailboxes.held(consumer, after=None, limit=100)
    return Mailbox(
        consumer=consumer,
        inbox=tuple(
            Received(vendor=entry.vendor.name, subject=entry.subject, interests=entry.interests)
            for entry in reversed(inbox.items)
        ),
        held=tuple(
            Waiting(vendor=row.vendor.name, subject=row.subject, until=row.until)
            for row in held.items
        ),
    )


async def _visit(app: App, http: str, vendors: dict[str, Vendor], now: datetime) -> Visit:
    base = f"http://{http}"
    pages = {
        "home": "/",
        "reasons": "/reasons",
        "decisions": "/v1/me/decisions",
        "feedback": "/v1/feedback",
    }
    tokens = {name: await app.credentials.issue("token", name, now) for name in ("anna", "ben")}
    keys = {name: vendor.key for name, vendor in vendors.items()}
    return Visit(links={name: base + path for name, path in pages.items()}, tokens=tokens | keys)


async def _interrupted() -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    await over.wait()
