"""A whole broker in memory: fake clock, names from a table, everything else real."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from letterbox.adapters.memory import MemoryStore
from letterbox.adapters.sqlite import SqliteStore
from letterbox.app import AnyStore, App
from letterbox.gateways.smtp.syntax import read_mailbox
from letterbox.intake import Received, Submission
from letterbox.model.address import parse_address
from letterbox.model.configuration import Configuration
from letterbox.model.envelope import Client, Edge, Envelope
from letterbox.model.preferences import People, Preferences
from letterbox.ports.objects import Objects
from letterbox.records.bodies import OutsideBodies
from tests.support.clock import FakeClock
from tests.support.plain import shipment
from tests.support.signing import Signer, Zone, craft

HERE = "192.0.2.1"
SPF_HERE = {"TXT": [f"v=spf1 ip4:{HERE} -all"]}


class House:
    """A broker, and the few words tests need to talk to it."""

    def __init__(self, app: App, clock: FakeClock, zone: Zone) -> None:
        self.app = app
        self.clock = clock
        self.zone = zone

    async def people(self, text: str) -> None:
        """Declare vendors and consumers, in people-file form."""
        people = msgspec.toml.decode(text, type=People)
        for vendor in people.vendor:
            await self.app.vendors.replace(vendor)
        for consumer in people.consumer:
            fields = msgspec.structs.asdict(consumer)
            preferences = Preferences(**{k: v for k, v in fields.items() if k != "id"})
            await self.app.consumers.replace(
                consumer.id, preferences, expect=None, now=self.clock.now()
            )

    async def send(
        self,
        content: bytes,
        *to: str,
        sender: str | None = "bounces@greenleaf.example",
        edge: Edge = "smtp",
        client: Client | None = None,
        submission: Submission | None = None,
        **said: Any,
    ) -> Received:
        """Hand a message in, as a gateway does; ``said`` is more of the envelope."""
        recipients = tuple(address for each in to if (address := parse_address(each)))
        envelope = Envelope(
            session="test",
            edge=edge,
            client=client or Client(address=HERE, helo="mail.greenleaf.example"),
            reverse_path=read_mailbox(sender) if sender else None,
            recipients=recipients,
            **said,
        )
        return await self.app.intake.receive(envelope, content, submission)

    async def inbox(self, consumer: str) -> list[str]:
        """Subjects in a consumer's inbox, newest first."""
        page = await self.app.mailboxes.inbox(consumer, after=None, limit=100)
        return [entry.subject for entry in page.items]

    async def work(self) -> None:
        """Do all that is due or owed now."""
        while await self.app.worker.run_once():
            pass

    async def feed(self, vendor: str) -> list[Any]:
        """A vendor's events, oldest first."""
        await self.work()
        return list((await self.app.feed.page(vendor, after=0, limit=100)).items)


def mail(
    subject: str = "Spring sale",
    *,
    domain: str = "greenleaf.example",
    text: str = "Pruners and loppers.\r\n",
    number: int = 1,
    **headers: str,
) -> bytes:
    """A plain message; further header fields by name, ``_`` for ``-``."""
    fields = {
        "From": f"Shop <shop@{domain}>",
        "To": "anna@letterbox.example",
        "Subject": subject,
        "Date": "Mon, 23 Nov 2026 12:00:00 +0000",
        "Message-ID": f"<{number}@{domain}>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    header = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{header}\r\n{text}".encode()


def signed(content: bytes) -> bytes:
    """The message with a signature of greenleaf.example's, which says nothing of when."""
    names = "from:to:subject:date:message-id:list-id:letterbox-kind:letterbox-category"
    return craft(content, {"h": names})


@asynccontextmanager
async def open_house(
    people: str = "",
    *,
    configuration: Configuration | None = None,
    folder: Path | None = None,
    objects: Objects | None = None,
    clock: FakeClock | None = None,
    opened: AnyStore | None = None,
) -> AsyncIterator[House]:
    """A house whose vendors' domains (``*.example``) are proven by SPF from ``HERE``.

    With a ``folder`` the store is a file there; ``opened`` is one that goes by ``clock``; with
    ``objects`` bodies are kept outside of it.
    """
    clock = clock or FakeClock()
    store = opened or MemoryStore(clock)
    if folder is not None:
        store = await SqliteStore.open(folder / "store.db", clock, synchronous="OFF")
    signer = Signer(domain="greenleaf.example")
    zone = Zone(
        {
            "greenleaf.example": SPF_HERE,
            "voltshop.example": SPF_HERE,
            "other.example": SPF_HERE,
            **signer.records,
        }
    )
    app = App(
        configuration or Configuration(public_url="https://letterbox.example"),
        store=store,
        bodies=OutsideBodies(store, objects) if objects else store,
        clock=clock,
        resolver=zone,
        shipment=shipment(),
    )
    house = House(app, clock, zone)
    await house.people(people)
    try:
        yield house
    finally:
        await store.close()
