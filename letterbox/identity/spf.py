"""Whether a host may send for a domain: ``check_host()`` of RFC 7208, section 4."""

import functools
import ipaddress
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Literal
from urllib.parse import quote

import msgspec

from letterbox.identity.spf_record import (
    BadRecord,
    Macro,
    Mechanism,
    Record,
    Spec,
    SpfResult,
    is_spf,
    parse_record,
)
from letterbox.model.address import Address, fold_domain, is_below
from letterbox.model.envelope import Client
from letterbox.ports.resolver import RecordType, Resolver, ResolverTrouble

_MAX_TERMS = 10  # terms that ask the DNS, section 4.6.4
_MAX_VOID = 2  # terms whose question has no answer, section 4.6.4
_MAX_NAMES = 10  # hosts of one MX or PTR answer, section 4.6.4
_MAX_NAME = 253  # octets of an expanded name, section 7.3
_KEPT = 500  # records that stay read
_MAX_KEPT = 512  # octets of one that does: as long as it should be, section 3.4
_MAX_DETAIL = 200  # characters of a record that a log line may carry
#: At least two labels of 1 to 63 octets, and no address literal (section 4.3).
_DOMAIN = re.compile(rb"(?!\[)[^.]{1,63}+(?:\.[^.]{1,63}+)++\.?")
#: A few relays bring nearly all mail.
_ip_address = functools.lru_cache(maxsize=1024)(ipaddress.ip_address)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Spf(msgspec.Struct, frozen=True):
    """What SPF says of a transaction, and of which domain. ``detail`` is for our own log."""

    result: SpfResult
    domain: str = ""
    identity: Literal["mailfrom", "helo"] = "mailfrom"
    detail: str = ""


class SpfRecords:
    """Reads records, and keeps the last few hundred by their text: a platform's come again."""

    def __init__(self) -> None:
        self._kept = functools.lru_cache(maxsize=_KEPT)(parse_record)

    def read(self, text: bytes) -> Record:
        """Read a record. Raises :class:`BadRecord`."""
        return self._kept(text) if len(text) <= _MAX_KEPT else parse_record(text)


async def check_path(
    resolver: Resolver,
    client: Client,
    reverse_path: Address | None,
    read: Callable[[bytes], Record] = parse_record,
) -> Spf:
    """Check the return path, or for a null one the name the client gave (section 2.4).

    A client without an IP address, or a HELO that is no host name, gives ``none``. ``read`` may be
    that of :class:`SpfRecords`.
    """
    identity: Literal["mailfrom", "helo"] = "mailfrom" if reverse_path else "helo"
    domain = reverse_path.domain if reverse_path else fold_domain(client.helo)
    try:
        ip = _ip_address(client.address)
    except ValueError:
        return Spf(result="none", identity=identity, detail="the client has no IP address")
    if domain is None:
        return Spf(result="none", identity=identity, detail="the HELO is no host name")
    local = reverse_path.local if reverse_path else "postmaster"
    helo = client.helo
    result, detail = await check_host(resolver, ip, domain, local=local, helo=helo, read=read)
    return Spf(result=result, domain=domain, identity=identity, detail=detail)


