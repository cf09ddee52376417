"""Unix sockets at a path: for their owner alone, and however deep the folder lies."""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

# sun_path holds 108 octets on Linux and 104 elsewhere, the final NUL included (unix(7)).
_LONGEST_PATH: Final = 100
#: Process, user and group of whoever is at the other end (unix(7), SO_PEERCRED); not everywhere.
_PEER: Final = getattr(socket, "SO_PEERCRED", None)
_IDS: Final = struct.Struct("3i")


class SocketInUse(Exception):
    """Another server answers at the socket."""


class NotASocket(Exception):
    """Something else stands where the socket is to be."""


def bind_socket(path: Path) -> socket.socket:
    """Bind a socket at a path. One left over by a server that is gone is replaced.

    The caller owns the store the socket belongs to, so that no other server can come between.
    Raises :class:`SocketInUse`, :class:`NotASocket`, OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(path) as short:
            # Nobody else's from its first moment on: rights set later would come too late.
            before = os.umask(0o177)
            try:
                listening.bind(short)
            finally:
                os.umask(before)
    except BaseException:
        listening.close()
        raise
    return listening


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for the path that fits into a socket address, however deep the folder lies."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    # The folder is reached through a descriptor of ours instead of by its name (proc(5)).
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{descriptor}/{path.name}"
        if len(os.fsencode(short)) > _LONGEST_PATH or not Path("/proc/self/fd").is_dir():
            raise OSError(f"{path} is too long for a socket")
        yield short
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise NotASocket(f"{path} is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            with reachable(path) as short:
                probe.connect(short)
        except ConnectionRefusedError:
            path.unlink()
            return
    raise SocketInUse(f"another server answers at {path}")


def is_ours(connected: Any) -> bool:
    """Whether a process of our own user is at the other end; true where a system does not tell."""
    if _PEER is None:
        return True
    _, user, _ = _IDS.unpack(connected.getsockopt(socket.SOL_SOCKET, _PEER, _IDS.size))
    return bool(user == os.geteuid())
