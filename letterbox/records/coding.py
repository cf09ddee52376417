"""How records are written in the store: MessagePack, decoded leniently so that rows can evolve."""

from typing import TypeVar

import msgspec

Row = TypeVar("Row", bound=msgspec.Struct)

_encoder = msgspec.msgpack.Encoder()


def encode(row: object) -> bytes:
    """The stored form of a record."""
    return _encoder.encode(row)


def decode(value: bytes, kind: type[Row]) -> Row:
    """The record of a stored form. Fields it does not know are passed over."""
    return msgspec.msgpack.decode(value, type=kind)
