"""Making consumers and vendors what the people files say: all of it, or nothing."""

from collections.abc import Sequence

import msgspec

from letterbox.administration.failed import Failed
from letterbox.administration.merge import PartChange, What, merge
from letterbox.administration.people import (
    FileMistake,
    PeopleFile,
    PlacedConsumer,
    Roll,
    check_roll,
    read_people,
)
from letterbox.identity import Domains
from letterbox.model.preferences import Consumer, Preferences, Vendor
from letterbox.ports.clock import Clock
from letterbox.ports.store import Commit, Put, Store
from letterbox.records import places
from letterbox.records.consumers import Conflict, Consumers, Refused, Stored
from letterbox.records.vendors import DomainTaken, IdTaken, Vendors
from letterbox.wishes import Mistake

#: The document of a consumer as it was applied last, beside the preferences.
_APPLIED = "applied"
_ATTEMPTS = 5
_MOST_SHOWN = 50


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of what was done. ``part`` is empty for the whole entry.

    ``why`` says why an entry was kept whole, which is seldom.
    """

    kind: str
    id: str
    part: str
    change: What
    why: str = ""

    def __str__(self) -> str:
        if self.why:
            return f"{self.kind} {self.id}: kept as it is, because {self.why}"
        part = f"{self.part} " if self.part else ""
        kept = ", because the consumer has changed it" if self.change == "kept" else ""
        return f"{self.kind} {self.id}: {part}{self.change}{kept}"


class Planned(msgspec.Struct, frozen=True):
    """A consumer as it is to be. ``expect`` is the revision the plan rests on; 0 for a new one."""

    consumer: str
    file: Preferences
    merged: Preferences
    expect: int
    changed: bool
    #: Whether the document applied last is another than the file's.
    note: bool
    changes: tuple[Change, ...]


class Plan(msgspec.Struct, frozen=True):
    """Everything to be done; made without changing anything."""

    vendors: tuple[tuple[Vendor, tuple[Change, ...]], ...]
    consumers: tuple[Planned, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change in order, vendors first."""
        lines = [change for _, changes in self.vendors for change in changes]
        lines += [change for planned in self.consumers for change in planned.changes]
        return tuple(lines)


class Applying:
    """The use case behind ``letterbox apply``."""

    def __init__(
        self,
        *,
        store: Store,
        consumers: Consumers,
        vendors: Vendors,
        domains: Domains,
        clock: Clock,
        our_domains: frozenset[str],
    ) -> None:
        self._store = store
        self._consumers = consumers
        self._vendors = vendors
        self._domains = domains
        self._clock = clock
        self._our_domains = our_domains

    async def apply(
        self, files: Sequence[PeopleFile], *, dry_run: bool = False, force: bool = False
    ) -> tuple[Change, ...]:
        """Apply; return what changed and what was kept. Raises :class:`Failed`, nothing changed.

        What one consumer has changed stands in nobody else's way: where it and the file make no
        sound preferences together, that consumer is kept as it is.
        """
        roll, mistakes = read_people(files)
        if not mistakes:
            names = await self._vendors.all()
            known = [name for name in names if await self._vendors.known(name)]
            mistakes += check_roll(roll, known=known, domains=self._domains, ours=self._our_domains)
            mistakes += await self._taken_domains(roll)
        if mistakes:
            raise _invalid(roll, mistakes)
        plan = await self._plan(roll, force=force)
        if not dry_run:
            await self._carry_out(plan, force=force)
        return plan.changes

    async def _taken_domains(self, roll: Roll) -> list[FileMistake]:
        mistakes = []
        for vendor in roll.vendors:
            if await self._vendors.is_squatted(vendor.entry):
                mistakes.append(
                    vendor.place.mistake(
                        "id",
                        f"a vendor has registered as {vendor.entry.id} by itself, holds its keys, "
                        "and has not proven all of these domains",
                        "another id, or no domain that it has yet to prove",
                    )
                )
            domain = await self._vendors.taken(vendor.entry)
            if domain is not None:
                nth = vendor.entry.domains.index(domain)
                mistakes.append(
                    vendor.place.mistake(
                        f"domains[{nth}]",
                        f"{domain} belongs to another vendor",
                        "a domain of this vendor; take it from the other one first",
                    )
                )
        return mistakes

    # ---- planning ----

    async def _plan(self, roll: Roll, *, force: bool) -> Plan:
        vendors = []
        for vendor in roll.vendors:
            changes = _vendor_changes(await self._vendors.get(vendor.entry.id), vendor.entry)
            if changes:
                vendors.append((vendor.entry, changes))
        planned = []
        mistakes: list[FileMistake] = []
        for consumer in roll.consumers:
            entry = consumer.entry
            plan = await self._plan_consumer(entry.id, _preferences_of(entry), force=force)
            planned.append(plan)
            mistakes += await self._wrong(consumer, plan)
        if mistakes:
            raise _invalid(roll, mistakes)
        return Plan(vendors=tuple(vendors), consumers=tuple(planned))

    async def _wrong(self, consumer: PlacedConsumer, plan: Planned) -> list[FileMistake]:
        """What is wrong with the file's document."""
        found = await self._consumers.mistakes(plan.consumer, plan.file)
        return [consumer.place.mistake(m.path, m.mistake, m.allowed) for m in found]

    async def _plan_consumer(self, name: str, file: Preferences, *, force: bool) -> Planned:
        before = await self._consumers.stored(name)
        if before is None:
            return Planned(
                consumer=name,
                file=file,
                merged=file,
                expect=0,
                changed=True,
                note=True,
                changes=(Change(kind="consumer", id=name, part="", change="created"),),
            )
        document = await self._store.get(places.consumer(name), _APPLIED)
        # One that was never applied: what differs from the defaults is the consumer's.
        applied = (
            msgspec.json.decode(document.value, type=Preferences) if document else Preferences()
        )
        merged = merge(applied=applied, stored=before.preferences, file=file, force=force)
        # The file alone is looked at with the others; what stays as it stands is not made here.
        if merged.preferences not in (file, before.preferences):
            wrong = await self._consumers.mistakes(name, merged.preferences)
            if wrong:
                return _kept(name, file, before, wrong)
        return Planned(
            consumer=name,
            file=file,
            merged=merged.preferences,
            expect=before.revision,
            changed=merged.preferences != before.preferences,
            note=document is None or applied != file,
            changes=tuple(_line(name, change) for change in merged.changes),
        )

    # ---- carrying out ----

    async def _carry_out(self, plan: Plan, *, force: bool) -> None:
        for vendor, _ in plan.vendors:
            try:
                await self._vendors.replace(vendor)
            except (DomainTaken, IdTaken) as taken:
                raise Failed(f"{taken}; somebody changed it just now: apply again") from taken
        for planned in plan.consumers:
            await self._carry_out_one(planned, force=force)

    async def _carry_out_one(self, planned: Planned, *, force: bool) -> None:
        """Set one consumer's preferences, then note what was applied.

        In this order: after a crash between the two, what stands equals the file, so that no
        change is taken for the consumer's.
        """
        for _ in range(_ATTEMPTS):
            try:
                if planned.changed:
                    await self._consumers.replace(
                        planned.consumer,
                        planned.merged,
                        expect=planned.expect,
                        now=self._clock.now(),
                    )
                break
            except Conflict:
                planned = await self._plan_consumer(planned.consumer, planned.file, force=force)
            except Refused as refused:
                raise Failed(f"consumer {planned.consumer}: {refused}; apply again") from refused
        else:
            raise Failed(
                f"consumer {planned.consumer} is being changed all the time; apply again later"
            )
        if planned.note:
            put = Put(key=_APPLIED, value=msgspec.json.encode(planned.file))
            await self._store.commit(
                Commit(partition=places.consumer(planned.consumer), operations=(put,))
            )


def _invalid(roll: Roll, mistakes: Sequence[FileMistake]) -> Failed:
    lines = [str(mistake) for mistake in roll.named(mistakes[:_MOST_SHOWN])]
    count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
    return Failed(f"{count}, so that nothing was changed; correct the file", lines)


def _kept(name: str, file: Preferences, before: Stored, wrong: Sequence[Mistake]) -> Planned:
    """A consumer that stays as it is.

    The document applied last stays, too: what the file says now is still to be brought in when
    the consumer has changed what stands against it.
    """
    first, more = wrong[0], len(wrong) - 1
    why = (
        f"with what the consumer has changed since, {first.path} would be wrong: {first.mistake}"
        + (f", and {more} more" if more else "")
        + "; --force takes the file's word"
    )
    return Planned(
        consumer=name,
        file=file,
        merged=before.preferences,
        expect=before.revision,
        changed=False,
        note=False,
        changes=(Change(kind="consumer", id=name, part="", change="kept", why=why),),
    )


def _line(consumer: str, change: PartChange) -> Change:
    return Change(kind="consumer", id=consumer, part=change.part, change=change.what)


def _vendor_changes(before: Vendor | None, after: Vendor) -> tuple[Change, ...]:
    if before is None:
        return (Change(kind="vendor", id=after.id, part="", change="created"),)
    return tuple(
        Change(kind="vendor", id=after.id, part=field, change="changed")
        for field in ("name", "domains", "reply", "messages_per_second")
        if getattr(before, field) != getattr(after, field)
    )


def _preferences_of(consumer: Consumer) -> Preferences:
    return Preferences(**{f: getattr(consumer, f) for f in Preferences.__struct_fields__})
