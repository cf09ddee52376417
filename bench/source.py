"""Sending prepared messages over SMTP or LMTP, each another: what smtp-source cannot.

Each session is a blocking socket in a thread of its own; MAIL, RCPT and DATA go out at once where
the peer offers PIPELINING (RFC 2920).
"""

import socket
from collections.abc import Iterator, Sequence
from threading import Thread
from time import perf_counter, sleep
from typing import Final

import msgspec

PATIENCE: Final = 60.0  # seconds for one reply


class Sent(msgspec.Struct, frozen=True):
    """What came of sending: seconds in all, and from each final dot to its reply."""

    seconds: float
    waited: list[float]


def send(
    port: int,
    author: str,
    recipients: Sequence[str],
    mails: Sequence[bytes],
    *,
    sessions: int,
    lmtp: bool = False,
    pace: float | None = None,
) -> Sent:
    """Send every mail once, to one recipient, ``pace`` of them a second or as fast as it goes.

    ``mails`` are as they go over the wire: dots stuffed, with the final one. Raises RuntimeError
    with the reply where a message is not taken.
    """
    waited: list[float] = []
    troubles: list[Exception] = []
    start = perf_counter()

    def session(number: int) -> None:
        recipient = recipients[number % len(recipients)]
        try:
            for nth, seconds in _session(
                port, author, recipient, mails[number::sessions], lmtp=lmtp
            ):
                waited.append(seconds)
                due = start + (nth + 1) * sessions / pace if pace else 0.0
                sleep(max(0.0, due - perf_counter()))
        except (RuntimeError, OSError) as trouble:
            troubles.append(trouble)

    threads = [Thread(target=session, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise RuntimeError(f"sending failed: {troubles[0]}") from troubles[0]
    return Sent(seconds=perf_counter() - start, waited=waited)


def _session(
    port: int, author: str, recipient: str, mails: Sequence[bytes], *, lmtp: bool
) -> Iterator[tuple[int, float]]:
    """One session; after each message its number, and how long its reply took."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = link.makefile("rb")

        def reply(expected: bytes) -> bytes:
            lines = [replies.readline()]
            while lines[-1][3:4] == b"-":
                lines.append(replies.readline())
            if not lines[-1].startswith(expected):
                raise RuntimeError(b"".join(lines).decode(errors="replace").strip())
            return b"".join(lines)

        reply(b"220")
        link.sendall(b"LHLO bench.example\r\n" if lmtp else b"EHLO bench.example\r\n")
        together = b"PIPELINING" in reply(b"250")
        commands = (f"MAIL FROM:<{author}>\r\n", f"RCPT TO:<{recipient}>\r\n", "DATA\r\n")
        for nth, mail in enumerate(mails):
            if together:
                link.sendall("".join(commands).encode())
            for command, code in zip(commands, (b"250", b"250", b"354"), strict=True):
                if not together:
                    link.sendall(command.encode())
                reply(code)
            link.sendall(mail)
            sent = perf_counter()
            reply(b"250")
            yield nth, perf_counter() - sent
        link.sendall(b"QUIT\r\n")


def on_the_wire(message: bytes) -> bytes:
    """A message of CRLF lines with its dots stuffed and its end (RFC 5321, section 4.5.2)."""
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return (b"." if message.startswith(b".") else b"") + stuffed + b".\r\n"
