"""Vendors registered and changed, and the domains that pass to them and from them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from letterbox.model.preferences import Vendor
from letterbox.model.told import Event, EventType, ToldReason
from letterbox.model.vendor import Basis, Chosen, Registered, Suspension
from letterbox.ports.clock import Clock
from letterbox.ports.store import (
    Announce,
    Commit,
    Delete,
    Emit,
    Expect,
    Operation,
    Put,
    Schedule,
    Store,
    Unschedule,
)
from letterbox.records import places
from letterbox.records.coding import decode, encode
from letterbox.records.feed import Owed
from letterbox.records.holders import MOST_LABELS, Claimant, DomainTaken, Holder
from letterbox.records.names import new_id
from letterbox.records.passing import Overtaken, Passing, decided, first_rejected, pass_on, settle
from letterbox.records.registered import RegisteredVendors, is_squatted

_Answer = TypeVar("_Answer")

__all__ = ["MOST_LABELS", "DomainTaken", "Holder", "IdTaken", "Vendors"]


class IdTaken(Exception):
    """An id is that of a vendor that registered by itself, and has not proven these domains."""

    def __init__(self, vendor: str) -> None:
        super().__init__(f"a vendor has registered as {vendor} by itself already")


class _Seen(NamedTuple):
    """A vendor as it was seen when something was decided about it; None for none."""

    id: str
    vendor: Registered | None
    revision: int

    @property
    def guard(self) -> Commit:
        """What fails where it is another by now."""
        return _one(places.vendor(self.id), Expect(places.VENDOR, self.revision))

    def put(self, after: Registered) -> Put:
        """What makes it ``after``, where it is as it was seen."""
        return Put(places.VENDOR, msgspec.json.encode(after), expect=self.revision)


class Vendors(RegisteredVendors):
    """Vendors over the store. Every change goes through here, and tells who remembers."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        organization: Callable[[str], str],
        is_mailbox_provider: Callable[[str], bool],
    ) -> None:
        super().__init__(
            store,
            clock=clock,
            organization=organization,
            is_mailbox_provider=is_mailbox_provider,
        )
        # One change at a time, to save work: what holds is guarded in the store.
        self._changing = asyncio.Lock()

    async def settle_domain(self, domain: str) -> None:
        """See whether a domain has passed whose passing may have been cut short.

        It is its holder's where that one has it by its own document, else nobody's.
        """

        async def truth(value: bytes) -> bytes:
            name = decode(value, Claimant).vendor
            holder = (await self._seen(name)).vendor if name else None
            if not name or (holder is not None and domain in holder.own_domains):
                return value
            return await self._holders.nobodys(domain, value)

        await settle(self._store, places.domain(domain), self._clock.now(), truth)

    # ---- changing

    async def _seen(self, name: str) -> _Seen:
        """A vendor as it is now, whatever is remembered of it."""
        document = await self._store.get(places.vendor(name), places.VENDOR)
        if document is None:
            return _Seen(name, None, 0)
        vendor = msgspec.json.decode(document.value, type=Registered)
        return _Seen(name, vendor, document.revision)

    async def _decided(self, deciding: Callable[[], Awaitable[_Answer]]) -> _Answer:
        async with self._changing:
            return await decided(deciding)

    async def replace(self, vendor: Vendor) -> None:
        """Register a vendor by the operator's word, or change it.

        What it has proven by itself stays its own. Raises :class:`DomainTaken`, and
        :class:`IdTaken` where somebody else may have come first.
        """

        async def deciding() -> None:
            seen = await self._seen(vendor.id)
            if is_squatted(seen.vendor, vendor):
                raise IdTaken(vendor.id)
            if domain := await self.taken(vendor):
                raise DomainTaken(domain, (await self._holders.claimant(domain)).vendor)
            fields = {name: getattr(vendor, name) for name in Vendor.__struct_fields__}
            if (before := seen.vendor) is None:
                after = Registered(**fields, at=self._clock.now())
            else:
                # Whom the operator names, the operator vouches for. What it chose itself stays
                # until the operator says something new: a file that is applied again says nothing.
                chosen = before.chosen if vendor.reply == before.reply else None
                after = msgspec.structs.replace(
                    before, **fields, registered="operator", chosen=chosen
                )
            await self._set(seen, after)

        await self._decided(deciding)

    async def add(self, vendor: Registered, *also: Operation) -> bool:
        """Register a vendor that asks for it itself; false where the id is taken.

        ``also`` are operations on its partition.
        """

        async def deciding() -> bool:
            seen = await self._seen(vendor.id)
            if seen.vendor is not None:
                return False
            await self._set(seen, vendor, also=also)
            return True

        return await self._decided(deciding)

    async def forget_nobody(
        self, name: str, also: Sequence[Operation], revoke: Callable[[str], Awaitable[None]]
    ) -> bool:
        """Forget a vendor that registered by itself and never proved anything; false for others.

        ``also`` are operations on its partition. Its keys go first, by ``revoke``: whoever
        registers under the same id must not find them good, whenever we are killed.
        """

        async def deciding() -> bool:
            seen = await self._seen(name)
            if seen.vendor is None or not seen.vendor.is_nobody_yet or seen.vendor.had_domain:
                return False
            await revoke(name)
            gone = Delete(key=places.VENDOR, expect=seen.revision)
            entry = Commit(places.DIRECTORY, (Delete(key=f"vendor/{name}"),), with_all=True)
            await self._commit(Commit(places.vendor(name), (gone, *also, Announce())), entry)
            await revoke(name)  # one that was just being made
            return True

        return await self._decided(deciding)

    async def suspend(
        self, name: str, suspension: Suspension | None, *, reason: ToldReason | None = None
    ) -> bool:
        """Suspend a vendor, or with None let it go on, and tell it; false where there is none."""

        async def deciding() -> bool:
            seen = await self._seen(name)
            if seen.vendor is None:
                return False
            now = self._clock.now()
            kind: EventType = "vendor.suspended" if suspension else "vendor.resumed"
            event = Event(id=new_id(now), type=kind, at=now, reason=reason)
            owed = Owed(vendor=name, event=event, at=now)
            after = msgspec.structs.replace(seen.vendor, suspended=suspension)
            await self._set(seen, after, also=(Emit(encode(owed)),))
            return True

        return await self._decided(deciding)

    async def choose(self, name: str, chosen: Chosen) -> Registered | None:
        """Set what a vendor has chosen itself; None where there is no such vendor."""

        async def deciding() -> Registered | None:
            seen = await self._seen(name)
            if seen.vendor is None:
                return None
            after = msgspec.structs.replace(seen.vendor, chosen=chosen)
            await self._set(seen, after)
            return after

        return await self._decided(deciding)

    async def prove(
        self,
        name: str,
        domain: str,
        again: datetime,
        *,
        also: Sequence[Operation] = (),
        taken_from: str = "",
        lost: Sequence[Operation] = (),
    ) -> None:
        """Give a vendor a domain that it has proven.

        ``again`` is when the proof is looked up again; ``taken_from`` whose it may be until now;
        ``also`` are operations on the vendor's partition, ``lost`` on that of the one who loses
        the domain. Raises :class:`DomainTaken` where it is somebody else's by now, or by the
        operator's word, LookupError where there is no such vendor.
        """

        async def deciding() -> None:
            seen = await self._seen(name)
            if seen.vendor is None:
                raise LookupError(name)
            holder = (await self._holders.now(domain)).vendor
            names = []
            if holder != name or domain not in seen.vendor.own_domains:
                names = [await self._holders.taking(domain, name, "dns", taken_from=taken_from)]
            proven = tuple(dict.fromkeys((*seen.vendor.proven, domain)))
            after = msgspec.structs.replace(seen.vendor, proven=proven, had_domain=True)
            more = [_one(places.domain(domain), Schedule(key=places.RECHECK, at=again))]
            lose = None
            if holder not in {"", name} and (loser := await self._seen(holder)).vendor:
                left = loser.put(_without(loser.vendor, domain))
                lose = loser, Commit(places.vendor(holder), (left, *lost, Announce()))
            await self._write(seen, after, names, also=also, more=more, lose=lose)

        await self._decided(deciding)

    async def disprove(self, name: str, domain: str, *also: Operation) -> bool:
        """Take a domain from a vendor that has proven it before, and does so no more.

        False where it has not, and nothing was done.
        """

        async def deciding() -> bool:
            seen = await self._seen(name)
            if seen.vendor is None or domain not in seen.vendor.proven:
                return False
            stop = Unschedule(key=places.RECHECK, expect=False)
            more = [_one(places.domain(domain), stop)]
            await self._set(seen, _without(seen.vendor, domain), also=also, more=more)
            return True

        return await self._decided(deciding)

    async def _set(
        self,
        seen: _Seen,
        after: Registered,
        *,
        also: Iterable[Operation] = (),
        more: Iterable[Commit] = (),
    ) -> None:
        """Write a vendor, and whose its domains are."""
        old = set(seen.vendor.own_domains) if seen.vendor else set()
        names = []
        for domain in sorted(old.symmetric_difference(after.own_domains)):
            if domain in after.own_domains:
                basis: Basis = "dns" if domain in after.proven else "operator"
                names.append(await self._holders.taking(domain, after.id, basis))
            elif given_up := await self._holders.giving_up(domain, after.id):
                names.append(given_up)
        await self._write(seen, after, names, also=also, more=more)

    async def _write(
        self,
        seen: _Seen,
        after: Registered,
        names: Sequence[Passing],
        *,
        also: Iterable[Operation] = (),
        more: Iterable[Commit] = (),
        lose: tuple[_Seen, Commit] | None = None,
    ) -> None:
        """Write a vendor and what passes. ``lose`` is what another loses, as it was seen before."""
        own = Commit(places.vendor(after.id), (seen.put(after), *also, Announce()))
        entry = _one(places.DIRECTORY, Put(key=f"vendor/{after.id}", value=b""))
        losers, first = ([lose[0]], [lose[1]]) if lose else ([], [])
        if seen.vendor is None:
            first.append(entry)  # who is listed and not there yet is passed over
        commits = pass_on(
            names,
            own,
            seen=[each.guard for each in (seen, *losers)],
            before=first,
            after=more,
            now=self._clock.now(),
        )
        await self._commit(*commits)

    async def _commit(self, *commits: Commit) -> None:
        """Commit, or raise :class:`Overtaken` where a guard failed."""
        try:
            failed = first_rejected(await self._store.commit(*commits))
        except BaseException:
            # What fails may be written all the same, so all that was read is read anew.
            for commit in commits:
                self._hear(commit.partition)
                self._holders.hear(commit.partition)
            raise
        if failed is not None:
            raise Overtaken


def _without(vendor: Registered, domain: str) -> Registered:
    """A vendor that has a domain no more which it had proven."""
    proven = tuple(each for each in vendor.proven if each != domain)
    return msgspec.structs.replace(vendor, proven=proven, had_domain=True)


def _one(partition: str, operation: Operation) -> Commit:
    return Commit(partition=partition, operations=(operation,))
