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
``b:`` id                    string      a body
``lease``                    string      who has the store, as long as it does
``owner``                    string      who took the store last
``copying``                  string      how far a copy into this store has come, until it is whole
===========================  ==========  =====================================================
"""

import re
from typing import Final

from letterbox.ports.store import SHARDS, shard_of

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


def body(name: str) -> bytes:
    """A body."""
    return _PREFIX + b"b:" + name.encode()


LEASE: Final = _PREFIX + b"lease"
OWNER: Final = _PREFIX + b"owner"
COPYING: Final = _PREFIX + b"copying"
ALL_DUE: Final = tuple(key for shard in range(SHARDS) for key in (due_times(shard), due(shard)))
ALL_OUTBOXES: Final = tuple(outbox(shard) for shard in range(SHARDS))

#: What each kind of key that is found by looking begins with; a shard's own three are known.
FOUND: Final = {"document": b"d", "log": b"l", "counter": b"n", "claim": b"c", "body": b"b"}
#: What SCAN is asked for to find them all.
ALL: Final = _PREFIX + b"*"
_KIND_OF: Final = {letter: kind for kind, letter in FOUND.items()}
_FOUND: Final = re.compile(re.escape(_PREFIX) + rb"(?:\{[0-9]+\}:([dlnc])|(b)):(.*)", re.DOTALL)


def read(key: bytes) -> tuple[str, str, str] | None:
    """What a key is of: its kind in ``FOUND``, partition and name; None for any other key.

    For documents the name is empty, for a body the partition.
    """
    if not (found := _FOUND.fullmatch(key)):
        return None
    kind, rest = _KIND_OF[found[1] or found[2]], found[3]
    if kind == "body":
        return kind, "", rest.decode()
    if kind == "document":
        return kind, rest.decode(), ""
    return kind, *unpair(rest)


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
