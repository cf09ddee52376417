"""Reading the content of a message in blocks, to its true end and no other."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from letterbox.gateways.smtp.replies import (
    DIRTY_CHUNKS,
    DIRTY_CONTENT,
    NO_ROOM,
    Reply,
    line_too_long,
    too_large,
)

#: RFC 5321, section 4.1.1.4: the one end of the content. Nothing else ends it.
_END = b"\r\n.\r\n"
_CRLF = b"\r\n"
_ORDINARY = bytes(set(range(256)) - {0x00, 0x0A, 0x0D})

#: How much is read at once. Up to this a message is one block, found by one search; and so much
#: may lie unread in each connection, beside what there is room for.
BLOCK = 128 * 1024


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Octets: of the content, and of one line of it without CRLF."""

    max_size: int
    max_line: int


class Room:
    """The octets of content that all sessions of a gateway may hold at once."""

    def __init__(self, octets: int) -> None:
        self.free = octets

    def share(self) -> "Share":
        """One message's part, empty yet."""
        return Share(self)


class Share:
    """What one message holds of a room: as much as it leaves free, at most.

    So those that are large leave off first, and however many there are, a small one that comes
    then finds its place.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0

    def take(self, octets: int) -> bool:
        """Hold so many more; false where there is no room for them."""
        if self._taken + octets > self._room.free - octets:
            return False
        self._taken += octets
        self._room.free -= octets
        return True

    def give_back(self) -> None:
        """Hold nothing any longer."""
        self._room.free += self._taken
        self._taken = 0


class _LineEnds:
    """Whether every CR and LF stands in a CRLF, and NUL nowhere; over blocks as they come."""

    def __init__(self) -> None:
        self._strays = 0
        self._before = b""

    def add(self, block: bytes) -> None:
        # A regular expression takes forty times as long.
        pairs = block.count(_CRLF)
        if self._before == b"\r" and block.startswith(b"\n"):
            pairs += 1
        self._strays += len(block.translate(None, _ORDINARY)) - 2 * pairs
        self._before = block[-1:]

    @property
    def clean(self) -> bool:
        return not self._strays


@contextmanager
def in_blocks(reader: Any, limit: int) -> Iterator[None]:
    """Under the ``limit`` for commands the stream would be stopped every few thousand octets."""
    reader._limit = BLOCK  # noqa: SLF001 - a StreamReader's limit cannot be changed otherwise
    try:
        yield
    finally:
        reader._limit = limit  # noqa: SLF001


async def read_content(reader: asyncio.StreamReader, bounds: Bounds, share: Share) -> bytes | Reply:
    """Read to the end of the content; give it without dots stuffed, or what is wrong with it.

    ``reader`` must have been fed CRLF before the content, so that an end at once is found as any
    other. Too large a content, or one that finds no room, is read to its end, and not kept; of
    any other ``share`` holds the octets. Raises IncompleteReadError where the client goes.
    """
    # Without a dot stuffed in each line of one octet it would be a quarter shorter, at most.
    keep = bounds.max_size * 4 // 3 + len(_CRLF + _END)
    ends = _LineEnds()
    kept: list[bytes] = []
    size, last, crowded = 0, False, False
    while not last:
        try:
            block = await reader.readuntil(_END)
            last = True
        except asyncio.LimitOverrunError as overrun:
            block = await reader.readexactly(overrun.consumed)
        ends.add(block)
        size += len(block)
        crowded = crowded or (size <= keep and not share.take(len(block)))
        if crowded or size > keep:
            kept.clear()
            share.give_back()
        else:
            kept.append(block)
    if not ends.clean:
        # RFC 5321, section 2.3.8: CR and LF only together. Whoever forwarded this may see other
        # ends in it than we do (SMTP smuggling), so what follows it cannot be trusted.
        return DIRTY_CONTENT
    if size > keep:
        return too_large(bounds.max_size)
    if crowded:
        return NO_ROOM
    content = _unstuffed(kept)
    if len(content) > bounds.max_size:
        return too_large(bounds.max_size)
    if _has_longer_line(content, bounds.max_line):
        return line_too_long(bounds.max_line)
    return content


def _unstuffed(blocks: list[bytes]) -> bytes:
    """The content between the CRLF before it and its end. ``blocks`` are let go of."""
    whole = b"".join(blocks)
    blocks.clear()
    if whole.find(b"\r\n.") == len(whole) - len(_END):
        return whole[len(_CRLF) : -len(b".\r\n")]
    # RFC 5321, section 4.5.2: the first dot of a line goes. The one of the end goes with them.
    whole = whole.replace(b"\r\n.", _CRLF)
    return whole[len(_CRLF) : -len(_CRLF)]


def _has_longer_line(content: bytes, limit: int) -> bool:
    """Whether a line is longer than ``limit``: from one line end to the last within reach."""
    at = 0
    reach = limit + len(_CRLF)
    while len(content) - at > reach:
        end = content.rfind(_CRLF, at, at + reach)
        if end < 0:
            return True
        at = end + len(_CRLF)
    return False


class Chunks:
    """A content that comes in counted chunks (RFC 3030), in which no end is looked for.

    ``until`` is when all of them must have come, in seconds of the loop's clock.
    """

    def __init__(self, bounds: Bounds, share: Share, until: float) -> None:
        self.until = until
        self.size = 0
        self._bounds = bounds
        self._share = share
        self._kept = bytearray()

    async def take(self, reader: asyncio.StreamReader, octets: int) -> Reply | None:
        """Read one chunk; what is wrong with the message, or None.

        It finds room as it comes, and is read to its end whatever is wrong. Raises
        IncompleteReadError where the client goes.
        """
        self.size += octets
        fault = too_large(self._bounds.max_size) if self.size > self._bounds.max_size else None
        while octets > 0:
            block = await reader.readexactly(min(octets, BLOCK))
            octets -= len(block)
            if fault is None and not self._share.take(len(block)):
                fault = NO_ROOM
            if fault is None:
                self._kept += block
        if fault is not None:
            self.let_go()
        return fault

    def content(self) -> bytes | Reply:
        """All of them, or what is wrong with the whole. They are let go of."""
        content = bytes(self._kept)
        self._kept.clear()
        ends = _LineEnds()
        ends.add(content)
        if not ends.clean:
            return DIRTY_CHUNKS
        if _has_longer_line(content, self._bounds.max_line):
            return line_too_long(self._bounds.max_line)
        return content

    def let_go(self) -> None:
        """Keep nothing of it."""
        self._kept.clear()
        self._share.give_back()


async def skip(reader: asyncio.StreamReader, octets: int) -> None:
    """Read so much and keep nothing. Raises IncompleteReadError where the client goes."""
    while octets > 0:
        octets -= len(await reader.readexactly(min(octets, BLOCK)))


async def skip_line(
    reader: asyncio.StreamReader, overrun: asyncio.LimitOverrunError, most: int
) -> bool:
    """Read an over-long line to its LF; false where it does not end within ``most`` octets."""
    most -= len(await reader.readexactly(overrun.consumed))
    while most > 0:
        try:
            await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as more:
            most -= len(await reader.readexactly(more.consumed))
        else:
            return True
    return False
