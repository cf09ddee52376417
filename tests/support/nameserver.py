"""A name server on loopback for tests: any zone, and every way in which one misbehaves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from letterbox.adapters.dns import DnsResolver

#: ``silent`` never answers; ``slow`` not before the test lets it (``release``); ``truncated``
#: says no more over UDP than that TCP is needed; ``lying`` answers under another id, with other
#: records than the true ones; ``forged`` does so and tells the truth right after; ``nodata``
#: has the name and nothing there; ``garbage`` is no DNS message.
Mode = Literal[
    "servfail",
    "refused",
    "nxdomain",
    "nodata",
    "silent",
    "slow",
    "truncated",
    "lying",
    "forged",
    "garbage",
]
Records = Mapping[str, Mapping[str, Sequence[str]]]

_CHAIN = 8  # aliases followed for one question
_RCODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "nxdomain": dns.rcode.NXDOMAIN,
    "nodata": dns.rcode.NOERROR,
}
#: What a liar says: everybody may send, and no key is needed to know it.
_LIE = "v=spf1 +all"


class NameServer:
    """Answers for ``records``: name → type → values, as a zone file writes them.

    TXT values are plain text of any length. ``*.example`` stands for every name below that has
    no records of its own. ``asked`` keeps every question as (name, type), over UDP and TCP;
    ``unanswered`` is set once one has met silence.
    """

    def __init__(self, records: Records) -> None:
        self.records = {name.lower(): dict(types) for name, types in records.items()}
        self.modes: dict[str, Mode] = {}
        self.asked: list[tuple[str, str]] = []
        self.over_tcp: list[str] = []
        self.release = asyncio.Event()
        self.unanswered = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def behave(self, mode: Mode | None, *names: str) -> None:
        """Misbehave for these names, ``*`` for all; None behaves again."""
        for name in names:
            self.modes.pop(name, None)
            if mode:
                self.modes[name] = mode

    # ---- what is answered ----

    def answers(self, wire: bytes, *, udp: bool) -> tuple[list[bytes], bool]:
        """The datagrams that answer a question, and whether they wait for ``release``."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = _text(question.name)
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype)))
        if not udp:
            self.over_tcp.append(name)
        mode = self.modes.get(name) or self.modes.get("*")
        if mode == "silent":
            self.unanswered.set()
            return [], False
        if mode == "garbage":
            return [wire[:2] + b"\xff" * 9], False
        response = dns.message.make_response(query, recursion_available=True)
        if mode in _RCODES:
            response.set_rcode(_RCODES[mode])
        elif mode == "truncated" and udp:
            response.flags |= dns.flags.TC
        else:
            response.set_rcode(self._fill(response, question.name, question.rdtype))
        if not response.answer:
            response.authority.append(_soa())
        size = query.payload or 512
        true = response.to_wire(max_size=size if udp else 65535, prefer_truncation=udp)
        if mode in ("lying", "forged"):
            return [_lie(query), *([true] if mode == "forged" else [])], False
        return [true], mode == "slow"

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, record: dns.rdatatype.RdataType
    ) -> dns.rcode.Rcode:
        for _ in range(_CHAIN):
            types = self._types(_text(name))
            if types is None:
                return dns.rcode.NXDOMAIN
            kind = record if dns.rdatatype.to_text(record) in types else dns.rdatatype.CNAME
            values = types.get(dns.rdatatype.to_text(kind), ())
            if values:
                rdatas = [_rdata(kind, value) for value in values]
                response.answer.append(dns.rrset.from_rdata_list(name, 60, rdatas))
            if kind == record or not values:
                return dns.rcode.NOERROR
            name = dns.name.from_text(values[0])
        return dns.rcode.NOERROR  # a loop: the aliases alone

    def _types(self, name: str) -> Mapping[str, Sequence[str]] | None:
        if name in self.records:
            return self.records[name]
        if any(known.endswith("." + name) for known in self.records):
            return {}  # an empty non-terminal (RFC 8020)
        above = name
        while above:
            above = above.partition(".")[2]
            if f"*.{above}" in self.records:
                return self.records[f"*.{above}"]
        return None

    # ---- how it is answered ----

    def start_answer(self, wire: bytes, transport: asyncio.DatagramTransport, peer: object) -> None:
        """Answer one datagram, at once or when it may be."""
        datagrams, waits = self.answers(wire, udp=True)
        if waits:
            task = asyncio.create_task(self._later(datagrams, transport, peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        for datagram in datagrams:
            transport.sendto(datagram, peer)

    async def _later(
        self, datagrams: list[bytes], transport: asyncio.DatagramTransport, peer: object
    ) -> None:
        await self.release.wait()
        for datagram in datagrams:
            transport.sendto(datagram, peer)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection (RFC 7766)."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                answers, _ = self.answers(await reader.readexactly(length), udp=False)
                for answer in answers:
                    writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(server: NameServer) -> AsyncIterator[str]:
    """Serve on one free port of loopback, UDP and TCP; gives ``host:port``."""
    loop = asyncio.get_running_loop()
    while True:
        tcp = await asyncio.start_server(server.talk, "127.0.0.1", 0)
        port = tcp.sockets[0].getsockname()[1]
        try:
            udp, protocol = await loop.create_datagram_endpoint(
                lambda: _Datagrams(server), local_addr=("127.0.0.1", port)
            )
            break
        except OSError:  # somebody has this port for UDP
            tcp.close()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.release.set()
        udp.close()
        await protocol.closed.wait()
        tcp.close()
        await tcp.wait_closed()


@asynccontextmanager
async def resolving(server: NameServer, *, patience: float = 2.0) -> AsyncIterator[DnsResolver]:
    """Our own resolver, which knows this server and no other. ``patience`` is in seconds."""
    async with serving(server) as address:
        resolver = DnsResolver([address], timeout=patience)
        try:
            yield resolver
        finally:
            await resolver.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self._transport:
            self._server.start_answer(data, self._transport, addr)


def _lie(query: dns.message.Message) -> bytes:
    """An answer to a question nobody asked: another id, and records that let everybody in."""
    response = dns.message.make_response(query, recursion_available=True)
    response.id = (query.id + 1) % 65536
    lie = [_rdata(dns.rdatatype.TXT, _LIE)]
    response.answer.append(dns.rrset.from_rdata_list(query.question[0].name, 60, lie))
    return response.to_wire()


def _rdata(kind: dns.rdatatype.RdataType, value: str) -> dns.rdata.Rdata:
    if kind == dns.rdatatype.TXT:
        wire = b"".join(_strings(value.encode("utf-8", "surrogateescape")))
        return dns.rdata.from_wire(dns.rdataclass.IN, kind, wire, 0, len(wire))
    return dns.rdata.from_text(
        dns.rdataclass.IN, kind, value, origin=dns.name.root, relativize=False
    )


def _strings(octets: bytes) -> Iterator[bytes]:
    """Character-strings of 255 octets at most, each after its length; an empty text is one."""
    for start in range(0, max(len(octets), 1), 255):
        piece = octets[start : start + 255]
        yield bytes([len(piece)]) + piece


def _soa() -> dns.rrset.RRset:
    """What bounds how long a negative answer is kept (RFC 2308, section 3)."""
    soa = "ns.invalid. nobody.invalid. 1 3600 600 86400 60"
    return dns.rrset.from_text(dns.name.root, 60, "IN", "SOA", soa)


def _text(name: dns.name.Name) -> str:
    labels = (label.decode("utf-8", "surrogateescape") for label in name.labels if label)
    return ".".join(labels).lower()
