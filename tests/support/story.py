"""The demonstration's story, told to its people as they only watch; real SMTP and HTTP, a clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import msgspec

from letterbox.app import App
from letterbox.demo.dns import DnsServer
from letterbox.demo.play import Answer, Vendor, _Story
from letterbox.demo.signing import Signer
from letterbox.demo.story import HOSTNAME, people, scenes, watchers, zone
from letterbox.model.configuration import (
    Configuration,
    DnsSection,
    HttpSection,
    SmtpSection,
    StoreSection,
)
from letterbox.model.preferences import People, Preferences
from tests.support.clock import FakeClock
from tests.support.house import House
from tests.support.signing import Zone

_HERE = "127.0.0.1:0"


class Told(NamedTuple):
    """The broker after the story, and what each scene's sender was told."""

    app: App
    addresses: dict[str, str]
    clock: FakeClock
    answers: list[Answer]

    def by_hand(self, consumer: str) -> Preferences:
        """What a consumer of the demonstration has written by hand."""
        read = msgspec.toml.decode(people(self.clock.now()), type=People)
        (found,) = (each for each in read.consumer if each.id == consumer)
        fields = msgspec.structs.asdict(found)
        return Preferences(**{name: value for name, value in fields.items() if name != "id"})

    @property
    def house(self) -> House:
        """The same, as a house whose doors are open."""
        return House(self.app, self.clock, Zone({}))

    async def now(self, consumer: str) -> Preferences:
        """What a consumer has declared."""
        stored = await self.app.consumers.stored(consumer)
        assert stored is not None
        return stored.preferences

    async def open(self, consumer: str, *subjects: str) -> None:
        """Open some messages of the inbox."""
        inbox = await self.app.mailboxes.inbox(consumer, after=None, limit=100)
        entries = {entry.subject: entry.id for entry in inbox.items}
        for subject in subjects:
            await self.app.mailboxes.mark(consumer, entries[subject], read=True, archived=None)


@asynccontextmanager
async def told_to_watchers() -> AsyncIterator[Told]:
    """Everything that the demonstration sends, to people who have said nothing yet."""
    # What signs the mail looks at the real one.
    clock = FakeClock(datetime.now(UTC))
    signers = {name: Signer(f"{name}.example") for name in ("greenleaf", "voltshop", "pagewise")}
    dns = DnsServer(zone())
    for signer in signers.values():
        name, text = signer.record
        dns.publish(name, "TXT", [text])
    resolver = await dns.start()
    configuration = Configuration(
        hostname=HOSTNAME,
        http=HttpSection(listen=_HERE),
        smtp=SmtpSection(listen=_HERE),
        store=StoreSection(url="memory:"),
        dns=DnsSection(servers=(resolver,)),
    )
    try:
        async with App.open(configuration, clock=clock) as app:
            file = {"name": "people.toml", "content": watchers().encode()}
            await app.administration.perform("apply", {"files": [file]})
            addresses = await app.start()
            try:
                vendors = {
                    name: Vendor(await app.credentials.issue("key", name, clock.now()), signer)
                    for name, signer in signers.items()
                }
                story = _Story(addresses, vendors, clock.now())
                async with aiohttp.ClientSession() as session:
                    answers = []
                    for number, scene in enumerate(scenes(clock.now())):
                        answers.append(await story.play(session, number, scene))
                        clock.advance(seconds=1)
                yield Told(app, addresses, clock, answers)
            finally:
                await app.stop()
    finally:
        await dns.close()
