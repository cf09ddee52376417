"""What a keeper and its guests say to each other: lengths, and MessagePack of that many octets."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from letterbox.adapters.sqlite.bodies import KeepFile
from letterbox.ports.store import Commit, Operation, Rejected

#: Octets of one frame at most. What is larger than a small body lies in a file, so that this is
#: for documents: the largest there are have some megabytes.
LARGEST: Final = 64 << 20
_HEAD: Final = 4


class Broken(Exception):
    """What came is none of this."""


class Asked(Commit, frozen=True):
    """A commit as it comes from a guest."""

    operations: tuple[Operation | KeepFile, ...]


class Hello(msgspec.Struct, frozen=True, tag="hello", array_like=True):
    """Said once by a guest, and said back."""

    version: str


class Asking(msgspec.Struct, frozen=True, tag="ask", array_like=True):
    """A call of ``commit``, as it is sent."""

    number: int
    commits: Sequence[Commit]


class Ask(msgspec.Struct, frozen=True, tag="ask", array_like=True):
    """The same as it comes. ``commits``, :class:`Asked` all, are read by themselves.

    So what cannot be read of them is answered to whoever asked.
    """

    number: int
    commits: msgspec.Raw


class Answer(msgspec.Struct, frozen=True, tag="answer", array_like=True):
    """What has become of a call: of each commit the numbers of Done, or what was in its way."""

    number: int
    results: tuple[tuple[int, ...] | Rejected, ...]


class Trouble(msgspec.Struct, frozen=True, tag="trouble", array_like=True):
    """What a call has raised."""

    number: int
    kind: str
    message: str


class News(msgspec.Struct, frozen=True, tag="news", array_like=True):
    """That somebody else has appended to a log of a partition or, without one, announced it."""

    partition: str
    log: str | None = None


class Leave(msgspec.Struct, frozen=True, tag="leave", array_like=True):
    """Said by a keeper that ends: what was sent is answered, and no more is taken."""


FromGuest: Final = msgspec.msgpack.Decoder(Hello | Ask)
FromKeeper: Final = msgspec.msgpack.Decoder(Hello | Answer | Trouble | News | Leave)
Commits: Final = msgspec.msgpack.Decoder(tuple[Asked, ...])
#: What a call may raise, by kind; all else is :class:`StoreUnavailable`.
RAISED: Final[Mapping[str, type[Exception]]] = MappingProxyType(
    {"type": TypeError, "overflow": OverflowError, "value": ValueError}
)
#: Decoders raise this for what they cannot read.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError)

_encode: Final = msgspec.msgpack.Encoder().encode


@cache
def our_version() -> str:
    """Both ends must be of one version: what they say to each other is nobody else's business."""
    return version("letterbox")


def place(store: Path) -> Path:
    """Where guests reach the keeper of a store."""
    return store.with_name(store.name + ".keeper")


def asking(number: int, commits: Sequence[Commit]) -> tuple[bytes, bytes]:
    """The frame of a call. Raises ValueError or TypeError for what no store could keep."""
    return frame(Asking(number, commits))


def frame(said: msgspec.Struct) -> tuple[bytes, bytes]:
    """The head and the body of a frame, to be written one after the other."""
    body = _encode(said)
    if len(body) > LARGEST:
        raise ValueError(f"{len(body):,} octets at once are more than {LARGEST:,}")
    return len(body).to_bytes(_HEAD, "big"), body


class Frames:
    """Cuts into frames what comes in pieces of any size, in time proportional to it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def cut(self, piece: bytes) -> list[bytes]:
        """The bodies of the frames that are whole now. Raises :class:`Broken`."""
        held = self._held
        held += piece
        bodies: list[bytes] = []
        begin = 0
        while len(held) - begin >= _HEAD:
            after = begin + _HEAD
            size = int.from_bytes(held[begin:after], "big")
            if size > LARGEST:
                raise Broken(f"a frame of {size:,} octets")
            if len(held) < after + size:
                break
            with memoryview(held) as view:
                bodies.append(bytes(view[after : after + size]))
            begin = after + size
        del held[:begin]
        return bodies
