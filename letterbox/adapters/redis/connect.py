"""From a URL to the servers behind it."""

from typing import Any

from redis.asyncio import SSLConnection
from redis.asyncio.connection import parse_url

from letterbox.adapters.redis.cluster import Cluster
from letterbox.adapters.redis.sentinel import Sentinel
from letterbox.adapters.redis.topology import Single, Topology
from letterbox.model import redis_url


def connect(url: str, patience: float) -> Topology:
    """The servers at ``url``. Nothing is connected yet.

    ``patience``: so many seconds a command may take. Raises ValueError for what is no URL of ours.
    """
    deployment = redis_url.parse(url)
    if deployment is None:
        return Single(dict(parse_url(url)), patience)
    options: dict[str, Any] = {
        "username": deployment.username,
        "password": deployment.password,
    }
    if deployment.tls:
        options["connection_class"] = SSLConnection
    if deployment.kind == "cluster":
        return Cluster(deployment.hosts, options, patience)
    options["db"] = deployment.database
    return Sentinel(deployment.hosts, deployment.name, options, patience)
