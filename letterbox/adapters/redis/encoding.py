"""Commits as the script reads them, and its answers as results."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from letterbox.adapters.order import apply_in_order
from letterbox.adapters.redis import keys
from letterbox.adapters.times import sortable
from letterbox.ports.store import (
    Add,
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
    Schedule,
    Settle,
    Trim,
    Unclaim,
    Unschedule,
    shard_of,
)

#: Stands where a time would: greater than any.
NEVER: Final = b"~" * 20
_MILLISECOND: Final = timedelta(milliseconds=1)
#: The server forgets what has expired by its own clock, and long enough after ours.
_LINGERS: Final = 3_600_000

Word = bytes | str | int


def encode(commits: Sequence[Commit], now: datetime) -> list[Word]:
    """The script's arguments.

    Raises ValueError or TypeError for what cannot be kept: a name that is no text, a naive time.
    """
    words: list[Word] = [sortable(now)]
    for commit in commits:
        commit.partition.encode()  # no operation may come to look at it
        words += (commit.with_all + 2 * commit.with_previous, len(commit.operations))
        for operation in commit.operations:
            name, *rest = _operation(commit.partition, operation, now)
            words += (name, len(rest), *rest)
    return words


def size(words: Iterable[Word]) -> int:
    """Their octets, about."""
    return sum(len(word) for word in words if isinstance(word, bytes))


def results(commits: Sequence[Commit], answer: Sequence[Sequence[Any]]) -> list[Result]:
    """What became of each: the script answers for those that were not left out, in order."""
    rows = iter(answer)
    return apply_in_order(commits, lambda commit: _result(commit, next(rows)))


def _result(commit: Commit, row: Sequence[Any]) -> Result:
    if row[0] == 1:
        return Done(numbers=tuple(row[1:]))
    return Rejected(operation=commit.operations[row[1] - 1], found=row[2])


def _operation(partition: str, operation: Operation, now: datetime) -> tuple[Word, ...]:
    match operation:
        case Put() | Delete() | Expect():
            return _document(partition, operation)
        case Append(log=log, value=value):
            return "append", keys.log(partition, log), value
        case Trim(log=log, through=through):
            return "trim", keys.log(partition, log), through
        case Add(counter=name, expires=expires, amount=amount, limit=limit):
            moment, most = until(expires, now), "" if limit is None else limit
            return "add", keys.counter(partition, name), *moment, amount, most
        case Claim(name=name, value=value, expires=expires):
            return "claim", keys.claim(partition, name), *until(expires, now), value
        case Unclaim(name=name):
            return "unclaim", keys.claim(partition, name)
        case Schedule() | Unschedule():
            return _scheduled(partition, operation)
        case Emit(value=value):
            return "emit", keys.outbox(shard_of(partition)), partition.encode(), value
        case Settle(sequence=sequence):
            return "settle", keys.outbox(shard_of(partition)), sequence
        case KeepBody(id=name, content=content):
            return "keep", keys.body(name), content
        case DropBody(id=name):
            return "drop", keys.body(name)


def _document(partition: str, operation: Put | Delete | Expect) -> tuple[Word, ...]:
    documents, key = keys.documents(partition), operation.key.encode()
    if isinstance(operation, Expect):
        return "expect", documents, key, operation.revision
    expected = -1 if operation.expect is None else operation.expect
    if isinstance(operation, Put):
        return "put", documents, keys.index(partition), key, operation.value, expected
    return "delete", documents, keys.index(partition), key, expected


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
