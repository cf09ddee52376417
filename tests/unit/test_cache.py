"""What is remembered of the store is never older than the last change."""

import asyncio

from letterbox.model.vendor import Suspension
from tests.support.api import PEOPLE
from tests.support.house import open_house


async def test_what_was_read_before_a_change_is_not_remembered_after_it():
    async with open_house(PEOPLE) as house:
        vendors, store = house.app.vendors, house.app.store
        vendors._vendors.drop("greenleaf")
        reading, go_on = asyncio.Event(), asyncio.Event()
        get = store.get

        async def slow(partition, key):
            document = await get(partition, key)
            if partition == "vendor/greenleaf" and not reading.is_set():
                reading.set()
                await go_on.wait()
            return document

        store.get = slow
        early = asyncio.create_task(vendors.get("greenleaf"))
        await reading.wait()
        await vendors.suspend("greenleaf", Suspension(at=house.clock.now()))
        go_on.set()
        assert (await early).suspended is None  # it was asked before
        assert (await vendors.get("greenleaf")).suspended is not None
