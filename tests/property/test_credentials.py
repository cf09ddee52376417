"""Keys: looking one up together with others says what looking it up alone would say."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from letterbox.adapters.memory import MemoryStore
from letterbox.records.credentials import Credentials
from tests.support.clock import FakeClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEYS = st.integers(0, 2)
STEPS = st.lists(
    st.tuples(st.sampled_from(["show", "forge", "revoke", "rotate", "go on"]), KEYS), max_size=30
)


class Far(MemoryStore):
    """A store that takes its time to answer: the loop goes round meanwhile."""

    async def get(self, partition, key):
        document = await super().get(partition, key)
        await asyncio.sleep(0)
        return document


async def walk(store, steps):
    credentials = Credentials(store)
    shown = [await credentials.issue("key", f"v{nth}", NOW) for nth in range(3)]
    looks = []

    async def look(secret):
        # One that has never looked before has nothing that it could have kept.
        alone = await Credentials(store).shown("key", secret, NOW)
        assert await credentials.shown("key", secret, NOW) == alone

    for step, nth in steps:
        match step:
            case "show":
                looks.append(asyncio.create_task(look(shown[nth])))
            case "forge":
                looks.append(asyncio.create_task(look(f"{shown[nth][:-1]}-")))
            case "go on":
                await asyncio.sleep(0)
            case _:
                # Who asks while something changes may hear either; who asks afterwards may not.
                await asyncio.gather(*looks)
                looks.clear()
                await look(shown[nth])
                prefix = shown[nth][:12]
                if step == "revoke":
                    await credentials.revoke(prefix)
                else:
                    await credentials.rotate(prefix, NOW, overlap=timedelta(0))
                await look(shown[nth])
    await asyncio.gather(*looks)


@given(STEPS)
def test_what_is_shown_is_what_the_store_says(steps):
    asyncio.run(walk(MemoryStore(FakeClock()), steps))
    asyncio.run(walk(Far(FakeClock()), steps))


class Counted(MemoryStore):
    reads = 0

    async def get(self, partition, key):
        self.reads += partition.startswith("credential/")
        return await super().get(partition, key)


def test_those_who_come_together_share_one_look_and_who_comes_later_has_another():
    async def scenario():
        store = Counted(FakeClock())
        credentials = Credentials(store)
        key = await credentials.issue("key", "v", NOW)
        forged = f"{key[:-1]}-"
        store.reads = 0
        asked = (credentials.owner("key", each, NOW) for each in (key, forged, key, key))
        assert await asyncio.gather(*asked) == ["v", None, "v", "v"]
        assert store.reads == 1
        await asyncio.sleep(0)
        assert await credentials.owner("key", key, NOW) == "v"
        assert store.reads == 2

    asyncio.run(scenario())


def test_who_asks_after_a_key_was_revoked_hears_so_though_others_still_wait():
    async def scenario():
        credentials = Credentials(Far(FakeClock()))
        key = await credentials.issue("key", "v", NOW)
        waiting = [asyncio.create_task(credentials.owner("key", key, NOW)) for _ in range(3)]
        assert await credentials.revoke(key[:12])
        assert await credentials.owner("key", key, NOW) is None
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
