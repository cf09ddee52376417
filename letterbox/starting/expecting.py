"""Mail that a consumer expects: openings that end by themselves, and what comes after them."""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import structs

from letterbox.model.address import Address, fold_domain, parse_address
from letterbox.model.preferences import BoundAddress, Expecting, Preferences, VendorRule
from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Store, Unclaim, Unschedule
from letterbox.records import places
from letterbox.records.changes import By, Conflict
from letterbox.records.consumers import Consumers
from letterbox.records.vendors import Vendors
from letterbox.wishes import name_of, other_side
from letterbox.wishes.expecting import exactly, key_of

#: How long mail is expected, unless told, and at most.
LASTS: Final = timedelta(hours=24)
LONGEST: Final = timedelta(days=30)
_ATTEMPTS: Final = 5
#: Of a new address: no one guesses it, and people can read it to each other.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH: Final = 8


class NotThere(Exception):
    """Nothing of that name is expected, or no address is there that others could be below."""


class Opened(msgspec.Struct, frozen=True):
    """What was opened; ``address`` is the new one, where one was made."""

    expecting: Expecting
    address: str | None = None


class Expectations:
    """Opens, keeps and closes; and writes down who was the first to use an address."""

    def __init__(
        self, *, store: Store, clock: Clock, consumers: Consumers, vendors: Vendors
    ) -> None:
        self._store = store
        self._clock = clock
        self._consumers = consumers
        self._vendors = vendors

    async def of(self, consumer: str) -> tuple[Expecting, ...]:
        """What is expected, and what was until somebody says what comes after it."""
        stored = await self._consumers.stored(consumer)
        return stored.preferences.expecting if stored else ()

    async def open(
        self,
        consumer: str,
        *,
        vendor: str | None = None,
        lasts: timedelta = LASTS,
        address: bool = False,
    ) -> Opened:
        """Expect mail for a time: of a vendor (id or domain), or at a new address.

        With both the address is that vendor's from the start; with an address alone it becomes
        that of whoever proves to be the first to use it. The same again begins anew.
        Raises :class:`letterbox.records.consumers.Refused`, :class:`Conflict`, and
        :class:`NotThere` where no address can be made.
        """
        side = await self._side(vendor) if vendor else None
        made: list[Opened] = []

        def opening(before: Preferences) -> Preferences:
            fresh = _fresh(before) if address else None
            now = self._clock.now()
            entry = Expecting(
                from_=now, until=now + lasts, vendor=side, address=None if side else fresh
            )
            made[:] = [Opened(entry, fresh)]
            given = (BoundAddress(address=fresh, vendor=side) if side else fresh,) if fresh else ()
            others = tuple(each for each in before.expecting if key_of(each) != key_of(entry))
            return structs.replace(
                before, expecting=(*others, entry), addresses=(*before.addresses, *given)
            )

        await self._change(consumer, opening)
        return made[0]

    async def keep(self, consumer: str, key: str) -> str:
        """Go on taking a vendor's mail: a relationship in place of the opening; whose it is.

        One that there is stays as it is. Raises :class:`NotThere`, and what :meth:`open` raises.
        """
        kept: list[str] = []
        vendors = [each.vendor for each in await self.of(consumer) if each.vendor]
        registered = {each for each in vendors if await self._vendors.known(each)}

        def keeping(before: Preferences) -> Preferences:
            entry = _entry(before, key)
            if entry.vendor is None:
                raise NotThere
            rule = (
                VendorRule(vendor=entry.vendor, scope="everything")
                if entry.vendor in registered
                else VendorRule(domain=entry.vendor, scope="everything")
            )
            kept[:] = [other_side(rule)]
            there = {other_side(each) for each in before.vendor}
            added = () if other_side(rule) in there else (rule,)
            return _without(structs.replace(before, vendor=(*before.vendor, *added)), entry)

        await self._change(consumer, keeping)
        return kept[0]

    async def close(self, consumer: str, key: str) -> None:
        """Expect it no longer. An address that was made for it stays, and nobody new has it.

        Raises :class:`NotThere`, and what :meth:`open` raises.
        """
        await self._change(consumer, lambda before: _without(before, _entry(before, key)))

    async def settle(self, consumer: str, address: str) -> None:
        """Have the document say who was the first to use an address."""
        name = places.bound(address)
        partition = places.consumer(consumer)
        first = await self._store.claim(partition, name)
        stored = await self._consumers.stored(consumer)
        if first is not None and stored is not None:
            vendor = first.decode()
            await self._change(consumer, lambda before: _bound(before, address, vendor))
        gone = (Unclaim(name), Unschedule(places.BINDING + address, expect=False))
        await self._store.commit(Commit(partition, gone))

    async def _side(self, vendor: str) -> str:
        """A vendor as it is called here: by its id where it is registered, else as written."""
        name = name_of(vendor.removeprefix("https://").removeprefix("http://").strip(" /"))
        if "." not in name or fold_domain(name) is None:
            return name
        holder = (await self._vendors.holder(name)).vendor
        return holder if holder and await self._vendors.known(holder) else name

    async def _change(
        self,
        consumer: str,
        change: Callable[[Preferences], Preferences],
        by: By = "expecting",
    ) -> None:
        for attempt in range(_ATTEMPTS):
            stored = await self._consumers.stored(consumer)
            if stored is None:
                raise Conflict(0)
            try:
                await self._consumers.revise(
                    consumer,
                    change(stored.preferences),
                    expect=stored.revision,
                    now=self._clock.now(),
                    by=by,
                )
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return


def _fresh(preferences: Preferences) -> str:
    """An address below the first one there is, that nobody has."""
    parsed = (parse_address(each.address) for each in preferences.bound_addresses)
    base = next((each for each in parsed if each and "+" not in each.local), None)
    if base is None:
        raise NotThere
    word = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return str(Address(local=f"{base.local}+{word}", domain=base.domain))


def _entry(preferences: Preferences, key: str) -> Expecting:
    for each in preferences.expecting:
        if key_of(each) == key:
            return each
    raise NotThere


def _without(preferences: Preferences, entry: Expecting) -> Preferences:
    left = tuple(each for each in preferences.expecting if each != entry)
    return structs.replace(preferences, expecting=left)


def _bound(before: Preferences, address: str, vendor: str) -> Preferences:
    """The address is the vendor's, of whom everything is expected for the rest of the time.

    Where it is expected no more, or given to somebody, the consumer's later word stands.
    """
    entry = next((each for each in before.expecting if key_of(each) == address), None)
    if entry is None:
        return before

    def given(each: str | BoundAddress) -> str | BoundAddress:
        written = each if isinstance(each, str) else each.address
        parsed = parse_address(written)
        if isinstance(each, str) and parsed and exactly(parsed) == address:
            return BoundAddress(address=each, vendor=vendor)
        return each

    theirs = Expecting(from_=entry.from_, until=entry.until, vendor=vendor)
    others = tuple(
        each for each in before.expecting if each != entry and key_of(each) != key_of(theirs)
    )
    return structs.replace(
        before,
        addresses=tuple(given(each) for each in before.addresses),
        expecting=(*others, theirs),
    )
