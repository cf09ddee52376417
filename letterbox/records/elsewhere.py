"""What is written down about mail that goes on to where its consumer reads it."""

from datetime import timedelta
from typing import NamedTuple

from letterbox.ports.clock import Clock
from letterbox.ports.store import Store
from letterbox.records.destinations import Destinations
from letterbox.records.onward import OnwardRecords
from letterbox.records.secrets import OwnSecret


class Elsewhere(NamedTuple):
    """The records, and the secret that marks what has left."""

    destinations: Destinations
    onward: OnwardRecords
    secret: OwnSecret


def elsewhere(
    store: Store, clock: Clock, *, ours: frozenset[str], comes_back: timedelta
) -> Elsewhere:
    """All of them over one store. ``ours`` are domains that mail comes back to us from.

    ``comes_back`` is how long after it was handed on a message may come back.
    """
    return Elsewhere(
        Destinations(store, clock, ours=ours),
        OnwardRecords(store, clock, comes_back=comes_back),
        OwnSecret(store),
    )
