"""Bodies kept outside the store, where the store keeps a reference to each.

A body is written, and durable, before the commit that names it; the commit carries the reference.
What no reference names is not there for anybody, and is removed some day.
"""

from hashlib import sha256
from typing import Final

import msgspec

from letterbox.ports.objects import Objects
from letterbox.ports.store import Bodies, Operation, StoreUnavailable
from letterbox.records import places

#: What a reference begins with. No mail does: a field begins with a letter.
_MARK: Final = b"\0letterbox/body/1\0"


class _Reference(msgspec.Struct, frozen=True, array_like=True):
    size: int
    sha256: bytes


_reference: Final = msgspec.msgpack.Decoder(_Reference)


class OutsideBodies:
    """Bodies, with ``inside`` for the references and what was kept there before."""

    def __init__(self, inside: Bodies, objects: Objects) -> None:
        self._inside = inside
        self.objects = objects

    async def prepare(self, body: str, content: bytes) -> tuple[Operation, ...]:
        """Write a body; the operations keep its reference."""
        await self.objects.write(body, content)
        said = _Reference(len(content), sha256(content).digest())
        return await self._inside.prepare(body, _MARK + msgspec.msgpack.encode(said))

    async def read(self, partition: str, body: str, /) -> bytes | None:
        """The bytes as received; None where they are gone or never were.

        What a commit named and is not there now, or is not what was written, is StoreUnavailable:
        it must not be taken for something that was forgotten.
        """
        kept = await self._inside.read(partition, body)
        if kept is None:
            return None
        said = _said(kept)
        if said is None:
            return kept
        content = await self.objects.read(body)
        if content is None:
            raise StoreUnavailable(f"body {body} is missing where bodies.url says that it is")
        if len(content) != said.size or sha256(content).digest() != said.sha256:
            raise StoreUnavailable(f"body {body} is not what was written: it is damaged")
        return content

    async def has(self, body: str) -> bool:
        """Whether a commit has named a message's body, and none has dropped it."""
        return await self._inside.read(places.message(body), body) is not None


def is_outside(kept: bytes) -> bool:
    """Whether what a store keeps is a reference to a body outside of it."""
    return _said(kept) is not None


def _said(kept: bytes) -> _Reference | None:
    """What a reference says; None for a body itself."""
    if not kept.startswith(_MARK):
        return None
    try:
        return _reference.decode(memoryview(kept)[len(_MARK) :])
    except msgspec.DecodeError:
        return None  # somebody sent this, when bodies were kept inside
