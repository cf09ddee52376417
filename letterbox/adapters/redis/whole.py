"""Whether a store is a whole one, or a copy that goes on."""

from urllib.parse import urlsplit

import msgspec

from letterbox.adapters.redis import keys
from letterbox.adapters.redis.topology import Topology
from letterbox.model import redis_url
from letterbox.ports.copying import Incomplete, Unfinished
from letterbox.ports.store import StoreUnavailable


async def unfinished_copy(topology: Topology) -> Unfinished | None:
    """How far a copy into this store has come; None where it is a whole one."""
    state = await topology.command("GET", keys.COPYING)
    return None if state is None else msgspec.json.decode(state, type=Unfinished)


async def check_whole(topology: Topology, url: str) -> None:
    """Raises :class:`Incomplete` where a copy into the store was not finished."""
    if (copy := await unfinished_copy(topology)) is not None:
        raise Incomplete(name_of(url), copy.source)


async def check_there(topology: Topology, url: str) -> None:
    """Raises :class:`StoreUnavailable` where there is no store of our layout."""
    layout = await topology.command("GET", keys.LAYOUT_KEY)
    if layout is None:
        raise StoreUnavailable(f"there is no store at {name_of(url)}")
    if int(layout) != keys.LAYOUT:
        raise StoreUnavailable(
            f"the store at {name_of(url)} is of layout {int(layout)}, this version knows "
            f"{keys.LAYOUT}"
        )


def name_of(url: str) -> str:
    """A store's URL without its secrets; the same in whichever order servers are named."""
    if deployment := redis_url.parse(url):
        scheme = f"redis{'s' * deployment.tls}+{deployment.kind}"
        hosts = ",".join(_place(host, port) for host, port in sorted(deployment.hosts))
        path = f"/{deployment.name}/{deployment.database}" if deployment.name else ""
        return f"{scheme}://{hosts}{path}"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    place = _place(parts.hostname or "", parts.port or 6379)
    return f"{parts.scheme}://{place}/{parts.path.strip('/') or 0}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
