"""The store on a server that speaks the Redis protocol."""

from letterbox.adapters.redis.server import Unsafe
from letterbox.adapters.redis.store import RedisStore

__all__ = ["RedisStore", "Unsafe"]
