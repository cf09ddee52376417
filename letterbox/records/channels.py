"""The channels that notices go by, all of a consumer's as one document."""

from collections.abc import Callable
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from letterbox.model.channel import Channel
from letterbox.ports.store import Commit, Delete, Done, Operation, Put, Store, Unschedule
from letterbox.records import places
from letterbox.records.coding import decode, encode

#: Channels of one consumer.
MOST: Final = 10

Change = Callable[[Channel], Channel | None]


class TooMany(Exception):
    """There are as many as there may be."""


class _Channels(msgspec.Struct, frozen=True):
    channels: tuple[Channel, ...] = ()


class Channels:
    """Channels over the store, and the key that notices to browsers are signed with."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def listed(self, consumer: str) -> tuple[Channel, ...]:
        """All of a consumer's, the oldest first."""
        return (await self._read(consumer))[1]

    async def get(self, consumer: str, name: str) -> Channel | None:
        """One of them, by id."""
        return next((each for each in await self.listed(consumer) if each.id == name), None)

    async def add(self, consumer: str, channel: Channel) -> Channel:
        """Add one; one of the same kind and URL stands in its place. Raises :class:`TooMany`."""
        while True:
            revision, rows = await self._read(consumer)
            same = (channel.kind, channel.url)
            kept = tuple(row for row in rows if (row.kind, row.url) != same)
            if len(kept) >= MOST:
                raise TooMany
            if await self._write(consumer, (*kept, channel), revision):
                return channel

    async def change(
        self, consumer: str, name: str, change: Change, *also: Operation
    ) -> Channel | None:
        """Change one; the change gives None where it goes. None where there is none of that id."""
        while True:
            revision, rows = await self._read(consumer)
            before = next((row for row in rows if row.id == name), None)
            if before is None:
                return None
            after = change(before)
            changed = tuple(after if row.id == name else row for row in rows)
            left = tuple(row for row in changed if row is not None)
            if await self._write(consumer, left, revision, *also):
                return after or before

    async def remove(self, consumer: str, name: str) -> bool:
        """Forget one, and what is on its way there; false where there is none of that id."""
        call = places.channel_call(name)
        gone = (Delete(call), Unschedule(call, expect=False))
        return await self.change(consumer, name, lambda _: None, *gone) is not None

    async def push_key(self) -> ec.EllipticCurvePrivateKey:
        """The one key of the installation (RFC 8292); it is made when it is first asked for."""
        while True:
            document = await self._store.get(places.DIRECTORY, places.PUSH_KEY)
            if document is not None:
                key = load_der_private_key(document.value, password=None)
                if not isinstance(key, ec.EllipticCurvePrivateKey):
                    raise TypeError("the key for browsers is of another kind")
                return key
            made = ec.generate_private_key(ec.SECP256R1())
            value = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            # Of two who make one at once the first counts.
            put = Put(key=places.PUSH_KEY, value=value, expect=0)
            await self._store.commit(Commit(places.DIRECTORY, (put,)))

    async def _read(self, consumer: str) -> tuple[int, tuple[Channel, ...]]:
        document = await self._store.get(places.consumer(consumer), places.CHANNELS)
        if document is None:
            return 0, ()
        return document.revision, decode(document.value, _Channels).channels

    async def _write(
        self, consumer: str, rows: tuple[Channel, ...], revision: int, *also: Operation
    ) -> bool:
        put = Put(places.CHANNELS, encode(_Channels(rows)), expect=revision)
        commit = Commit(places.consumer(consumer), (put, *also))
        (result,) = await self._store.commit(commit)
        return isinstance(result, Done)
