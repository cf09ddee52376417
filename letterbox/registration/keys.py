"""A vendor's API keys: made, replaced, revoked."""

from datetime import timedelta
from typing import Final

from letterbox.model.vendor import Scope
from letterbox.ports.clock import Clock
from letterbox.records.credentials import Credential, Credentials, Listed

#: Keys of one vendor that are good at once.
MOST_KEYS: Final = 50


class TooManyKeys(Exception):
    """There are as many good keys as there may be."""


class Keys:
    """The keys of all vendors, as their vendors see to them. A whole key is seen once."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials = credentials
        self._clock = clock

    async def of(self, vendor: str) -> list[Listed]:
        """The keys that are good now, the oldest first."""
        now = self._clock.now()
        listed = await self._credentials.listed("key", vendor)
        return [each for each in listed if not each.credential.is_over(now)]

    async def find(self, vendor: str, prefix: str) -> Credential | None:
        """A key by its public prefix. Another vendor's looks like none."""
        row = await self._credentials.find(prefix)
        return row if row and (row.purpose, row.owner) == ("key", vendor) else None

    async def issue(
        self,
        vendor: str,
        *,
        label: str = "",
        scopes: tuple[Scope, ...] = (),
        lasts: timedelta | None = None,
    ) -> str:
        """Make a key; no ``scopes``: all. Raises :class:`TooManyKeys`."""
        await self._look_for_room(vendor)
        return await self._credentials.issue(
            "key", vendor, self._clock.now(), lasts=lasts, scopes=scopes, label=label
        )

    async def rotate(self, vendor: str, prefix: str, overlap: timedelta) -> str | None:
        """Make a key like another, which serves on for ``overlap``; None where there is none.

        Raises :class:`TooManyKeys`.
        """
        if await self.find(vendor, prefix) is None:
            return None
        await self._look_for_room(vendor)
        return await self._credentials.rotate(prefix, self._clock.now(), overlap=overlap)

    async def revoke(self, vendor: str, prefix: str) -> bool:
        """Revoke a key, at once; false where there is none."""
        if await self.find(vendor, prefix) is None:
            return False
        return await self._credentials.revoke(prefix)

    async def _look_for_room(self, vendor: str) -> None:
        """See that there is room for one key more; what is over makes room."""
        now, good = self._clock.now(), 0
        for row, _ in await self._credentials.listed("key", vendor):
            if row.is_over(now):
                await self._credentials.revoke(row.prefix)
            else:
                good += 1
        if good >= MOST_KEYS:
            raise TooManyKeys
