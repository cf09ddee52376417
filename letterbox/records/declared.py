"""What consumers declared: read, compiled into its fast form, and remembered."""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo

from letterbox.model.address import Address
from letterbox.model.preferences import Preferences
from letterbox.model.wishes import Wishes
from letterbox.ports.store import Document, Store, StoreUnavailable
from letterbox.records import pieces, places
from letterbox.records.addresses import Addresses
from letterbox.records.cache import Recent
from letterbox.records.checks import Owner
from letterbox.records.pieces import Key, Piece, Stored
from letterbox.wishes import Rhythm, Taxonomy, Times, compile_wishes, read_times, write_times

_CACHED = 20_000
_PAGE = 500
_ATTEMPTS = 5


class Declared:
    """What consumers declared, over the store. It is remembered until somebody changes it."""

    def __init__(
        self, store: Store, *, taxonomy: Taxonomy, zone_of: Callable[[str], tzinfo | None]
    ) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._zone_of = zone_of
        self._addresses = Addresses(store)
        self._wishes: Recent[str, Wishes] = Recent(_CACHED)
        self._unknown: Recent[str, Owner] = Recent(_CACHED)
        self._nobody = self.compile(places.NOBODY, Preferences(), 0)
        store.listen(self._hear)

    def _hear(self, partition: str | None) -> None:
        if partition is None:
            self._wishes.clear()
            self._unknown.clear()
            return
        room, name = places.room(partition)
        if room == "consumer":
            self._wishes.drop(name)

    async def owner(self, address: Address) -> Owner:
        """Whose an address is; a subaddress that is nobody's own belongs to its mailbox."""
        return (await self.owned(address))[0]

    async def owned(self, address: Address) -> tuple[Owner, Address]:
        """Whose an address is, and the one address that all its spellings come down to."""
        return await self._addresses.owned(address)

    async def addressed(self, address: Address) -> tuple[Owner, Wishes]:
        """Whose an address is, and what they wish.

        An address nobody has costs what one costs that somebody has: the same questions to the
        store the first time, and none the next.
        """
        owner, exact = await self.owned(address)
        if owner.consumer != places.NOBODY:
            return owner, await self.wishes(owner.consumer)
        place = places.address(exact)
        if self._unknown.get(place) is None:
            await self.stored(places.NOBODY)
            self._unknown.put(place, owner)
        return owner, self._nobody

    async def stored(self, consumer: str) -> Stored | None:
        """A consumer's preferences and their revision; None where there is no such consumer."""
        partition = places.consumer(consumer)
        for _ in range(_ATTEMPTS):
            core = await self._store.get(partition, places.PREFERENCES)
            # Asked whether there is a consumer or not: who exists must not show in the work.
            rows = await self._documents(partition, places.PIECE)
            if core is None:
                return None
            found = pieces.read(core, rows)
            if all(piece.revision <= found.revision for piece in found.pieces.values()):
                return found
        raise StoreUnavailable(f"the preferences of {consumer} change faster than they are read")

    async def _documents(self, partition: str, prefix: str) -> list[Document]:
        found: list[Document] = []
        while True:
            after = found[-1].key if found else None
            page = await self._store.documents(partition, prefix, after=after, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return found

    async def wishes(self, consumer: str) -> Wishes:
        """A consumer's compiled wishes; of nobody, those of one who wants nothing."""
        if consumer == places.NOBODY:
            return self._nobody
        known = self._wishes.get(consumer)
        if known is not None:
            return known
        drops = self._wishes.drops
        stored = await self.stored(consumer)
        if stored is None:
            return self._nobody
        wishes = self.compile(consumer, stored.preferences, stored.revision, stored.pieces)
        self._wishes.put(consumer, wishes, read_at=drops)
        return wishes

    def forget(self, consumer: str, *addresses: Address) -> None:
        """Read the wishes anew the next time: somebody saw that they have changed.

        And whose these addresses are: news of it may still be on the way.
        """
        self._wishes.drop(consumer)
        for address in addresses:
            self._addresses.forget(address)

    def write_times(self, preferences: Preferences) -> bytes:
        """The times of preferences as an iCalendar file."""
        return write_times(preferences, self._zone(preferences.timezone))

    def read_times(self, content: bytes, now: datetime) -> Times:
        """The times of an iCalendar file. Raises :class:`letterbox.wishes.Unsupported`."""
        return read_times(content, self._zone_of, now)

    def rhythm(self, preferences: Preferences) -> Rhythm:
        """When the consumer's own digest comes, and when no notice is given."""
        return Rhythm(preferences, self._zone(preferences.timezone))

    def _zone(self, name: str) -> tzinfo:
        zone = self._zone_of(name) or self._zone_of("UTC")
        if zone is None:
            raise LookupError("the time zone database is missing; install tzdata")
        return zone

    def compile(
        self,
        consumer: str,
        preferences: Preferences,
        revision: int,
        stands: Mapping[Key, Piece] | None = None,
    ) -> Wishes:
        """Sound preferences in their fast form, whether they are declared or only thought of.

        ``stands`` are the pieces that are declared: what is not among them is thought of now.
        """
        return compile_wishes(
            consumer,
            revision,
            preferences,
            zone=self._zone(preferences.timezone),
            taxonomy=self._taxonomy,
            since=pieces.declared_at(preferences, stands or {}),
        )

    async def all(self) -> list[str]:
        """The ids of all consumers, in order."""
        names: list[str] = []
        after: str | None = None
        while page := await self._store.documents(
            places.DIRECTORY, "consumer/", after=after, limit=_PAGE
        ):
            names += [document.key.removeprefix("consumer/") for document in page]
            after = page[-1].key
        return names
