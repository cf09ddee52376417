"""Who calls, and how much each may: by address, and by key or token."""

from functools import lru_cache

from aiohttp import web

from letterbox.gateways.http.problems import Problem
from letterbox.model.configuration import HttpSection
from letterbox.model.network import is_among, networks, place_of, plain_ip
from letterbox.ports.clock import Clock
from letterbox.records.rates import Rates

#: What a wrong key costs: so many calls.
_WRONG = 20
_AGAIN = "1"  # seconds
#: Names of proxies in one header that are looked at.
_MOST_HOPS = 20


class Callers:
    """Counts calls by the second. What a proxy says of its caller is taken from those listed."""

    def __init__(self, section: HttpSection, clock: Clock) -> None:
        self._proxies = networks(section.proxies)
        self._addresses = Rates(clock, section.requests_per_address)
        self._keys = Rates(clock, section.requests_per_key)

    def address(self, request: web.Request) -> str:
        """The caller's IP address; empty where the connection is gone already."""
        try:
            address = plain_ip(request.remote or "")
        except ValueError:
            return ""
        if not self._proxies or not is_among(address, self._proxies):
            return address
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        # From the nearest on: what stands before the first that is no proxy of ours, anybody wrote.
        for hop in reversed(hops[-_MOST_HOPS:]):
            try:
                address = plain_ip(_without_port(hop.strip()))
            except ValueError:
                break
            if not is_among(address, self._proxies):
                break
        return address

    def count(self, address: str) -> None:
        """Count one call. Raises a Problem where it is one too many."""
        if address and not self._addresses.take(_share(address)):
            raise _too_many("this address")

    def count_key(self, prefix: str) -> None:
        """The same for a key or token."""
        if not self._keys.take(prefix):
            raise _too_many("this key")

    def count_wrong(self, address: str) -> None:
        """A key that is none was shown; not by a proxy, which shows what others gave it."""
        if address and not is_among(address, self._proxies):
            self._addresses.take(_share(address), cost=_WRONG)


@lru_cache(maxsize=4096)  # few of all addresses call, again and again
def _share(address: str) -> str:
    """Whose calls are counted together with those of an address."""
    return str(place_of(address))


def _without_port(hop: str) -> str:
    """An address alone: some proxies write ``192.0.2.1:4242`` or ``[2001:db8::1]:4242``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _too_many(whose: str) -> Problem:
    detail = f"there are too many calls a second of {whose}"
    return Problem("too-many", detail, headers={"Retry-After": _AGAIN})
