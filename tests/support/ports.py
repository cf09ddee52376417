"""Ports for programs that must be told one before they start."""

import random
import socket

#: Below those that the system gives away by itself: nobody is given one between asking and use.
_FIRST, _LAST = 15_000, 32_000
#: Not seeded: tests that run side by side must not draw alike.
_draw = random.SystemRandom()


def free_port() -> int:
    """A loopback port that nobody listens on now, drawn by chance."""
    while True:
        port = _draw.randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
