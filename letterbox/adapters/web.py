"""Posting to servers of others, none of which is within our own walls.

Where a call goes is looked at when the socket is made: of all addresses of a host only those
that are public are connected to, exactly as they were looked at. Nobody resolves again after
that, so that a name that changes its mind leads nowhere else.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from letterbox.feedback.destination import addresses_of
from letterbox.model.network import is_public
from letterbox.ports.courier import WebAnswer, WebTrouble
from letterbox.ports.resolver import Resolver, ResolverTrouble

_LONGEST_LINE = 4096  # octets of a status line, and of one field of a header
_LONGEST_FIELD = 100  # characters of what is kept of one

#: What aiohttp asks for a socket to: family, type, protocol, name, and the address.
_Asked = tuple[Any, Any, int, str, Any]


class HttpCourier:
    """A :class:`~letterbox.ports.courier.WebCourier` over aiohttp.

    ``timeout`` bounds a whole call in seconds: names, connection, TLS and answer.
    ``allowed`` says which addresses are connected to. ``trust`` is whose certificates count;
    None: those that this system trusts.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        timeout: float,
        allowed: Callable[[str], bool] = is_public,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver = resolver
        self._timeout = timeout
        self._allowed = allowed
        self._trust: ssl.SSLContext | bool = trust or True

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebAnswer:
        """See :meth:`letterbox.ports.courier.WebCourier.post`."""
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._addresses(urlsplit(url).hostname or "")
                return await self._post(url, addresses, headers, body)
        except TimeoutError:
            raise WebTrouble("timeout") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError):
            raise WebTrouble("tls") from None
        except (aiohttp.ClientConnectorError, OSError):
            raise WebTrouble("connection") from None
        except (aiohttp.ClientError, ValueError):
            raise WebTrouble("answer") from None

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host that may be connected to. Raises WebTrouble."""
        try:
            found = await addresses_of(host, self._resolver)
        except ResolverTrouble:
            raise WebTrouble("name") from None
        if not found:
            raise WebTrouble("name")
        allowed = tuple(filter(self._allowed, found))
        if not allowed:
            raise WebTrouble("address")
        return allowed

    async def _post(
        self, url: str, addresses: tuple[str, ...], headers: Mapping[str, str], body: bytes
    ) -> WebAnswer:
        connector = aiohttp.TCPConnector(
            resolver=_Known(addresses),
            use_dns_cache=False,
            force_close=True,
            limit=1,
            ssl=self._trust,
            socket_factory=self._socket,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),  # ours is around all of it
                trust_env=False,
                auto_decompress=False,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            ) as session,
            session.post(
                URL(url, encoded=True),
                data=body,
                headers={"User-Agent": "letterbox", **headers},
                skip_auto_headers=("Accept", "Accept-Encoding"),
                allow_redirects=False,
            ) as response,
        ):
            # The body is nobody's to keep: what was not read can neither leak nor fill anything.
            later = response.headers.get("Retry-After", "")[:_LONGEST_FIELD]
            response.close()
            return WebAnswer(status=response.status, retry_after=later)

    def _socket(self, asked: _Asked) -> socket.socket:
        """A socket to one address: the last look at where it leads, a literal in a URL included."""
        family, kind, protocol, _, address = asked
        if not self._allowed(address[0]):
            raise ConnectionRefusedError("not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)


class _Known(AbstractResolver):
    """Gives the addresses that were looked at, and no others."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del family  # both of them are connected to
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass
