"""Doors: gateways that listen, opened and closed in good order."""

import asyncio
import errno
import socket
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from letterbox.administration import Failed
from letterbox.gateways import listening
from letterbox.gateways.admin import AdminGateway
from letterbox.gateways.listening import Place
from letterbox.model.configuration import Configuration
from letterbox.model.role import Role
from letterbox.unix import NotASocket, SocketInUse, bind_socket

_DRAIN_SECONDS: Final = 20.0  # within the 30 s that supervisors give before they kill
#: So long a process that others need waits for those to drain: they close their stores after it.
OUTLAST_SECONDS: Final = _DRAIN_SECONDS + 4.0
#: The door that every process has to itself: what it tells is of that process.
_OWN: Final = "admin"

#: The socket of the command line, among others.
COMMANDS: Final = "commands"

#: Bound sockets, by the name of the door that is to listen on them.
Sockets = Mapping[str, Sequence[socket.socket]]


class Door(Protocol):
    """A gateway, as far as starting and stopping it goes."""

    async def start(self, place: Place) -> str:
        """Listen; return the bound ``host:port``."""
        ...

    async def drain(self, seconds: float, *, grace: float = 0.0) -> None:
        """Take nobody in any more, let those inside finish, at most so long, and close.

        ``grace``: so many seconds before that those inside go on as they would.
        """
        ...


class Doors:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: list[Door] = []

    async def open(self, name: str, door: Door, listen: str, sockets: Sockets | None = None) -> str:
        """Open a door; return where it listens. Raises :class:`Failed`.

        ``sockets``: those this process was started with; it makes no others.
        """
        if sockets is not None and name not in sockets:
            raise Failed(f"{name} is to listen on {listen}, and did not before; stop and start")
        try:
            address = await door.start(listen if sockets is None else sockets[name])
        except OSError as error:
            raise _closed(name, listen, error) from error
        self._open.append(door)
        return address

    async def close(self, *, grace: float = 0.0) -> None:
        """Let those inside finish, and close them all."""
        await asyncio.gather(*(door.drain(_DRAIN_SECONDS, grace=grace) for door in self._open))
        self._open.clear()


def share(configuration: Configuration, roles: Sequence[Role]) -> list[Sockets]:
    """Sockets for a process of each role, with its own, which listen at the same addresses.

    Those of operators do not: process k has its door k ports above the first. Raises
    :class:`Failed`.
    """
    shares: list[dict[str, Sequence[socket.socket]]] = [{} for _ in roles]
    doors = [role.doors(configuration) for role in roles]
    for name, listen in {name: listen for each in doors for name, listen in each.items()}.items():
        if not listen:
            continue
        theirs = [number for number, each in enumerate(doors) if name in each]
        try:
            if name == _OWN:
                sets = _bind_own(name, listen, theirs)
            else:
                sets = listening.bind_shared(listen, len(theirs))
        except OSError as error:
            raise _closed(name, listen, error) from error
        for number, sockets in zip(theirs, sets, strict=True):
            shares[number][name] = sockets
    return [*shares]


def _bind_own(name: str, listen: str, numbers: Sequence[int]) -> list[list[socket.socket]]:
    """A set of sockets for each process, as many ports above the first as its number."""
    sets: list[list[socket.socket]] = []
    for number in numbers:
        try:
            sets.append(listening.bind(listen, above=number))
        except OSError as error:
            for each in chain.from_iterable(sets):
                each.close()
            above = f" and {number} above it, for process {number}" if number else ""
            raise Failed(f"{name}.listen = {listen}{above}: {_why_not(error)}") from error
    return sets


async def open_socket(gateway: AdminGateway, path: Path) -> None:
    """Listen to the command line. Raises :class:`Failed`."""
    listening = command_socket(path)
    await gateway.start(listening, path)


def command_socket(path: Path) -> socket.socket:
    """Bind the socket of the command line. Raises :class:`Failed`."""
    try:
        return bind_socket(path)
    except SocketInUse as error:
        raise Failed(f"{error}; stop it, or set admin.socket if its store is another") from error
    except NotASocket as error:
        raise Failed(f"{error}; set admin.socket to another place") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise Failed(f"the admin socket {path}: {why}; set admin.socket elsewhere") from error


def _closed(name: str, listen: str, error: OSError) -> Failed:
    return Failed(f"{name}.listen = {listen}: {_why_not(error)}")


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
