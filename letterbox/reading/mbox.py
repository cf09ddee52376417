"""An mbox cut into its mails as it comes (RFC 4155): bytes in, mails out, in flat memory."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

#: A separator is looked for in so much of a line.
_LONGEST: Final = 512
_MARK: Final = b"\nFrom "
#: ``From sender Thu Aug 22 12:36:23 2002``: unmistakable, wherever it stands.
_EXACT: Final = re.compile(
    rb"From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) "
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    rb" +\d{1,2} \d{2}:\d{2}(?::\d{2})?\b.{0,20}\b\d{4}\b"
)
#: What other programs write, where a blank line stands before.
_LOOSE: Final = re.compile(rb"From \S+ .*\b\d{4}\b|From (?:\S+@\S+|-|MAILER-DAEMON)\s*$")


class NotAnMbox(Exception):
    """It does not begin as an mbox does, with a line that begins with ``From`` and a space."""


class Cut(NamedTuple):
    """One mail: its first octets, and the offset in the file behind the whole of it."""

    raw: bytes
    ends: int


class Mbox:
    """Cuts an mbox from the offset ``at`` on, where a separator stands.

    ``most`` octets are kept of a mail. A line that only looks like a separator cuts a mail in
    two, of which the second names no author.
    """

    def __init__(self, *, at: int = 0, most: int) -> None:
        self._most = most
        # What is yet to be looked at, and a little before it; a line end, so that the first line
        # is like the others. The three are places: of it in the file, and in it.
        self._rest = b"\n"
        self._at = at - 1
        self._taken = 1
        self._search = 0
        self._mail: bytearray | None = None

    def feed(self, chunk: bytes, *, last: bool = False) -> Iterator[Cut]:
        """The mails that end in what has come; ``last``: nothing more comes.

        Raises :class:`NotAnMbox`.
        """
        data = self._rest + chunk
        taken, search = self._taken, self._search
        while True:
            found = data.find(_MARK, search)
            if found < 0:
                # A mark may be cut in two.
                search = max(search, len(data) - len(_MARK) + 1)
                through = len(data) if last else max(taken, search)
                break
            end = data.find(b"\n", found + 1, found + 1 + _LONGEST)
            if end < 0 and len(data) < found + 1 + _LONGEST and not last:
                search, through = found, max(taken, found + 1)
                break
            line = data[found + 1 : end if end >= 0 else found + 1 + _LONGEST]
            search = found + 1
            if self._separates(line, data[max(found - 2, 0) : found]):
                self._take(data[taken:search])
                if self._mail is not None:
                    yield Cut(bytes(self._mail), self._at + search)
                self._mail = bytearray()
                search += len(line)
                taken = min(search + 1, len(data))
        self._take(data[taken:through])
        taken = max(taken, through)
        keep = max(min(taken, search) - 2, 0)
        self._rest, self._at = data[keep:], self._at + keep
        self._taken, self._search = taken - keep, search - keep
        if last and self._mail is not None:
            yield Cut(bytes(self._mail), self._at + len(self._rest))

    def _separates(self, line: bytes, before: bytes) -> bool:
        if self._mail is None or _EXACT.match(line):
            return True
        blank = before.endswith(b"\n") or before == b"\n\r"
        return blank and _LOOSE.match(line) is not None

    def _take(self, fresh: bytes) -> None:
        if self._mail is not None:
            self._mail += fresh[: max(self._most - len(self._mail), 0)]
        elif fresh.strip():
            raise NotAnMbox
