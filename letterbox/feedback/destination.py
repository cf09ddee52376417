"""Where others ask to be called: URLs read strictly, and the addresses behind them."""

import asyncio
import ipaddress
import re
from typing import Final, NamedTuple

from letterbox.model.address import fold_domain
from letterbox.model.network import is_public, written_ipv4
from letterbox.ports.resolver import Resolver, ResolverTrouble

#: Characters of a URL; the longest that common servers take.
LONGEST: Final = 2000
_MOST_ADDRESSES = 20
#: Seconds that a name server is waited for: what it says counts at each call in any case.
_PATIENCE = 3.0
_LAST_PORT = 65535
# RFC 3986, section 2; beyond ASCII only a host may be written.
_URL = re.compile(
    r"(https?)://(\[[^\]]*\]|[^\[\]:/?#@]*)(?::([0-9]{1,5}))?([/?].*)?", re.IGNORECASE
)
_REST = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_LOOPBACK = ("127.0.0.1", "::1")


class BadDestination(Exception):
    """A URL that is not called. ``mistake`` says why, ``allowed`` what would be."""

    def __init__(self, mistake: str, allowed: str) -> None:
        super().__init__(mistake)
        self.mistake = mistake
        self.allowed = allowed


class Destination(NamedTuple):
    """A URL in its one form. ``host`` is a folded name, or an address without brackets."""

    url: str
    host: str


def read_destination(text: str, *, private: bool) -> Destination:
    """Read a URL. Raises :class:`BadDestination`.

    ``private`` admits plain http, and addresses that are not public, too. What a name resolves
    to is not looked at here: see :func:`addresses_of`.
    """
    if len(text) > LONGEST:
        raise BadDestination("it is too long", f"at most {LONGEST:,} characters")
    if _UNSEEN.search(text):
        raise BadDestination("it holds a space, a control character or a backslash", "a plain URL")
    if "#" in text:
        raise BadDestination("it has a fragment (#…), which no server sees", "a URL without it")
    match = _URL.fullmatch(text)
    if match is None:
        if "@" in text.partition("//")[2].partition("/")[0]:
            raise BadDestination("it holds a user or a password", "a URL without them")
        raise BadDestination("it is no URL that is called", _form(private=private))
    scheme, authority, port, rest = match[1].lower(), match[2], match[3], match[4] or "/"
    if scheme == "http" and not private:
        raise BadDestination("it does not begin with https://", _form(private=private))
    if port and not 1 <= int(port) <= _LAST_PORT:
        raise BadDestination("no server has that port", f"a port from 1 to {_LAST_PORT}, or none")
    if not _REST.fullmatch(rest):
        raise BadDestination("its path or query is not well formed", "RFC 3986: escape it with %")
    host = _host(authority)
    if not private and not _may_be_public(host):
        raise BadDestination(f"{host} is not a public address", "a server on the Internet")
    place = f"[{host}]" if ":" in host else host
    place += f":{int(port)}" if port else ""
    return Destination(f"{scheme}://{place}{'' if rest.startswith('/') else '/'}{rest}", host)


def _form(*, private: bool) -> str:
    return "https://host/path, or http://" if private else "https://host/path"


def _host(written: str) -> str:
    """The host in its one form: names folded, addresses as they are compared."""
    host: str | None = None
    try:
        if written.startswith("["):
            ip = ipaddress.IPv6Address(written[1:-1])
            host = None if ip.scope_id else str(ip)
        # Folded first: digits and dots of other scripts are digits and dots then.
        elif name := fold_domain(written):
            host = written_ipv4(name) or name
    except ValueError:
        host = None
    if host is None:
        shown = written[:60]
        raise BadDestination(f"{shown!r} is no host", "a name such as hooks.shop.example")
    return host


def is_address(host: str) -> bool:
    """Whether a host, read before, is an address and no name."""
    return ":" in host or written_ipv4(host) is not None


def _is_local(host: str) -> bool:
    """Whether a name means this machine (RFC 6761, section 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def _may_be_public(host: str) -> bool:
    return is_public(host) if is_address(host) else not _is_local(host)


async def addresses_of(host: str, resolver: Resolver) -> tuple[str, ...]:
    """The addresses of a host; none where its name has none. Raises ResolverTrouble.

    Names are asked of the DNS alone: what a file on this machine calls a host is nobody's business.
    """
    if is_address(host):
        return (host,)
    if _is_local(host):
        return _LOOPBACK
    asked = await asyncio.gather(
        resolver.ask(host, "A"), resolver.ask(host, "AAAA"), return_exceptions=True
    )
    found: list[str] = []
    troubles = []
    for answer in asked:
        if isinstance(answer, ResolverTrouble):
            troubles.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += [str(value) for value in answer.values[:_MOST_ADDRESSES]]
    if troubles and not found:
        raise troubles[0]
    return tuple(found)


async def look_at(text: str, resolver: Resolver, *, private: bool) -> Destination:
    """Read a URL, and see where it leads as far as that can be known. Raises BadDestination.

    A name that is not known yet may be set up later; each call looks again.
    """
    destination = read_destination(text, private=private)
    if private:
        return destination
    try:
        async with asyncio.timeout(_PATIENCE):
            addresses = await addresses_of(destination.host, resolver)
    except (ResolverTrouble, TimeoutError):
        return destination
    if not all(map(is_public, addresses)):
        raise BadDestination(
            f"{destination.host} leads to an address that is not public",
            "a server on the Internet",
        )
    return destination
