"""An embedded store as several processes have it: its keeper, and a guest over a real socket."""

from itertools import cycle
from pathlib import Path
from typing import Any

from letterbox.adapters.sqlite import Keeper, SqliteStore
from letterbox.ports.clock import Clock


class Beside:
    """A keeper and its guest. ``guest`` does everything but close and work."""

    def __init__(self, owner: SqliteStore, keeper: Keeper, guest: SqliteStore) -> None:
        self.owner, self.keeper, self.guest = owner, keeper, guest
        # Who works is the keeper, whoever commits.
        self.wait = owner.wait

    @classmethod
    async def open(cls, path: Path, clock: Clock, **settings: Any) -> "Beside":
        owner = await SqliteStore.open(path, clock, **settings)
        keeper = owner.keeper()
        await keeper.start()
        return cls(owner, keeper, await SqliteStore.join(path, clock))

    async def close(self) -> None:
        await self.guest.close()
        await self.keeper.close()
        await self.owner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.guest, name)


class InTurn(Beside):
    """What one of the two commits the other reads."""

    def __init__(self, owner: SqliteStore, keeper: Keeper, guest: SqliteStore) -> None:
        super().__init__(owner, keeper, guest)
        self._turns = cycle(((guest, owner), (owner, guest)))
        self._last = owner

    async def commit(self, *commits: Any) -> Any:
        writes, self._last = next(self._turns)
        return await writes.commit(*commits)

    def __getattr__(self, name: str) -> Any:
        # Who hears of its own commits hears of them at once; of another's a moment later.
        return getattr(self.guest if name in {"listen", "follow"} else self._last, name)
