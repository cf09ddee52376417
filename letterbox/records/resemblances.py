"""Whom senders may be taken for: each consumer's vendors by their names and domains."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from letterbox.model.address import parse_address
from letterbox.model.preferences import Vendor
from letterbox.model.wishes import Wishes
from letterbox.records.cache import Recent
from letterbox.records.vendors import Vendors
from letterbox.wishes.lookalike import Known, Lookalikes, registered_label

#: A consumer with twenty vendors needs some 100 KB.
_CACHED: Final = 1_000
#: Shorter labels are too often a word of another's name.
_LEAST_LABEL: Final = 6

_Registered = Mapping[str, Vendor]


class _Compiled(NamedTuple):
    """A consumer's vendors made ready, as of a revision of its wishes and of all vendors."""

    state: tuple[int, int]
    known: tuple[Known, ...]
    lookalikes: Lookalikes


class Resemblances:
    """Compiled when a consumer's mail first asks, and kept until its wishes or a vendor change.

    ``organization`` and ``is_mailbox_provider`` as in :class:`Vendors`.
    """

    def __init__(
        self,
        vendors: Vendors,
        organization: Callable[[str], str],
        is_mailbox_provider: Callable[[str], bool],
    ) -> None:
        self._vendors = vendors
        self._organization = organization
        self._is_mailbox_provider = is_mailbox_provider
        self._compiled: Recent[str, _Compiled] = Recent(_CACHED)
        self._by_domain: tuple[int, Mapping[str, Vendor]] = (-1, {})

    async def of(self, wishes: Wishes) -> Lookalikes:
        """The vendors of a consumer. Raises StoreUnavailable the first time of all alone."""
        registered = await self._vendors.directory()
        state = (wishes.revision, self._vendors.changes)
        kept = self._compiled.get(wishes.consumer)
        if kept is not None and kept.state == state:
            return kept.lookalikes
        known = tuple(self._known(wishes, registered))
        # Most changes are of vendors that this consumer has nothing to do with.
        same = kept.lookalikes if kept is not None and kept.known == known else None
        lookalikes = same or Lookalikes(known, self._organization, self._is_mailbox_provider)
        self._compiled.put(wishes.consumer, _Compiled(state, known, lookalikes))
        return lookalikes

    def _owners(self, registered: _Registered) -> Mapping[str, Vendor]:
        changes, owners = self._by_domain
        if changes != self._vendors.changes:
            owners = {own: each for each in registered.values() for own in each.own_domains}
            self._by_domain = self._vendors.changes, owners
        return owners

    def _known(self, wishes: Wishes, registered: _Registered) -> Iterator[Known]:
        for each in wishes.vendors.values():
            name = each.rule.key
            if vendor := registered.get(name) or registered.get(name.casefold()):
                yield _known(vendor)
        if wishes.domains:
            owners = self._owners(registered)
            for domain in wishes.domains:
                owner = _owner(domain, owners)
                yield _known(owner) if owner else self._unregistered(domain)
        for mailbox in wishes.addresses:
            address = parse_address(mailbox)
            if address and not self._is_mailbox_provider(address.domain):
                yield Known(mailbox, mailbox, self._names(address.domain), (address.domain,))

    def _unregistered(self, domain: str) -> Known:
        return Known(self._organization(domain), domain, self._names(domain), (domain,))

    def _names(self, domain: str) -> tuple[str, ...]:
        """What people call who is known by a domain alone: by the label that was registered."""
        label = registered_label(self._organization(domain))
        return (label,) if len(label) >= _LEAST_LABEL else ()


def _owner(domain: str, owners: Mapping[str, Vendor]) -> Vendor | None:
    """The vendor who has a domain or the nearest one above it."""
    while domain:
        if found := owners.get(domain):
            return found
        domain = domain.partition(".")[2]
    return None


def _known(vendor: Vendor) -> Known:
    return Known(vendor.id, vendor.name, (vendor.name, vendor.id), vendor.own_domains)
