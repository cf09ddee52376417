"""Refusing the unproven: the same answer and the same work for every address in our domains."""

from datetime import timedelta

from letterbox.feedback.disclosure import Disclosure
from letterbox.intake.settle import Arrival
from letterbox.model.address import Address
from letterbox.model.sender import Stranger
from letterbox.model.told import Told
from letterbox.ports.store import Add, Commit, Store
from letterbox.records import places
from letterbox.records.consumers import Consumers
from letterbox.records.names import new_reference

#: Where it is a day later than here, and to be on the safe side.
_LONGER = timedelta(days=5)


class Strangers:
    """Strangers leave a daily sum by reason, and nothing else: they can fill no disk."""

    def __init__(
        self, *, store: Store, consumers: Consumers, disclosure: Disclosure, kept: timedelta
    ) -> None:
        self._kept = kept + _LONGER
        self._store = store
        self._consumers = consumers
        self._disclosure = disclosure

    async def refuse(
        self, arrival: Arrival, recipients: tuple[Address, ...], stranger: Stranger
    ) -> Told:
        """Refuse a message for all its recipients, known or not, with one answer."""
        counter = places.strangers(arrival.at, stranger.why)
        commits = []
        for address in recipients:
            owner = await self._consumers.owner(address)
            add = Add(counter=counter, expires=arrival.at + self._kept)
            commits.append(Commit(partition=places.consumer(owner.consumer), operations=(add,)))
        await self._store.commit(*commits)
        # The reference is not kept: its page is the page of one that never existed.
        why = None if arrival.envelope.client.inner else stranger.why
        return self._disclosure.tell_stranger(why, new_reference())
