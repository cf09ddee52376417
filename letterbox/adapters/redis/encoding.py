"""Commits as the script reads them, and its answers as results."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from letterbox.adapters.order import apply_in_order
from letterbox.adapters.redis import keys
from letterbox.adapters.times import sortable
from letterbox.ports.store import (
    Add,
    Announce,
    Append,
    Claim,
    Commit,
    Delete,
    Done,
    DropBody,
    Emit,
    Expect,
    KeepBody,
    Operation,
    Put,
    Rejected,
    Result,
    Rewrite,
    Schedule,
    Settle,
    Trim,
    Unclaim,
    Uncount,
    Unschedule,
    shard_of,
)

#: Stands where a time would: greater than any.
NEVER: Final = b"~" * 20
_MILLISECOND: Final = timedelta(milliseconds=1)
#: What is due later than this wakes nobody in another process: nobody sleeps longer.
HORIZON: Final = timedelta(seconds=30)
#: The server forgets what has expired by its own clock, and long enough after ours.
_LINGERS: Final = 3_600_000

Word = bytes | str | int
#: How many words of an operation are keys, where it is not one: they come first.
_KEYS: Final = {"put": 2, "delete": 2, "schedule": 2, "unschedule": 2, "tell": 0, "announce": 0}


def encode(
    commits: Sequence[Commit], now: datetime, origin: bytes
) -> tuple[list[bytes], list[Word]]:
    """The script's keys, and its arguments. What it publishes begins with ``origin``.

    All keys are named: while a slot of a cluster moves, a script either finds them all or does
    nothing.

    Raises ValueError or TypeError for what cannot be kept: a name that is no text, a naive time.
    """
    fences = {keys.fenced(shard_of(commit.partition)): None for commit in commits}
    touched: dict[bytes, None] = {}
    words: list[Word] = [len(fences), sortable(now)]
    for commit in commits:
        commit.partition.encode()  # no operation may come to look at it
        operations = [_operation(commit.partition, each, now) for each in commit.operations]
        operations += [("tell", to, origin + b" " + word) for to, word in _told(commit, now)]
        words += (commit.with_all + 2 * commit.with_previous, len(operations))
        for name, *rest in operations:
            words += (name, len(rest), *rest)
            touched.update(dict.fromkeys(cast("list[bytes]", rest[: _KEYS.get(str(name), 1)])))
    return [*fences, *touched], words


def _told(commit: Commit, now: datetime) -> Iterator[tuple[bytes, bytes]]:
    """What others are told of a commit: through which channel, and what."""
    told: dict[tuple[bytes, bytes], None] = {}
    shard = b"%d" % shard_of(commit.partition)
    for operation in commit.operations:
        match operation:
            case Append(log=log):
                told[keys.appended(commit.partition, log), b""] = None
            case Emit():
                told[keys.WORK, shard] = None
            case Schedule(at=at) if at <= now + HORIZON:
                told[keys.WORK, shard] = None
            case Announce():
                told[keys.NEWS, commit.partition.encode()] = None
    yield from told


def size(words: Iterable[Word]) -> int:
    """Their octets, about."""
    return sum(len(word) for word in words if isinstance(word, bytes))


def results(commits: Sequence[Commit], answer: Sequence[Sequence[Any]]) -> list[Result]:
    """What became of each: the script answers for those that were not left out, in order."""
    rows = iter(answer)
    return apply_in_order(commits, lambda commit: _result(commit, next(rows)))


def _result(commit: Commit, row: Sequence[Any]) -> Result:
    if row[0] == 1:
        return Done(numbers=tuple(row[1 : len(commit.operations) + 1]))
    return Rejected(operation=commit.operations[row[1] - 1], found=row[2])


def _operation(partition: str, operation: Operation, now: datetime) -> tuple[Word, ...]:
    match operation:
        case Put() | Delete() | Expect():
            return _document(partition, operation)
        case Append() | Trim() | Rewrite():
            return _logged(keys.log(partition, operation.log), operation)
        case Add() | Uncount():
            return _counted(keys.counter(partition, operation.counter), operation, now)
        case Claim() | Unclaim():
            return _claimed(keys.claim(partition, operation.name), operation, now)
        case Schedule() | Unschedule():
            return _scheduled(partition, operation)
        case Emit(value=value):
            return "emit", keys.outbox(shard_of(partition)), partition.encode(), value
        case Settle(sequence=sequence):
            return "settle", keys.outbox(shard_of(partition)), sequence
        case Announce():
            return ("announce",)
        case KeepBody(id=name, content=content):
            return "keep", keys.body(partition, name), content
        case DropBody(id=name):
            return "drop", keys.body(partition, name)


def _document(partition: str, operation: Put | Delete | Expect) -> tuple[Word, ...]:
    documents, key = keys.documents(partition), operation.key.encode()
    if isinstance(operation, Expect):
        return "expect", documents, key, operation.revision
    expected = -1 if operation.expect is None else operation.expect
    if isinstance(operation, Put):
        return "put", documents, keys.index(partition), key, operation.value, expected
    return "delete", documents, keys.index(partition), key, expected


def _logged(key: bytes, operation: Append | Trim | Rewrite) -> tuple[Word, ...]:
    match operation:
        case Append(value=value):
            return "append", key, value
        case Trim(through=through):
            return "trim", key, through
        case Rewrite(entries=entries):
            words = (word for sequence, value in entries for word in (sequence, value))
            return "rewrite", key, *words


def _counted(key: bytes, operation: Add | Uncount, now: datetime) -> tuple[Word, ...]:
    if isinstance(operation, Uncount):
        return "unclaim", key  # either is one string
    most = "" if operation.limit is None else operation.limit
    return "add", key, *until(operation.expires, now), operation.amount, most


def _claimed(key: bytes, operation: Claim | Unclaim, now: datetime) -> tuple[Word, ...]:
    if isinstance(operation, Claim):
        return "claim", key, *until(operation.expires, now), operation.value
    return "unclaim", key


def _scheduled(partition: str, operation: Schedule | Unschedule) -> tuple[Word, ...]:
    shard, name = shard_of(partition), keys.pair(partition, operation.key)
    places = keys.due(shard), keys.due_times(shard)
    if isinstance(operation, Schedule):
        return "schedule", *places, name, sortable(operation.at), operation.value
    return "unschedule", *places, name, int(operation.expect)


def until(expires: datetime | None, now: datetime) -> tuple[bytes, int]:
    """When something expires, and after how many milliseconds the server may forget it."""
    if expires is None:
        return NEVER, 0
    return sortable(expires), max((expires - now) // _MILLISECOND, 0) + _LINGERS
