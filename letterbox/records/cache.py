"""A bounded memory of what was read last."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most ``size`` entries; the one unused longest goes first.

    What is read from the store while somebody changes it may be old already when it comes: a
    reader takes ``drops`` before it reads, and ``put`` passes over what was read before a drop.
    """

    def __init__(self, size: int) -> None:
        self.drops = 0
        self._size = size
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The entry, which is the newest now."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value, *, read_at: int | None = None) -> None:
        """Remember; forget the oldest where there are too many.

        ``read_at`` is what ``drops`` was before the value was read.
        """
        if read_at is not None and read_at != self.drops:
            return
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Forget."""
        self.drops += 1
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self.drops += 1
        self._entries.clear()
