"""An authoritative name server on loopback, for the demo and the tests.

It serves a small table of names over UDP and TCP and can be told to misbehave.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Fault = Literal["servfail", "silent", "nxdomain"]
Records = Mapping[str, Mapping[str, Sequence[str]]]

_PLAIN_UDP = 512  # octets, RFC 1035 section 4.2.1
_STRING = 255  # octets in one character-string, RFC 1035 section 3.3
_MAX_CHAIN = 8  # CNAMEs followed for one question
_IDLE = 10.0  # seconds a TCP connection may say nothing


class DnsServer:
    """Answers for ``records``: name → type → values.

    TXT values are plain text of any length; other values are written as in a zone file, names
    without the final dot. ``ttl`` (seconds) holds for every answer, negative ones included.
    What was asked is kept in ``asked`` as (name, type), the latest 10,000.
    """

    def __init__(self, records: Records, *, ttl: int = 60) -> None:
        self._names = {_fold(name): dict(types) for name, types in records.items()}
        self._faults: dict[tuple[str, str | None], Fault] = {}
        self._ttl = ttl
        self._udp: _Datagrams | None = None
        self._tcp: asyncio.Server | None = None
        self._talks: set[asyncio.StreamWriter] = set()
        self.asked: deque[tuple[str, str]] = deque(maxlen=10_000)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen on one port, UDP and TCP, a free one unless it is given; return ``host:port``."""
        loop = asyncio.get_running_loop()
        while True:
            tcp = await asyncio.start_server(self._talk, host, port)
            bound: int = tcp.sockets[0].getsockname()[1]
            try:
                _, self._udp = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(host, bound)
                )
            except OSError:  # somebody has this port for UDP: take another
                tcp.close()
                if port:
                    raise
                continue
            self._tcp = tcp
            return f"{host}:{bound}"

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._udp:
            await self._udp.close()
        if self._tcp:
            self._tcp.close()
            for writer in tuple(self._talks):
                writer.transport.abort()
            await self._tcp.wait_closed()

    def publish(self, name: str, record: str, values: Sequence[str]) -> None:
        """Set the values of one name and type; none at all takes the records away."""
        types = self._names.setdefault(_fold(name), {})
        if values:
            types[record] = list(values)
        else:
            types.pop(record, None)

    def fault(self, name: str, kind: Fault | None, record: str | None = None) -> None:
        """Misbehave when asked for ``name`` (for one type, or all); None behaves again."""
        if kind is None:
            self._faults.pop((_fold(name), record), None)
        else:
            self._faults[_fold(name), record] = kind

    def respond(self, wire: bytes, *, udp: bool) -> bytes | None:
        """Return the answer to one question; None where silence is the answer."""
        try:
            query = dns.message.from_wire(wire)
            response = dns.message.make_response(query, recursion_available=True)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        name, record = _text(question.name), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, record))
        fault = self._faults.get((name, record)) or self._faults.get((name, None))
        if fault == "silent":
            return None
        if fault == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            response.flags |= dns.flags.AA
            rcode = dns.rcode.NXDOMAIN
            if fault != "nxdomain":
                rcode = self._fill(response, question.name, record)
            response.set_rcode(rcode)
            if not response.answer:
                response.authority.append(self._authority())
        size = max(query.payload, _PLAIN_UDP) if udp else 65535
        return response.to_wire(max_size=size, prefer_truncation=True)

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, record: str
    ) -> dns.rcode.Rcode:
        """Answer, aliases followed (RFC 1034, section 4.3.2)."""
        for _ in range(_MAX_CHAIN):
            types = self._names.get(_text(name))
            if types is None:
                return dns.rcode.NOERROR if self._something_below(name) else dns.rcode.NXDOMAIN
            alias = record != "CNAME" and "CNAME" in types
            kind = "CNAME" if alias else record
            values = types.get(kind, ())
            if values:
                rrset = dns.rrset.from_rdata_list(
                    name, self._ttl, [_rdata(kind, value) for value in values]
                )
                response.answer.append(rrset)
            if not alias:
                return dns.rcode.NOERROR
            name = dns.name.from_text(values[0])
        return dns.rcode.SERVFAIL

    def _something_below(self, name: dns.name.Name) -> bool:
        """An empty non-terminal exists (RFC 8020)."""
        below = "." + _text(name)
        return any(known.endswith(below) for known in self._names)

    def _authority(self) -> dns.rrset.RRset:
        """The SOA that bounds how long a negative answer is kept (RFC 2308, section 3)."""
        soa = f"ns.invalid. nobody.invalid. 1 3600 600 86400 {self._ttl}"
        return dns.rrset.from_text(dns.name.root, self._ttl, "IN", "SOA", soa)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            while True:
                async with asyncio.timeout(_IDLE):
                    length = int.from_bytes(await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                answer = self.respond(wire, udp=False)
                if answer is not None:
                    writer.write(len(answer).to_bytes(2) + answer)
                    await writer.drain()
        self._talks.discard(writer)
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    async def close(self) -> None:
        if self._transport:
            self._transport.close()
            await self._closed.wait()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._closed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        answer = self._server.respond(data, udp=True)
        if answer is not None and self._transport:
            self._transport.sendto(answer, addr)


def _rdata(record: str, value: str) -> dns.rdata.Rdata:
    if record == "TXT":
        octets = value.encode("utf-8", "surrogateescape")
        wire = b"".join(_strings(octets))
        return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.TXT, wire, 0, len(wire))
    return dns.rdata.from_text(
        dns.rdataclass.IN,
        dns.rdatatype.from_text(record),
        value,
        origin=dns.name.root,
        relativize=False,
    )


def _strings(octets: bytes) -> Iterator[bytes]:
    """Cut a text into character-strings with their length octet; an empty text is one."""
    for start in range(0, max(len(octets), 1), _STRING):
        piece = octets[start : start + _STRING]
        yield bytes([len(piece)]) + piece


def _fold(name: str) -> str:
    return name.lower().removesuffix(".")


def _text(name: dns.name.Name) -> str:
    labels = (label.decode("utf-8", "surrogateescape") for label in name.labels if label)
    return ".".join(labels).lower()
