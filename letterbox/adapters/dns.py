"""Asking the DNS through the resolvers an operator trusts.

A stub over dnspython: it validates nothing itself and believes its servers, so they belong on
the same machine or network. It never blocks the loop, and every question ends within
``timeout``.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import msgspec

from letterbox.ports.resolver import Answer, RecordType, ResolverTrouble

_PAYLOAD = 1232  # octets of UDP that pass everywhere without fragments (DNS flag day 2020)
_ROUNDS = 2  # times each server is asked
_OPEN = 400  # questions on the wire at once, and as many slow ones: a socket each
_FAIR = 0.25  # seconds a question is on the wire before it counts as slow
_LONGEST = 3600.0  # seconds an answer is kept at most: a changed key is soon noticed
_LONGEST_NEGATIVE = 300.0  # seconds; RFC 2308 section 5 allows hours, a new vendor does not
_TROUBLE = 1.0  # seconds; RFC 9520 section 3.2: a failure is kept for one second at least
_NOW = 0.0  # on the loop's clock: has passed
_ABSENT = Answer(values=(), exists=False)

_Key = tuple[str, RecordType]


class _Kept(msgspec.Struct, frozen=True):
    """An answer, or the trouble there was, until ``until`` (monotonic seconds)."""

    answer: Answer | None
    trouble: str
    until: float


class DnsResolver:
    """A caching :class:`~letterbox.ports.resolver.Resolver`.

    ``servers`` are ``host:port`` (an IPv6 host in brackets); none means the system's.
    ``timeout`` bounds a whole question in seconds, retries and TCP included. ``capacity`` is
    the number of answers kept, ``largest`` the octets of one that is kept. ``most`` questions
    are on the wire at once, and as many that have waited ``fair`` seconds; past that the one
    that has waited longest is given up. So names that never answer cannot keep those waiting
    that do. ``monotonic`` is the clock the times to live are counted on.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        *,
        timeout: float = 5.0,
        capacity: int = 10_000,
        largest: int = 4096,
        most: int = _OPEN,
        fair: float = _FAIR,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = [_endpoint(server) for server in servers] or _system_servers()
        self._timeout = timeout
        self._capacity = capacity
        self._largest = largest
        self._monotonic = monotonic
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[Answer]] = {}
        self._places = _Places(most, fair)
        self._backend = dns.asyncbackend.get_backend("asyncio")

    async def ask(self, name: str, record: RecordType) -> Answer:
        """See :meth:`letterbox.ports.resolver.Resolver.ask`.

        Equal questions asked at the same time go out once.
        """
        key = (name.removesuffix(".").lower(), record)
        kept = self._kept.get(key)
        if kept and kept.until > self._monotonic():
            self._kept.move_to_end(key)
            if kept.answer is None:
                raise ResolverTrouble(kept.trouble)
            return kept.answer
        question = _name(key[0])
        if question is None:
            return _ABSENT
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.create_task(self._ask(key, question))
            self._asking[key] = asking
            asking.add_done_callback(lambda task: self._asked(key, task))
        # The question outlives an asker that gives up: others may wait for it.
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """Give up every question that is on its way."""
        asking = tuple(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _asked(self, key: _Key, task: asyncio.Task[Answer]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at here, for nobody may be waiting any more

    async def _ask(self, key: _Key, question: dns.name.Name) -> Answer:
        trouble = "no DNS server is configured"
        try:
            async with asyncio.timeout(self._timeout) as patience, self._places.one(patience):
                for host, port in self._servers * _ROUNDS:
                    try:
                        return await self._ask_server(key, question, host, port)
                    except (dns.exception.DNSException, OSError, EOFError) as error:
                        trouble = f"{host}:{port}: {error or type(error).__name__}"
        except TimeoutError:
            trouble = f"no answer within {self._timeout:g} s"
            if patience.when() == _NOW:
                trouble = "no answer before newer questions needed its place"
        said = f"{key[0]} {key[1]}: {trouble}"
        self._keep(key, _Kept(answer=None, trouble=said, until=self._monotonic() + _TROUBLE))
        raise ResolverTrouble(said)

    async def _ask_server(self, key: _Key, question: dns.name.Name, host: str, port: int) -> Answer:
        query = dns.message.make_query(question, key[1], use_edns=0, payload=_PAYLOAD)
        response, _ = await dns.asyncquery.udp_with_fallback(
            query,
            host,
            timeout=self._timeout / (_ROUNDS * len(self._servers)),
            port=port,
            ignore_unexpected=True,  # a datagram from elsewhere is not the answer
            ignore_errors=True,  # nor is one that does not fit the question
            backend=self._backend,
        )
        rcode = response.rcode()
        if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not isinstance(
            response, dns.message.QueryMessage
        ):
            raise OSError(f"answered {dns.rcode.to_text(rcode)}")
        chain = response.resolve_chaining()
        if chain.answer is None:
            answer = Answer(values=(), exists=rcode == dns.rcode.NOERROR)
        else:
            answer = Answer(values=_values(chain.answer, key[1]))
        seconds = _seconds(chain, response)
        if seconds and sum(map(len, answer.values)) <= self._largest:
            until = self._monotonic() + seconds
            self._keep(key, _Kept(answer=answer, trouble="", until=until))
        return answer

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)


class _Place:
    """Where one question is on the wire."""

    def __init__(self, patience: asyncio.Timeout) -> None:
        self.patience = patience
        self.slow = False


class _Places:
    """Room for ``most`` questions, and for as many that have been out for ``fair`` seconds.

    A question waits for room among the first; past ``fair`` seconds it leaves that to the next.
    Where the slow have no room either, the one that has waited longest gives up.
    """

    def __init__(self, most: int, fair: float) -> None:
        self._most = most
        self._fair = fair
        self._free = asyncio.Semaphore(most)
        self._slow: dict[_Place, None] = {}  # the longest waiting first

    @asynccontextmanager
    async def one(self, patience: asyncio.Timeout) -> AsyncIterator[None]:
        """A place for a question that ``patience`` ends, also to make room."""
        await self._free.acquire()
        place = _Place(patience)
        moving = asyncio.get_running_loop().call_later(self._fair, self._move, place)
        try:
            yield
        finally:
            moving.cancel()
            self._slow.pop(place, None)
            if not place.slow:
                self._free.release()

    def _move(self, place: _Place) -> None:
        place.slow = True
        self._free.release()
        self._slow[place] = None
        if len(self._slow) > self._most:
            longest = next(iter(self._slow))
            del self._slow[longest]
            if not longest.patience.expired():
                longest.patience.reschedule(_NOW)


def _seconds(chain: dns.message.ChainingResult, response: dns.message.Message) -> float:
    """How long an answer may be kept; 0 where it may not.

    A negative one without its zone's SOA may not, for nothing bounds it (RFC 2308, section 5).
    """
    if chain.answer is not None:
        return min(float(chain.minimum_ttl), _LONGEST)
    bounded = any(
        rrset.rdtype == dns.rdatatype.SOA and chain.canonical_name.is_subdomain(rrset.name)
        for rrset in response.authority
    )
    return min(float(chain.minimum_ttl), _LONGEST_NEGATIVE) if bounded else 0.0


def _values(rrset: dns.rrset.RRset, record: RecordType) -> tuple[bytes, ...] | tuple[str, ...]:
    if record == "TXT":
        return tuple(b"".join(rdata.strings) for rdata in rrset)
    if record == "MX":
        ordered = sorted(rrset, key=lambda rdata: int(rdata.preference))
        return tuple(_host(rdata.exchange) for rdata in ordered)
    if record == "PTR":
        return tuple(_host(rdata.target) for rdata in rrset)
    return tuple(str(rdata.address) for rdata in rrset)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _name(text: str) -> dns.name.Name | None:
    """A name as it is written, no escapes; None where no such name can be."""
    octets = text.encode("utf-8", "surrogateescape")
    try:
        return dns.name.Name([*octets.split(b"."), b""])
    except dns.exception.DNSException:
        return None


def _endpoint(server: str) -> tuple[str, int]:
    """Read ``host:port``. Raises ValueError."""
    host, colon, port = server.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError(f"dns.servers: {server!r} is not host:port, such as 127.0.0.1:53")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _system_servers() -> list[tuple[str, int]]:
    try:
        system = dns.resolver.Resolver(configure=True)
    except dns.resolver.NoResolverConfiguration:
        return []
    return [(str(server), system.port) for server in system.nameservers][:3]
