"""What is due and what lies in the outboxes, of the shards that are asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.server import Script
from letterbox.adapters.redis.topology import Topology
from letterbox.adapters.times import from_sortable, sortable
from letterbox.ports.store import DueEntry, OutboxEntry

_DUE: Final = Script("due")
_OUTBOX: Final = Script("outbox")
#: Asked of each shard at first beside its even share: what is due seldom lies evenly.
_SPARE: Final = 8


async def due(
    topology: Topology, shards: Sequence[int], until: datetime, limit: int
) -> list[DueEntry]:
    """Entries due at or before ``until``, the earliest first."""
    if limit <= 0 or not shards:
        return []
    if topology.sharded:
        entries = await _due_apart(topology, shards, until, limit)
    else:
        named = [key for shard in shards for key in (keys.due_times(shard), keys.due(shard))]
        entries = _due(await topology.run(_DUE, named, sortable(until), limit))
    return sorted(entries, key=lambda e: (e.at, e.partition.encode(), e.key.encode()))


async def _due_apart(
    topology: Topology, shards: Sequence[int], until: datetime, limit: int
) -> list[DueEntry]:
    """The same from a script for each shard.

    A shard that has given all it was asked for is asked for more where what it has not given may
    be among the earliest.
    """
    got: dict[int, list[DueEntry]] = {}
    wanted = dict.fromkeys(shards, min(limit, limit // len(shards) + _SPARE))
    while True:
        requests = [
            _DUE.call((keys.due_times(shard), keys.due(shard)), (sortable(until), many))
            for shard, many in wanted.items()
        ]
        answers = await topology.ask_all(requests)
        got |= {shard: _due(answer) for shard, answer in zip(wanted, answers, strict=True)}
        entries = sorted((e for shard in shards for e in got[shard]), key=lambda e: e.at)[:limit]
        wanted = {
            shard: limit
            for shard, many in wanted.items()
            if many < limit
            and len(got[shard]) >= many
            and (len(entries) < limit or got[shard][-1].at < entries[-1].at)
        }
        if not wanted:
            return entries


async def outbox(topology: Topology, shards: Sequence[int], limit: int) -> list[OutboxEntry]:
    """Entries of the outboxes, oldest first within each shard, an equal share of each first."""
    if limit <= 0 or not shards:
        return []
    if not topology.sharded:
        named = [keys.outbox(shard) for shard in shards]
        return _outbox(await topology.run(_OUTBOX, named, limit))
    got: dict[int, list[OutboxEntry]] = {shard: [] for shard in shards}
    full = list(shards)
    while full and (left := limit - sum(map(len, got.values()))) > 0:
        more = max(left // len(full), 1)
        wanted = {shard: len(got[shard]) + more for shard in full}
        got |= await _outboxes(topology, wanted)
        full = [shard for shard, many in wanted.items() if len(got[shard]) >= many]
    return [entry for shard in shards for entry in got[shard]][:limit]


async def _outboxes(topology: Topology, wanted: Mapping[int, int]) -> dict[int, list[OutboxEntry]]:
    requests = [_OUTBOX.call((keys.outbox(shard),), (many,)) for shard, many in wanted.items()]
    answers = await topology.ask_all(requests)
    return {shard: _outbox(answer) for shard, answer in zip(wanted, answers, strict=True)}


def _due(found: Sequence[Any]) -> list[DueEntry]:
    return [_entry(*pair) for pair in zip(found[::2], found[1::2], strict=True)]


def _entry(member: bytes, entry: bytes) -> DueEntry:
    partition, key = keys.unpair(member[20:])
    return DueEntry(partition=partition, key=key, at=from_sortable(member[:20]), value=entry[20:])


def _outbox(found: Sequence[Any]) -> list[OutboxEntry]:
    return [
        OutboxEntry(sequence=keys.number(id_), partition=partition.decode(), value=value)
        for id_, partition, value in zip(found[::3], found[1::3], found[2::3], strict=True)
    ]
