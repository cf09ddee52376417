"""Everything there is about a consumer, section by section and page by page: plain data."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from letterbox.administration.taking import plain
from letterbox.model.channel import Channel
from letterbox.model.verdict import name_of, outcome_of, reason_of
from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records import places
from letterbox.records.activity import ActivityLog
from letterbox.records.channels import Channels
from letterbox.records.coding import decode
from letterbox.records.consumers import Consumers
from letterbox.records.credentials import Credentials
from letterbox.records.destinations import Destinations
from letterbox.records.digests import Standing
from letterbox.records.imports import imported_of
from letterbox.records.mailboxes import Mailboxes
from letterbox.records.objections import Objections
from letterbox.records.requests import RequestList
from letterbox.records.sessions import Owner, Sessions
from letterbox.records.strangers import StrangerCounts

Section = Literal[
    "preferences",
    "history",
    "inbox",
    "held",
    "decisions",
    "activity",
    "requests",
    "import",
    "objections",
    "strangers",
    "tokens",
    "sessions",
    "destinations",
    "channels",
    "digest",
    "messages",
]
SECTIONS: Final[tuple[Section, ...]] = get_args(Section)
_PAGE: Final = 500
#: Messages may be large: so few of them at once.
_MESSAGES: Final = 10


class Rows(NamedTuple):
    """One page of a section. ``after`` is where the next one begins; None at the end."""

    items: Any
    after: str | None = None


class Exporting:
    """Reads what there is. Secrets are in none of it: of credentials only what is public."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        consumers: Consumers,
        mailboxes: Mailboxes,
        credentials: Credentials,
        sessions: Sessions,
        destinations: Destinations,
        channels: Channels,
        strangers: StrangerCounts,
    ) -> None:
        self._clock = clock
        self._consumers = consumers
        self._mailboxes = mailboxes
        self._credentials = credentials
        self._sessions = sessions
        self._destinations = destinations
        self._channels = channels
        self._store = store
        self._strangers = strangers
        self._activity = ActivityLog(store)
        self._requests = RequestList(store)
        self._objections = Objections(store)

    async def page(self, name: str, section: Section, after: str | None = None) -> Rows:
        """One page of one section. ``messages`` are what the inbox holds, as received, base64."""
        match section:
            case "preferences":
                stored = await self._consumers.stored(name)
                return Rows(plain(stored.preferences) if stored else {})
            case "history":
                return Rows(plain(await self._consumers.history(name)))
            case "inbox":
                inbox = await self._mailboxes.inbox(name, after=after, limit=_PAGE)
                return Rows(plain(inbox.items), inbox.after)
            case "held":
                held = await self._mailboxes.held(name, after=after, limit=_PAGE)
                return Rows(plain(held.items), held.after)
            case "decisions":
                decisions = await self._mailboxes.decisions(name, after=after, limit=_PAGE)
                items = [
                    plain(row)
                    | {"verdict": name_of(row.verdict), "reason": reason_of(row.verdict)}
                    | {"would": plain(outcome_of(row.would)) if row.would else None}
                    for row in decisions.items
                ]
                return Rows(items, decisions.after)
            case "activity":
                entries = await self._activity.entries(name, after=after, limit=_PAGE)
                return Rows(plain(entries.items), entries.after)
            case "requests":
                asked_for = await self._requests.page(name, after=after, limit=_PAGE)
                return Rows(plain(asked_for.items), asked_for.after)
            case "messages" | "objections":
                read = self._messages if section == "messages" else self._objected
                return await read(name, after)
            case _:
                return Rows(await self._at_once(name, section))

    async def _at_once(self, name: str, section: Section) -> Any:
        """A section that is one page."""
        match section:
            case "import":
                imported = await imported_of(self._store, name)
                found = imported.found if imported else {}
                return [{"id": key, **plain(each)} for key, each in found.items()]
            case "strangers":
                return plain(await self._strangers.of(name, self._clock.now()))
            case "tokens":
                return await self._credentials.prefixes("token", name)
            case "destinations":
                return plain(await self._destinations.listed(name))
            case "channels":
                return [_shown(each) for each in await self._channels.listed(name)]
            case "digest":
                document = await self._store.get(places.consumer(name), places.DIGEST)
                return [plain(decode(document.value, Standing))] if document else []
            case _:
                rows = await self._sessions.listed(Owner("consumer", name))
                return [_without_secret(plain(row)) for row in rows]

    async def _messages(self, name: str, after: str | None) -> Rows:
        inbox = await self._mailboxes.inbox(name, after=after, limit=_MESSAGES)
        items = []
        for entry in inbox.items:
            body = await self._mailboxes.body(entry.message)
            if body is not None:
                items.append({"id": entry.id, "raw": b64encode(body).decode()})
        return Rows(items, inbox.after)

    async def _objected(self, name: str, after: str | None) -> Rows:
        """Each with what came in spite of it, and the message that is kept for it, base64."""
        page = await self._objections.page(name, after=after, limit=_MESSAGES)
        items = []
        for objection in page.items:
            body = await self._mailboxes.body(objection.message)
            came = await self._objections.breaches(name, objection.id)
            raw = {"raw": b64encode(body).decode()} if body is not None else {}
            items.append(plain(objection) | {"came": plain(came)} | raw)
        return Rows(items, page.after)

    async def document(self, name: str) -> AsyncIterator[bytes]:
        """All sections as one JSON document, piece by piece."""
        yield b'{"consumer":' + msgspec.json.encode(name)
        for section in SECTIONS:
            yield b',\n"%s":' % section.encode()
            rows = await self.page(name, section)
            if not isinstance(rows.items, list | tuple):
                yield msgspec.json.encode(rows.items)
                continue
            yield b"["
            first = True
            while True:
                for item in rows.items:
                    yield (b"\n" if first else b",\n") + msgspec.json.encode(item)
                    first = False
                if rows.after is None:
                    break
                rows = await self.page(name, section, rows.after)
            yield b"]"
        yield b"}\n"


def _shown(channel: Channel) -> dict[str, Any]:
    """A channel without what opens it."""
    secret = {"secret", "token", "key", "auth"}
    return {name: value for name, value in plain(channel).items() if name not in secret}


def _without_secret(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "digest"}