async def check_host(
    resolver: Resolver,
    ip: IpAddress,
    domain: str,
    *,
    local: str,
    helo: str,
    read: Callable[[bytes], Record] = parse_record,
) -> tuple[SpfResult, str]:
    """Give the result and, where it is an error, its cause. Never raises for what DNS holds."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped  # section 5: mapped addresses are IPv4
    sender = Address(local=local or "postmaster", domain=domain)
    check = _Check(resolver, ip, sender, helo, read)
    try:
        return await check.domain(domain), ""
    except BadRecord as error:
        return "permerror", str(error)[:_MAX_DETAIL]
    except ResolverTrouble as error:
        return "temperror", str(error)[:_MAX_DETAIL]


class _Check:
    """One evaluation: what it is about, and what it has spent."""

    def __init__(
        self,
        resolver: Resolver,
        ip: IpAddress,
        sender: Address,
        helo: str,
        read: Callable[[bytes], Record],
    ) -> None:
        self._resolver = resolver
        self._read = read
        self._ip = ip
        self._number = int(ip)
        self._version = ip.version
        self._record: RecordType = "A" if ip.version == 4 else "AAAA"  # noqa: PLR2004 - IPv4
        self._sender = sender
        self._helo = helo
        self._terms = 0
        self._void = 0
        self._validated: list[str] | None = None

    async def domain(self, domain: str) -> SpfResult:
        """Evaluate the record of ``domain`` (section 4.6)."""
        record = await self._fetch(domain)
        if record is None:
            return "none"
        for mechanism in record.mechanisms:
            network = mechanism.network
            if network is None:
                matches = await self._matches(mechanism, domain)
            else:
                same = network.version == self._version
                matches = same and self._number & network.mask == network.base
            if matches:
                return mechanism.result
        if record.redirect is None:
            return "neutral"
        self._spend()
        result = await self.domain(await self._expand(record.redirect, domain))
        if result == "none":  # section 6.1
            raise BadRecord(f"{domain}: redirect leads to no record")
        return result

    async def _fetch(self, domain: str) -> Record | None:
        if not _DOMAIN.fullmatch(domain.encode("utf-8", "surrogateescape")):  # section 4.3
            return None
        answer = await self._resolver.ask(domain, "TXT")
        texts = [text for text in answer.values if isinstance(text, bytes) and is_spf(text)]
        if len(texts) > 1:  # section 4.5
            raise BadRecord(f"{domain} has {len(texts)} records")
        try:
            return self._read(texts[0]) if texts else None
        except BadRecord as error:
            raise BadRecord(f"{domain}: {error}") from error

    def _spend(self) -> None:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            raise BadRecord(f"more than {_MAX_TERMS} terms ask the DNS")

    async def _ask(self, name: str, record: RecordType) -> tuple[str, ...]:
        """Ask for a term. Raises BadRecord when too many such questions found nothing."""
        values = await self._look(name, record)
        if not values:
            self._void += 1
            if self._void > _MAX_VOID:
                raise BadRecord(f"more than {_MAX_VOID} names without an answer")
        return values

    async def _look(self, name: str, record: RecordType) -> tuple[str, ...]:
        answer = await self._resolver.ask(name, record)
        return tuple(value for value in answer.values if isinstance(value, str))

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        if mechanism.kind == "all":
            return True
        self._spend()
        target = domain
        if mechanism.domain is not None:
            target = await self._expand(mechanism.domain, domain)
        match mechanism.kind:
            case "include":
                return await self._includes(target)
            case "a":
                return self._within(await self._ask(target, self._record), mechanism)
            case "mx":
                return await self._exchanges(target, mechanism)
            case "ptr":
                return any(is_below(name, target.lower()) for name in await self._names())
            case _:  # exists: always an A record, whatever the client's address (section 5.7)
                return bool(await self._ask(target, "A"))

    async def _includes(self, target: str) -> bool:
        """The table of section 5.2."""
        result = await self.domain(target)
        if result == "none":
            raise BadRecord(f"include of {target}, which has no record")
        return result == "pass"

    async def _exchanges(self, target: str, mechanism: Mechanism) -> bool:
        hosts = await self._ask(target, "MX")
        if len(hosts) > _MAX_NAMES:
            raise BadRecord(f"{target} has more than {_MAX_NAMES} exchanges")
        for host in hosts:
            if self._within(await self._look(host, self._record), mechanism):
                return True
        return False

    def _within(self, addresses: tuple[str, ...], mechanism: Mechanism) -> bool:
        bits = mechanism.bits4 if self._record == "A" else mechanism.bits6
        return any(self._ip in ip_network((address, bits), strict=False) for address in addresses)

    async def _names(self) -> list[str]:
        """The client's validated names (section 5.5); trouble on the way gives none."""
        if self._validated is None:
            self._validated = []
            try:
                hosts = await self._look(self._ip.reverse_pointer, "PTR")
            except ResolverTrouble:
                hosts = ()
            for host in hosts[:_MAX_NAMES]:
                try:
                    addresses = await self._look(host, self._record)
                except ResolverTrouble:
                    continue
                if any(ipaddress.ip_address(text) == self._ip for text in addresses):
                    self._validated.append(host.lower())
        return self._validated

    async def _expand(self, spec: Spec, domain: str) -> str:
        """Write the name out (section 7.3); one too long loses labels on the left."""
        parts = [
            part if isinstance(part, str) else _transform(await self._value(part, domain), part)
            for part in spec
        ]
        name = "".join(parts).removesuffix(".")
        if len(name) > _MAX_NAME:
            name = name[-_MAX_NAME - 1 :].partition(".")[2]
        return name

    async def _value(self, macro: Macro, domain: str) -> str:
        match macro.letter:
            case "s":
                return str(self._sender)
            case "l":
                return self._sender.local
            case "o":
                return self._sender.domain
            case "d":
                return domain
            case "i":
                if isinstance(self._ip, ipaddress.IPv4Address):
                    return str(self._ip)
                return ".".join(self._ip.exploded.replace(":", ""))
            case "p":
                return _best(await self._names(), domain.lower())
            case "v":
                return "in-addr" if self._record == "A" else "ip6"
            case _:  # h
                return self._helo


def _best(names: list[str], domain: str) -> str:
    """The validated name nearest to the domain (section 7.3)."""
    below = (name for name in names if is_below(name, domain))
    return domain if domain in names else next(below, names[0] if names else "unknown")


def _transform(value: str, macro: Macro) -> str:
    parts = re.split(f"[{re.escape(macro.delimiters)}]", value)
    if macro.reverse:
        parts.reverse()
    if macro.keep:
        parts = parts[-macro.keep :]
    text = ".".join(parts)
    return quote(text, safe="-._~") if macro.escape else text
