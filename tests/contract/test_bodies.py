"""Bodies: kept with their message, whatever their size."""

import pytest

from letterbox.ports.store import DropBody, Put, StoreUnavailable
from tests.contract.acts import ANNA, done, on, rejected
from tests.contract.conftest import WITH_BODIES

EDGE = 256 * 1024
pytestmark = pytest.mark.parametrize("store", WITH_BODIES, indirect=True)


@pytest.mark.parametrize("size", [0, 1, 10_000, EDGE - 1, EDGE, EDGE + 1, 3_000_000])
async def test_a_body_is_read_as_it_was_received(store, size):
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert await store.read(ANNA, "id") is None
    kept = await store.prepare("id", content)
    assert await store.read(ANNA, "id") is None
    await done(store, ANNA, Put(key="record", value=b""), *kept)
    assert await store.read(ANNA, "id") == content
    await done(store, ANNA, DropBody(id="id"))
    assert await store.read(ANNA, "id") is None
    await done(store, ANNA, DropBody(id="id"))


@pytest.mark.parametrize("size", [10, EDGE + 1])
async def test_a_body_is_not_kept_by_a_rejected_commit_and_may_be_by_the_next(store, size):
    kept = await store.prepare("id", b"x" * size)
    await rejected(store, ANNA, *kept, Put(key="k", value=b"", expect=1))
    assert await store.read(ANNA, "id") is None
    await done(store, ANNA, *kept, Put(key="k", value=b"", expect=0))
    assert await store.read(ANNA, "id") == b"x" * size


@pytest.mark.parametrize("size", [10, EDGE + 1])
async def test_keeping_a_body_again_changes_nothing(store, size):
    for _ in range(2):
        await done(store, ANNA, *await store.prepare("id", b"x" * size))
    assert await store.read(ANNA, "id") == b"x" * size


@pytest.mark.parametrize("size", [10, EDGE + 1])
async def test_a_body_that_a_rejected_commit_dropped_is_there(store, size):
    await done(store, ANNA, *await store.prepare("id", b"x" * size))
    await rejected(store, ANNA, DropBody(id="id"), Put(key="k", value=b"", expect=1))
    assert await store.read(ANNA, "id") == b"x" * size


@pytest.mark.parametrize("name", ["../../escape", "a\0b", "", "é/📮", "x" * 190])
async def test_a_name_of_a_body_is_only_a_name(store, name):
    await done(store, ANNA, *await store.prepare(name, b"x" * (EDGE + 1)))
    await done(store, ANNA, *await store.prepare(name + "2", b"y"))
    assert await store.read(ANNA, name) == b"x" * (EDGE + 1)
    assert await store.read(ANNA, name + "2") == b"y"


async def test_a_closed_store_says_so(store):
    await store.close()
    await store.close()
    for call in (
        store.commit(on(ANNA)),
        store.get(ANNA, "k"),
        store.documents(ANNA, ""),
        store.prepare("id", b""),
        store.read(ANNA, "id"),
        store.outbox(),
        store.wait(0),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call
