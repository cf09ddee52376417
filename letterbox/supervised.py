"""A process of several: what its supervisor has given it, and what they say to each other."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

#: Said once by a process that listens.
READY: Final = b"ready\n"
#: Said to one whose successor listens.
RETIRE: Final = b"retire\n"


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a process is started with: descriptors, which it has inherited.

    ``number`` counts from 0. ``channel`` is one end of a pair of sockets whose other end the
    supervisor holds, so that each sees it when the other is gone.
    """

    number: int
    channel: int
    sockets: dict[str, tuple[int, ...]] = {}


class Supervised:
    """The supervisor, as one of its processes sees it. Raises OSError where nothing was given."""

    def __init__(self, given: Given) -> None:
        self.number = given.number
        self.sockets: Mapping[str, Sequence[socket.socket]] = {
            name: [_inherited(each) for each in descriptors]
            for name, descriptors in given.sockets.items()
        }
        self._channel = _inherited(given.channel)
        self._channel.settimeout(0)

    def listen(self, end: Callable[[bool], None]) -> None:
        """Have ``end`` called when this process is to end: whether a successor is there.

        Also where the supervisor is gone: nobody serves unwatched.
        """
        loop = asyncio.get_running_loop()

        def hear() -> None:
            said = self._channel.recv(len(RETIRE))
            if not said:
                loop.remove_reader(self._channel)
            end(said == RETIRE)

        loop.add_reader(self._channel, hear)

    def is_ready(self) -> None:
        """Say that this process listens."""
        self._channel.send(READY)


def _inherited(descriptor: int) -> socket.socket:
    inherited = socket.socket(fileno=descriptor)
    inherited.set_inheritable(False)
    return inherited
