"""People files: read, and checked for everything that one file or all together can have wrong."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from letterbox.administration.shape import Misshapen, nearest, read_toml, shape
from letterbox.feedback.sentences import safe
from letterbox.identity import Domains
from letterbox.model.address import fold_domain, parse_address
from letterbox.model.preferences import Consumer, People, Vendor
from letterbox.records import places
from letterbox.wishes import Mistake, name_of, named_vendors

#: Whose mail at our own domains is the operator's (RFC 2142, RFC 5321 section 4.5.1).
OPERATORS = frozenset({"postmaster", "abuse"})
_RESERVED = OPERATORS | {places.OPERATOR}
_ENTRY = re.compile(r"(\w+)\[(\d{1,9})\]")
#: What an entry of a list is known by.
_NAMES = ("id", "vendor", "domain", "address")
_LONGEST_NAME = 80


class PeopleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file as it was given: its name for people, and what is in it."""

    name: str
    content: bytes


class FileMistake(msgspec.Struct, frozen=True):
    """One thing wrong in one file. ``who`` says in the file's own words whose it is."""

    file: str
    mistake: Mistake
    who: str = ""

    def __str__(self) -> str:
        wrong = self.mistake
        if self.who:
            wrong = msgspec.structs.replace(wrong, path=f"{wrong.path} ({self.who})")
        return f"{self.file}: {wrong}"


class Placed(msgspec.Struct, frozen=True):
    """Where an entry stands."""

    file: str
    path: str

    def mistake(self, field: str, mistake: str, allowed: str) -> FileMistake:
        """A mistake in a field of the entry; in the entry itself where the field is empty."""
        path = f"{self.path}.{field}" if field else self.path
        return FileMistake(
            file=self.file, mistake=Mistake(path=path, mistake=mistake, allowed=allowed)
        )


class PlacedVendor(msgspec.Struct, frozen=True):
    """A vendor, and where it stands."""

    place: Placed
    entry: Vendor


class PlacedConsumer(msgspec.Struct, frozen=True):
    """A consumer, and where it stands."""

    place: Placed
    entry: Consumer


class Roll(msgspec.Struct, frozen=True):
    """Everybody in the files, in order."""

    vendors: tuple[PlacedVendor, ...]
    consumers: tuple[PlacedConsumer, ...]
    #: Every file as it stands, by name, to find whose a mistake is.
    tables: Mapping[str, Mapping[str, Any]]

    def named(self, mistakes: Iterable[FileMistake]) -> list[FileMistake]:
        """The mistakes, each with the ids that its place lies in: people do not count entries."""
        return [
            msgspec.structs.replace(
                mistake, who=_who(self.tables.get(mistake.file, {}), mistake.mistake.path)
            )
            for mistake in mistakes
        ]


def _who(tables: Mapping[str, Any], path: str) -> str:
    """``consumer "anna", interest "garden"`` for ``consumer[0].interest[1].from``."""
    named = []
    here: Any = tables
    for name, nth in _ENTRY.findall(path):
        items = here.get(name) if isinstance(here, Mapping) else None
        if not isinstance(items, list) or int(nth) >= len(items):
            break
        here = items[int(nth)]
        names = [here.get(key) for key in _NAMES] if isinstance(here, Mapping) else []
        text = next((each for each in names if isinstance(each, str) and each), None)
        if text is not None:
            named.append(f'{name} "{safe(text, _LONGEST_NAME)}"')
    return ", ".join(named)


def read_people(files: Sequence[PeopleFile]) -> tuple[Roll, list[FileMistake]]:
    """Everybody in the files that can be read, and what is wrong with the others."""
    vendors: list[PlacedVendor] = []
    consumers: list[PlacedConsumer] = []
    mistakes: list[FileMistake] = []
    tables: dict[str, Mapping[str, Any]] = {}
    for file in files:
        try:
            tables[file.name] = read_toml(file.content)
            people = shape(tables[file.name], People)
        except Misshapen as misshapen:
            mistakes += [FileMistake(file=file.name, mistake=found) for found in misshapen.mistakes]
            continue
        vendors += [
            PlacedVendor(place=Placed(file=file.name, path=f"vendor[{nth}]"), entry=_folded(vendor))
            for nth, vendor in enumerate(people.vendor)
        ]
        consumers += [
            PlacedConsumer(place=Placed(file=file.name, path=f"consumer[{nth}]"), entry=consumer)
            for nth, consumer in enumerate(people.consumer)
        ]
    return Roll(vendors=tuple(vendors), consumers=tuple(consumers), tables=tables), mistakes


def _folded(vendor: Vendor) -> Vendor:
    """With its domains as they are compared; what is no domain stays, to be named."""
    folded = tuple(fold_domain(domain) or domain for domain in vendor.domains)
    return msgspec.structs.replace(vendor, domains=folded)


def check_roll(
    roll: Roll, *, known: Iterable[str], domains: Domains, ours: frozenset[str]
) -> Iterator[FileMistake]:
    """What is wrong between the entries. ``known`` are the ids of vendors there are already."""
    yield from _unique_ids(roll)
    yield from _vendors(roll, domains, ours)
    yield from _addresses(roll)
    yield from _names(roll, {*known, *(vendor.entry.id for vendor in roll.vendors)})


def _unique_ids(roll: Roll) -> Iterator[FileMistake]:
    for what, placed in (("vendor", roll.vendors), ("consumer", roll.consumers)):
        seen: dict[str, Placed] = {}
        for each in placed:
            first = seen.setdefault(each.entry.id, each.place)
            if first is not each.place:
                yield each.place.mistake(
                    "id",
                    f"the {what} {each.entry.id} stands in {first.file} at {first.path} already",
                    "each one once",
                )
            if each.entry.id in _RESERVED:
                yield each.place.mistake("id", f"{each.entry.id} is the operator's", "another id")


def _vendors(roll: Roll, domains: Domains, ours: frozenset[str]) -> Iterator[FileMistake]:
    seen: dict[str, str] = {}
    for vendor in roll.vendors:
        for nth, domain in enumerate(vendor.entry.domains):
            field = f"domains[{nth}]"
            wrong = domains.why_no_vendors(domain, ours)
            if wrong:
                yield vendor.place.mistake(field, *wrong)
            first = seen.setdefault(domain, vendor.entry.id)
            if first != vendor.entry.id:
                yield vendor.place.mistake(
                    field, f"{domain} is vendor {first}'s already", "a domain of this vendor alone"
                )


def _addresses(roll: Roll) -> Iterator[FileMistake]:
    seen: dict[str, str] = {}
    for consumer in roll.consumers:
        for nth, bound in enumerate(consumer.entry.bound_addresses):
            address = parse_address(bound.address)
            if address is None:
                continue  # named by the check of the preferences
            first = seen.setdefault(places.address(address), consumer.entry.id)
            if first != consumer.entry.id:
                yield consumer.place.mistake(
                    f"addresses[{nth}]",
                    f"{bound.address} is consumer {first}'s already",
                    "an address of this consumer alone",
                )


def _names(roll: Roll, known: set[str]) -> Iterator[FileMistake]:
    """Vendors that are spoken of without being there."""
    compared = set(map(name_of, known))
    for consumer in roll.consumers:
        for named in named_vendors(consumer.entry):
            if name_of(named.name) not in compared:
                wrong = named.unknown(nearest(named.name, known))
                yield consumer.place.mistake(wrong.path, wrong.mistake, wrong.allowed)
