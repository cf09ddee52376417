"""Every key of the store, in one place: whoever looks into the server finds the map here.

All begin with the version of this layout; which one there is stands at ``letterbox:layout``. The
number in braces is the partition's shard, and a hash tag: what one commit changes in a partition
lies in one slot of a cluster.

===========================  ==========  =====================================================
key, after the prefix        kind        what it holds
===========================  ==========  =====================================================
``{17}:d:`` partition        hash        documents: key -> revision ``:`` value
``{17}:k:`` partition        sorted set  the keys of its documents, in the order of octets
``{17}:l:`` partition, log   stream      a log; the entry's number is behind the ``0-``
``{17}:n:`` partition, name  string      a counter: until when, then the count
``{17}:c:`` partition, name  string      a claim: until when, then its value
``{17}:w``                   hash        the due-set: name of the entry -> when, then its value
``{17}:t``                   sorted set  the due-set by time: when, then the name
``{17}:o``                   stream      the outbox
``{17}:b:`` id               string      a body
``{17}:m``                   string      nothing: written so that replicas can be waited for
``{17}:lease``               string      who works the shard, as long as it does
``{17}:owner``               string      who took that lease last, until it lets it go
``{17}:fenced``              sorted set  who may not write there any more -> until when
``{all}:present``            sorted set  the processes that have the store -> until when; those that
                                         went without a word stay for a day
``{all}:workers``            sorted set  those of them that work
``{all}:alone``              string      who copies the store, and has it alone meanwhile
``{all}:copying``            string      how far a copy into this store has come, until it is whole
===========================  ==========  =====================================================

What is published goes through channels that begin alike: ``news`` (a partition that was
announced), ``work`` (a shard in which something is to be done soon or was emitted),
``{17}:l:`` partition, log (something was appended there), and ``echo:`` with the name of a process
(by which it sees whether it hears).
"""

import re
from typing import Final, NamedTuple

from letterbox.ports.store import shard_of

#: Grows with every change that an older version could not read.
LAYOUT: Final = 1
_PREFIX: Final = b"letterbox%d:" % LAYOUT
LAYOUT_KEY: Final = b"letterbox:layout"


def _of(shard: int, kind: bytes) -> bytes:
    return _PREFIX + b"{%d}:%s" % (shard, kind)


def documents(partition: str) -> bytes:
    """The hash of a partition's documents."""
    return _of(shard_of(partition), b"d:") + partition.encode()


def index(partition: str) -> bytes:
    """The sorted set of the keys of a partition's documents."""
    return _of(shard_of(partition), b"k:") + partition.encode()


def log(partition: str, name: str) -> bytes:
    """The stream of a log."""
    return _of(shard_of(partition), b"l:") + pair(partition, name)


def counter(partition: str, name: str) -> bytes:
    """A counter."""
    return _of(shard_of(partition), b"n:") + pair(partition, name)


def claim(partition: str, name: str) -> bytes:
    """A claim."""
    return _of(shard_of(partition), b"c:") + pair(partition, name)


def due(shard: int) -> bytes:
    """The hash of a shard's due entries."""
    return _of(shard, b"w")


def due_times(shard: int) -> bytes:
    """The sorted set of a shard's due entries by time."""
    return _of(shard, b"t")


def outbox(shard: int) -> bytes:
    """The stream of a shard's outbox."""
    return _of(shard, b"o")


def body(partition: str, name: str) -> bytes:
    """A body, beside the partition it belongs to."""
    return _of(shard_of(partition), b"b:") + name.encode()


def fenced(shard: int) -> bytes:
    """Who was shut out of a shard."""
    return _of(shard, b"fenced")


def lease(shard: int) -> tuple[bytes, bytes, bytes]:
    """The lease of a shard, who had it last, and who was shut out."""
    return _of(shard, b"lease"), _of(shard, b"owner"), fenced(shard)


def appended(partition: str, name: str) -> bytes:
    """The channel of a log: called as its stream."""
    return log(partition, name)


def echo(name: bytes) -> bytes:
    """The channel through which a process calls itself."""
    return _PREFIX + b"echo:" + name


def mark(partition: str) -> bytes:
    """What is written beside a claim that was found."""
    return _of(shard_of(partition), b"m")


def number(id_: bytes) -> int:
    """The number of a stream's entry."""
    return int(id_.partition(b"-")[2])


PRESENT: Final = _PREFIX + b"{all}:present"
WORKERS: Final = _PREFIX + b"{all}:workers"
ALONE: Final = _PREFIX + b"{all}:alone"
COPYING: Final = _PREFIX + b"{all}:copying"
NEWS: Final = _PREFIX + b"news"
WORK: Final = _PREFIX + b"work"

#: What each kind of key that is found by looking begins with; a shard's own are known.
FOUND: Final = {"document": b"d", "log": b"l", "counter": b"n", "claim": b"c", "body": b"b"}
#: What SCAN is asked for to find them all.
ALL: Final = _PREFIX + b"*"
_KIND_OF: Final = {letter: kind for kind, letter in FOUND.items()}
_FOUND: Final = re.compile(re.escape(_PREFIX) + rb"\{([0-9]+)\}:([dlncb]):(.*)", re.DOTALL)


_SPECIAL: Final = re.compile(rb"[\\*?\[\]]")


def cells(partition: str) -> bytes:
    """What SCAN is asked for to find a partition's counters and claims."""
    whole = _of(shard_of(partition), b"") + b"?:" + pair(partition, "")
    return _SPECIAL.sub(rb"\\\g<0>", whole).replace(b"\\?:", b"[nc]:", 1) + b"*"


class Found(NamedTuple):
    """What a key is of. For documents the name is empty, for a body the partition."""

    kind: str
    shard: int
    partition: str
    name: str


def read(key: bytes) -> Found | None:
    """What a key is of, its kind one in ``FOUND``; None for any other key."""
    if not (found := _FOUND.fullmatch(key)):
        return None
    kind, shard, rest = _KIND_OF[found[2]], int(found[1]), found[3]
    if kind == "body":
        return Found(kind, shard, "", rest.decode())
    if kind == "document":
        return Found(kind, shard, rest.decode(), "")
    return Found(kind, shard, *unpair(rest))


_TAG: Final = re.compile(rb"[^{]*\{([^}]+)\}")


def slot(key: bytes) -> bytes:
    """What of a key decides where in a cluster it lies: the shard, or all of it."""
    tag = _TAG.match(key)
    return tag[1] if tag else key


# Two names in one: a NUL ends the first, and one within it is followed by an octet that no text
# has. Pairs so made sort as their names do.
_END: Final = re.compile(rb"\0(?!\xff)")


def pair(first: str, second: str) -> bytes:
    """Two names as one, whatever is in them."""
    return first.encode().replace(b"\0", b"\0\xff") + b"\0" + second.encode()


def unpair(both: bytes) -> tuple[str, str]:
    """The two names."""
    first, second = _END.split(both, maxsplit=1)
    return first.replace(b"\0\xff", b"\0").decode(), second.decode()
