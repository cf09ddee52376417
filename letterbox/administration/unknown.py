"""When a command names a consumer whom there is not."""

from letterbox.administration.failed import Failed
from letterbox.administration.shape import nearest
from letterbox.records.consumers import Consumers


async def unknown(consumers: Consumers, name: str) -> Failed:
    """What is to be raised; it says whose id is like the one that was written."""
    return Failed(f"there is no consumer {name!r}" + nearest(name, await consumers.all()))
