"""Short ways to say what the contract's tests say often."""

from letterbox.ports.store import Commit, Done, Operation, Rejected, Store

ANNA = "consumer/anna"
BEN = "consumer/ben"


def on(partition: str, *operations: Operation) -> Commit:
    return Commit(partition=partition, operations=operations)


async def done(store: Store, partition: str, *operations: Operation) -> tuple[int, ...]:
    """Commit what must succeed; its numbers."""
    (result,) = await store.commit(on(partition, *operations))
    assert isinstance(result, Done), result
    return result.numbers


async def rejected(store: Store, partition: str, *operations: Operation) -> tuple[Operation, bytes]:
    """Commit what must fail; which operation did, and what stood in its way."""
    (result,) = await store.commit(on(partition, *operations))
    assert isinstance(result, Rejected), result
    return result.operation, result.found
