"""Doors: gateways that listen, opened and closed in good order."""

import asyncio
import errno
import socket
from pathlib import Path
from typing import Final, Protocol

from letterbox.administration import Failed
from letterbox.gateways.admin import AdminGateway, NotASocket, SocketInUse

_DRAIN_SECONDS: Final = 20.0  # within the 30 s that supervisors give before they kill


class Door(Protocol):
    """A gateway, as far as starting and stopping it goes."""

    async def start(self, listen: str) -> str:
        """Listen; return the bound ``host:port``."""
        ...

    async def drain(self, seconds: float) -> None:
        """Take nobody in any more, let those inside finish, at most so long, and close."""
        ...


class Doors:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: list[Door] = []

    async def open(self, name: str, door: Door, listen: str) -> str:
        """Open a door; return where it listens. Raises :class:`Failed`."""
        try:
            address = await door.start(listen)
        except OSError as error:
            raise Failed(f"{name}.listen = {listen}: {_why_not(error)}") from error
        self._open.append(door)
        return address

    async def close(self) -> None:
        """Let those inside finish, and close them all."""
        await asyncio.gather(*(door.drain(_DRAIN_SECONDS) for door in self._open))
        self._open.clear()


async def open_socket(socket: AdminGateway, path: Path) -> None:
    """Listen to the command line. Raises :class:`Failed`."""
    try:
        await socket.start(path)
    except (SocketInUse, NotASocket) as error:
        raise Failed(str(error)) from error
    except OSError as error:
        why = error.strerror or str(error)
        raise Failed(f"the admin socket {path}: {why}; set admin.socket elsewhere") from error


def _why_not(error: OSError) -> str:
    """Why an address cannot be listened on, and what to do about it."""
    if isinstance(error, socket.gaierror):
        return "no such host; write an address of this machine, or 0.0.0.0 for all of them"
    match error.errno:
        case errno.EADDRINUSE:
            return "another program listens there; stop it, or set another port (0: a free one)"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; write one it has, or 0.0.0.0 for all of them"
        case errno.EACCES:
            return (
                "ports below 1024 need a right (CAP_NET_BIND_SERVICE); "
                "grant it as deploy/letterbox.service does, or set a higher port"
            )
        case _:
            return f"cannot be listened on: {error.strerror or error}; set another address"
