"""What is wrong with preferences that somebody gives, whose addresses they name included."""

from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from datetime import tzinfo

import msgspec

from letterbox.model.address import Address, parse_address
from letterbox.model.preferences import Preferences
from letterbox.records import places
from letterbox.wishes import MOST, Domains, Mistake, Taxonomy, check, named_vendors


class Owner(msgspec.Struct, frozen=True):
    """Whose an address is, and the vendor it was given to, if to one alone."""

    consumer: str
    binding: str | None = None


#: Unknown vendors that are named at once, and looked for.
_MOST_UNKNOWN = 100
#: Addresses that one mistake names.
_MOST_NAMED = 5

#: An address nobody has: it is treated as a consumer who wants nothing.
UNKNOWN = Owner(consumer=places.NOBODY)
#: Whose an address is that was freed by an erasure, for others who want it: no id is written so.
FREED = Owner(consumer="(freed)")


class Refused(Exception):
    """Preferences that cannot be: nothing was changed. ``mistakes`` says where and why."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{m.path}: {m.mistake}" for m in mistakes))
        self.mistakes = tuple(mistakes)


class Checks:
    """The second look at preferences, and a third: whether their addresses may be theirs."""

    def __init__(
        self,
        *,
        taxonomy: Taxonomy,
        zone_of: Callable[[str], tzinfo | None],
        zones: Callable[[], Iterable[str]],
        domains: Domains,
        ours: frozenset[str],
        owner_of: Callable[[Address], Awaitable[Owner]],
        is_vendor: Callable[[str], Awaitable[bool]],
    ) -> None:
        """``zones`` names every time zone; ``ours`` are the domains that addresses are in."""
        self._taxonomy = taxonomy
        self._zone_of = zone_of
        self._zones = zones
        self._domains = domains
        self._ours = ours
        self._owner_of = owner_of
        self._is_vendor = is_vendor

    async def by_operator(self, consumer: str, preferences: Preferences) -> list[Mistake]:
        """What is wrong with preferences that the operator gives; empty where nothing is.

        Vendors by name are not looked at: a people file may name some that are still to come.
        """
        found = self.of_document(preferences)
        listed = owners_of(consumer, preferences)
        for path, address in _addresses(preferences):
            wrong = await self._unfit(consumer, address, listed)
            if wrong is not None:
                mistake, allowed = wrong
                found.append(Mistake(path=path, mistake=mistake, allowed=allowed))
        return found

    async def _unfit(
        self, consumer: str, address: Address, listed: Iterable[str]
    ) -> tuple[str, str] | None:
        """Why the operator cannot give an address, and what can be given."""
        if address.domain not in self._ours:
            allowed = f"an address in {', '.join(sorted(self._ours))}"
            return f"{address.domain} is not a domain of this letterbox", allowed
        if address.mailbox.local in {"postmaster", "abuse"}:
            return f"{address} is the operator's", "any other address"
        if places.address(address.mailbox) not in listed:
            allowed = f"{address.mailbox} with it, or an address without +"
            return f"{address} lies below {address.mailbox}", allowed
        owner = await self._owner_of(address)
        if owner.consumer not in {places.NOBODY, consumer}:
            why = (
                "was given up by an erasure, and is kept from others for as long as decisions are"
                if owner.consumer == FREED.consumer
                else "is taken"
            )
            return f"{address} {why}", "an address nobody has yet"
        return None

    async def by_consumer(
        self,
        consumer: str,
        preferences: Preferences,
        before: Preferences,
        *,
        restored: Container[str] | None = None,
    ) -> list[Mistake]:
        """What is wrong with preferences that the consumer gives, who had those ``before``.

        An address that is new and not below one they had gets one answer, whoever has it: what
        others have is not theirs to find out. ``restored`` is given for preferences that stood
        once: the places of addresses that they may have back if they are free.
        """
        found = self.of_document(preferences)
        held, listed = (owners_of("", each) for each in (before, preferences))
        found += _left_below(preferences, held, listed)
        example = next((a.mailbox for _, a in _addresses(before)), None)
        for path, address in _addresses(preferences):
            place, mailbox = places.address(address), places.address(address.mailbox)
            below = mailbox != place and mailbox in listed and mailbox in held
            if below and place not in held:
                # Somebody may have kept it who gave up the mailbox above it.
                below = (await self._owner_of(address)).consumer in {places.NOBODY, consumer}
            back = (
                place in (restored or ()) and await self._unfit(consumer, address, listed) is None
            )
            if place not in held and not below and not back:
                allowed = "only addresses below your own"
                if example is not None:
                    allowed += f", such as {example.local}+shop@{example.domain}"
                allowed += "; the operator gives others"
                mistake = f"{address} is not an address of yours"
                found.append(Mistake(path=path, mistake=mistake, allowed=allowed))
        if restored is None:
            found += await self._unknown_vendors(preferences, before)
        return found

    async def _unknown_vendors(
        self, preferences: Preferences, before: Preferences
    ) -> list[Mistake]:
        """Names that no vendor has, but for those that stood there ``before``; not too many.

        Which name may be meant is not guessed: there may be very many vendors to look through.
        """
        stood = {named.known_by for named in named_vendors(before)}
        found: list[Mistake] = []
        for named in named_vendors(preferences):
            if named.known_by not in stood and not await self._is_vendor(named.name):
                found.append(named.unknown())
                if len(found) >= _MOST_UNKNOWN:
                    break
        return found

    def of_document(self, preferences: Preferences) -> list[Mistake]:
        """What is wrong with the document by itself."""
        found = check(
            preferences,
            zone_of=self._zone_of,
            zones=self._zones,
            taxonomy=self._taxonomy,
            domains=self._domains,
        )
        return [*found, *self._circles(preferences)]

    def _circles(self, preferences: Preferences) -> Iterator[Mistake]:
        """Mail that would be handed on to us."""
        for nth, rule in enumerate(preferences.onward[: MOST["onward"]]):
            to = parse_address(rule.to)
            if to is not None and to.domain in self._ours:
                yield Mistake(
                    path=f"onward[{nth}].to",
                    mistake=f"{to.domain} is this letterbox's own: mail would go in circles",
                    allowed="a mailbox elsewhere",
                )


def _addresses(preferences: Preferences) -> Iterator[tuple[str, Address]]:
    """Every address that is one, with its place; no more than may be declared."""
    for nth, entry in enumerate(preferences.bound_addresses[: MOST["addresses"]]):
        address = parse_address(entry.address)
        if address is not None:  # what is none has been named by the check
            yield f"addresses[{nth}]", address


def _left_below(
    preferences: Preferences, held: Container[str], listed: Container[str]
) -> Iterator[Mistake]:
    """Mailboxes that would go while addresses below them stay, which nobody could have given."""
    left: dict[Address, list[Address]] = {}
    for _, address in _addresses(preferences):
        mailbox = places.address(address.mailbox)
        if mailbox in held and mailbox not in listed and places.address(address) in held:
            left.setdefault(address.mailbox, []).append(address)
    for above, addresses in left.items():
        names = ", ".join(map(str, addresses[:_MOST_NAMED]))
        if len(addresses) > _MOST_NAMED:
            names += f" and {len(addresses) - _MOST_NAMED} more"
        yield Mistake(
            path="addresses",
            mistake=f"{above} cannot go while addresses below it stay: {names}",
            allowed=f"to give up {names} first, or to keep {above}",
        )


def owners_of(consumer: str, preferences: Preferences) -> dict[str, Owner]:
    """Who has what, by the address's place in the store."""
    bound = preferences.bound_addresses[: MOST["addresses"]]
    return {
        places.address(address): Owner(consumer=consumer, binding=entry.vendor)
        for entry in bound
        if (address := parse_address(entry.address)) is not None
    }
