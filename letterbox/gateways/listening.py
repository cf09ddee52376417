"""Sockets to listen on: bound here, or by whoever has started this process."""

import errno
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack

#: ``host:port``, or sockets that are bound already.
Place = str | Sequence[socket.socket]

_LAST_PORT = 65535


def sockets_of(place: Place) -> Sequence[socket.socket]:
    """The sockets of a place, bound where they are not yet. Raises what :func:`bind` does."""
    return bind(place) if isinstance(place, str) else place


def bind(listen: str, *, above: int = 0) -> list[socket.socket]:
    """Bind every address of ``host:port`` (``[::1]:0`` too; port 0 is any), all to one port.

    ``above``: so many ports above the one that is named, unless any will do. Nobody can connect
    before somebody listens on them. Blocks while a host's name is looked up. Raises OSError where
    that cannot be, ValueError where it is no address.
    """
    host, port = _split(listen)
    return _bind(host, port + above if port else port, shared=False)


def bind_shared(listen: str, times: int) -> list[list[socket.socket]]:
    """So many sets of sockets at the same addresses; the kernel spreads connections over them.

    For processes that have one set each (SO_REUSEPORT). Raises as :func:`bind` does, also where
    another program of ours shares its sockets there: connections are not taken away from it.
    """
    host, port = _split(listen)
    if port:
        for alone in _bind(host, port, shared=False):
            alone.close()
    with ExitStack() as undo:
        sets: list[list[socket.socket]] = []
        for _ in range(times):
            sets.append(_bind(host, port, shared=True))
            for each in sets[-1]:
                undo.callback(each.close)
            port = sets[0][0].getsockname()[1]
        undo.pop_all()
    return sets


def address_of(sockets: Sequence[socket.socket]) -> str:
    """Where they listen, as ``host:port``; of several addresses the first."""
    host, port = sockets[0].getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(listen: str) -> tuple[str | None, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > _LAST_PORT:
        raise ValueError(f"{listen!r} is no address to listen on; write host:port")
    return host.strip("[]") or None, int(port)


def _bind(host: str | None, port: int, *, shared: bool) -> list[socket.socket]:
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    with ExitStack() as undo:
        sockets: list[socket.socket] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                bound = undo.enter_context(socket.socket(family, kind, protocol))
            except OSError:
                continue  # a family that this machine does not speak
            bound.settimeout(0)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                # The addresses of IPv4 have sockets of their own.
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            first = sockets[0].getsockname()[1] if sockets else port
            bound.bind((address[0], first, *address[2:]))
            sockets.append(bound)
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        undo.pop_all()
    return sockets
