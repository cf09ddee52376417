"""What people do with their letterbox every day, done by the operator for them.

The same parts do it as behind the pages and the API: limits that hold for a consumer, such as
letters a day, hold for the operator's word.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.administration.taking import Answer, Arguments, Command, plain, taking
from letterbox.administration.unknown import unknown
from letterbox.delivery.notifier import BadChannel, Notifier
from letterbox.delivery.objecting import Objecting
from letterbox.feedback.webhooks import shown
from letterbox.model.channel import Channel
from letterbox.model.destination import Destination
from letterbox.model.preferences import Because, Expecting
from letterbox.model.webhook import SigningKey
from letterbox.ports.clock import Clock
from letterbox.records.channels import MOST as MOST_CHANNELS
from letterbox.records.channels import Channels
from letterbox.records.channels import TooMany as TooManyChannels
from letterbox.records.consumers import Conflict, Consumers, Refused
from letterbox.records.destinations import MOST as MOST_MAILBOXES
from letterbox.records.destinations import AskedEnough, Destinations, Unfit
from letterbox.records.destinations import TooMany as TooManyMailboxes
from letterbox.records.mailboxes import Mailboxes
from letterbox.starting.expecting import LASTS, LONGEST, Expectations, NotThere
from letterbox.wishes.expecting import key_of

_HOUR: Final = timedelta(hours=1)
#: As among the preferences (:data:`letterbox.model.preferences.Word`).
_LONGEST_NAME: Final = 200


class Whose(Arguments, frozen=True):
    """A consumer."""

    consumer: str


class Expect(Whose, frozen=True):
    """What is expected: opened (``domain``, ``address``), kept or ended; else only listed.

    ``domain`` is a vendor's, or its id; ``keep`` and ``end`` name what is listed.
    """

    domain: str | None = None
    address: bool = False
    hours: int | None = None
    keep: str | None = None
    end: str | None = None


class AtAddress(Whose, frozen=True):
    """A mailbox, by its address; where there is one already by its id, too."""

    address: str


class NewChannel(Whose, frozen=True):
    """A channel by its URL. Browsers add themselves."""

    kind: Literal["webhook", "ntfy"]
    url: str
    label: str = ""


class OfId(Whose, frozen=True):
    """A channel, by id."""

    id: str


class ObjectTo(Whose, frozen=True):
    """A message of the inbox, why, and whether its sender's service mail goes on."""

    entry: str
    because: Because = "other"
    service: bool = True


class House(Protocol):
    """What the commands rest on (:class:`letterbox.broker.Broker`)."""

    clock: Clock
    consumers: Consumers
    mailboxes: Mailboxes
    expectations: Expectations
    destinations: Destinations
    channels: Channels
    notifier: Notifier
    objecting: Objecting


class EverydayCommands:
    """``expecting``, ``destinations``, ``channels`` and ``object``."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._destinations, self._channels = house.destinations, house.channels
        self.table: Mapping[str, Command] = {
            "expecting": taking(Expect, self._expecting),
            "destinations": taking(Whose, self._list_destinations),
            "destinations add": taking(AtAddress, self._add_destination),
            "destinations again": taking(AtAddress, self._ask_again),
            "destinations remove": taking(AtAddress, self._remove_destination),
            "channels": taking(Whose, self._list_channels),
            "channels add": taking(NewChannel, self._add_channel),
            "channels remove": taking(OfId, self._remove_channel),
            "object": taking(ObjectTo, self._object),
        }

    async def _known(self, name: str) -> None:
        if await self._house.consumers.stored(name) is None:
            raise await unknown(self._house.consumers, name)

    # ---- what is expected ----

    async def _expecting(self, asked: Expect) -> Answer:
        name, opens = asked.consumer, asked.domain is not None or asked.address
        await self._known(name)
        if opens + (asked.keep is not None) + (asked.end is not None) > 1:
            raise Failed("opening, --keep and --end are one command each")
        if asked.domain is not None and not 1 <= len(asked.domain.strip()) <= _LONGEST_NAME:
            raise Failed("--domain is a company's domain, such as shop.example, or its id here")
        if asked.hours is not None and not opens:
            raise Failed("--hours says for how long; --domain or --address say what is expected")
        with _changing(name):
            if opens:
                return await self._open(asked)
            if asked.keep is not None:
                key = await self._key(name, asked.keep)
                return {"consumer": name, "kept": await self._house.expectations.keep(name, key)}
            if asked.end is not None:
                key = await self._key(name, asked.end)
                await self._house.expectations.close(name, key)
                return {"consumer": name, "ended": key}
        items = [self._expected(each) for each in await self._house.expectations.of(name)]
        return {"consumer": name, "items": items}

    async def _open(self, asked: Expect) -> Answer:
        most = LONGEST // _HOUR
        hours = LASTS // _HOUR if asked.hours is None else asked.hours
        if not 1 <= hours <= most:
            raise Failed(f"--hours {hours} cannot be: mail is expected for 1 to {most} hours")
        try:
            opened = await self._house.expectations.open(
                asked.consumer, vendor=asked.domain, lasts=hours * _HOUR, address=asked.address
            )
        except NotThere:
            raise Failed(
                f"{asked.consumer} has no address that a new one could be below; "
                "declare one, and letterbox apply"
            ) from None
        item = self._expected(opened.expecting) | {"made": opened.address}
        return {"consumer": asked.consumer, "opened": item}

    async def _key(self, consumer: str, text: str) -> str:
        """What is expected under a name as people write it."""
        keys = [key_of(each) for each in await self._house.expectations.of(consumer)]
        found = next((key for key in keys if key.lower() == text.lower()), None)
        if found is None:
            there = f"there are: {', '.join(keys)}" if keys else "nothing is expected at all"
            raise Failed(f"{consumer} expects nothing called {text!r}; {there}")
        return found

    def _expected(self, each: Expecting) -> Answer:
        over = each.until <= self._house.clock.now()
        return {"key": key_of(each), "expecting": plain(each), "over": over}

    # ---- mailboxes elsewhere ----

    async def _list_destinations(self, asked: Whose) -> Answer:
        await self._known(asked.consumer)
        rows = await self._destinations.listed(asked.consumer)
        return {"consumer": asked.consumer, "items": [_destination(row) for row in rows]}

    async def _add_destination(self, asked: AtAddress) -> Answer:
        await self._known(asked.consumer)
        before = {row.id for row in await self._destinations.listed(asked.consumer)}
        try:
            row = await self._destinations.add(asked.consumer, asked.address)
        except Unfit as unfit:
            raise Failed(f"{unfit}; it must be elsewhere, such as anna@provider.example") from None
        except TooManyMailboxes:
            raise _full(asked.consumer, MOST_MAILBOXES, "mailboxes") from None
        except AskedEnough:
            raise _asked_enough(asked.consumer) from None
        return {"consumer": asked.consumer, "made": row.id not in before} | _destination(row)

    async def _ask_again(self, asked: AtAddress) -> Answer:
        there = await self._destination(asked)
        try:
            row = await self._destinations.ask_again(asked.consumer, there.id)
        except AskedEnough:
            raise _asked_enough(asked.consumer) from None
        if row is None:
            raise Failed(f"{there.address} is confirmed already: there is nothing to ask")
        return {"consumer": asked.consumer, "made": True} | _destination(row)

    async def _remove_destination(self, asked: AtAddress) -> Answer:
        there = await self._destination(asked)
        await self._destinations.remove(asked.consumer, there.id)
        return {"consumer": asked.consumer, "removed": there.address}

    async def _destination(self, asked: AtAddress) -> Destination:
        await self._known(asked.consumer)
        rows = await self._destinations.listed(asked.consumer)
        for row in rows:
            if asked.address.lower() in {row.id, row.address.lower()}:
                return row
        known = nearest(asked.address, [row.address for row in rows])
        raise Failed(f"{asked.consumer} has no mailbox {asked.address!r}{known}")

    # ---- channels ----

    async def _list_channels(self, asked: Whose) -> Answer:
        await self._known(asked.consumer)
        rows = await self._channels.listed(asked.consumer)
        return {"consumer": asked.consumer, "items": [_channel(row) for row in rows]}

    async def _add_channel(self, asked: NewChannel) -> Answer:
        await self._known(asked.consumer)
        try:
            row = await self._house.notifier.add(
                asked.consumer, asked.kind, asked.url, label=asked.label
            )
        except BadChannel as bad:
            raise Failed(f"{bad.field}: {bad.mistake}; allowed: {bad.allowed}") from None
        except TooManyChannels:
            raise _full(asked.consumer, MOST_CHANNELS, "channels") from None
        secret = shown("hmac", SigningKey(row.secret)) if row.kind == "webhook" else None
        return {"consumer": asked.consumer, "secret": secret} | _channel(row)

    async def _remove_channel(self, asked: OfId) -> Answer:
        await self._known(asked.consumer)
        if not await self._channels.remove(asked.consumer, asked.id):
            raise Failed(
                f"{asked.consumer} has no channel {asked.id!r}; "
                f"letterbox channels {asked.consumer} lists them"
            )
        return {"consumer": asked.consumer, "removed": asked.id}

    # ---- objecting ----

    async def _object(self, asked: ObjectTo) -> Answer:
        name = asked.consumer
        await self._known(name)
        entry = await self._house.mailboxes.entry(name, asked.entry)
        if entry is not None and entry.is_ours:
            raise Failed("letterbox wrote this message itself: it is no company's")
        done = await self._house.objecting.object_to(
            name, asked.entry, because=asked.because, service=asked.service
        )
        if done is None:
            raise Failed(
                f"no company's message {asked.entry!r} is in {name}'s inbox; "
                f"letterbox export {name} has the ids of what is there"
            )
        objection: Answer = plain(done.objection)
        return {"consumer": name, "made": done.made, "objection": objection}


@contextmanager
def _changing(consumer: str) -> Iterator[None]:
    """What stands in the way of a change of preferences, for people."""
    try:
        yield
    except Conflict:
        raise Failed(f"{consumer} has changed something at this moment; try again") from None
    except Refused as refused:
        raise Failed("this cannot be expected", list(map(str, refused.mistakes))) from None
    except NotThere:
        raise Failed(
            "nothing of that name is expected, or nobody has written there whose mail could go on; "
            f"letterbox expecting {consumer} lists what there is"
        ) from None


def _full(consumer: str, most: int, what: str) -> Failed:
    return Failed(f"{consumer} has {most} {what} already, the most there may be; remove one first")


def _asked_enough(consumer: str) -> Failed:
    return Failed(f"enough letters were sent today, for {consumer} or to that address; another day")


def _destination(row: Destination) -> Answer:
    """A mailbox without what confirms it."""
    waits = row.confirmed_at is None
    found: Answer = plain({
        "id": row.id,
        "address": row.address,
        "added_at": row.added_at,
        "confirmed_at": row.confirmed_at,
        "letter": row.letter if waits else None,
        "detail": row.detail if waits else "",
    })  # fmt: skip
    return found


def _channel(row: Channel) -> Answer:
    """A channel without its secrets: whoever knows the whole of its URL may often use it."""
    url = urlsplit(row.url)
    found: Answer = plain({
        "id": row.id,
        "kind": row.kind,
        "server": f"{url.scheme}://{url.netloc.rpartition('@')[2]}",
        "label": row.label,
        "created": row.at,
        "last": row.last,
        "failing": row.failing,
        "detail": row.detail,
        "off": row.off,
    })  # fmt: skip
    return found
