"""A secret of the installation's own, made once, and the same for all of its processes."""

import hashlib
import hmac
import os
from typing import Literal

from letterbox.ports.store import Commit, Put, Store
from letterbox.records import places

_OCTETS = 32
Purpose = Literal["return-path", "loop"]


class OwnSecret:
    """It lies in the store beside everything that it protects, and goes along when that moves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: bytes | None = None

    async def key(self, purpose: Purpose) -> bytes:
        """A key of 256 bits, another for each purpose."""
        return hmac.new(await self._secret(), purpose.encode(), hashlib.sha256).digest()

    async def _secret(self) -> bytes:
        if self._known is None:
            made = Put(key=places.SECRET, value=os.urandom(_OCTETS), expect=0)
            document = await self._store.get(places.DIRECTORY, places.SECRET)
            if document is None:
                # Of two processes at once the first makes it, and both read what that wrote.
                await self._store.commit(Commit(places.DIRECTORY, (made,)))
                document = await self._store.get(places.DIRECTORY, places.SECRET)
            self._known = document.value if document else made.value
        return self._known
