"""A folder of an IMAP server, read and left as it is (RFC 9051; RFC 3501)."""

import base64
import imaplib
import re
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from letterbox.administration import Failed
from letterbox.collecting.origins import Letter, name_for
from letterbox.reading.sightings import MOST_OCTETS
from letterbox.records.imports import Sort

_AT_ONCE: Final = 50
_SECONDS: Final = 60.0
_UID: Final = re.compile(rb"\bUID (\d+)")
_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+")
#: What a server may send as one piece, whatever was asked of it.
_MOST: Final = 4 * MOST_OCTETS


class _Bounded:
    """A server that sends more at once than was asked for is not listened to."""

    def read(self, size: int) -> bytes:
        """Octets of a literal."""
        if size > _MOST:
            raise imaplib.IMAP4.abort(f"it sends {size:,} octets at once")
        return super().read(size)  # type: ignore[misc, no-any-return]


class _Secure(_Bounded, imaplib.IMAP4_SSL):
    pass


class _Local(_Bounded, imaplib.IMAP4):
    pass


class ImapFolder:
    """A folder. A position is the UID of a mail, as long as the folder's UIDVALIDITY is the same.

    It is opened for reading only, so that nothing becomes read by it. Without TLS (``plain``)
    only a server on this machine is spoken to.
    """

    sort: Sort = "imap"

    def __init__(
        self,
        host: str,
        user: str,
        password: str,
        *,
        folder: str = "INBOX",
        port: int | None = None,
        plain: bool = False,
        trust: str | None = None,
    ) -> None:
        """``trust`` is a file of certificates to trust in place of the system's."""
        self._connection = _connected(host, port, plain=plain, trust=trust)
        try:
            self._connection.login(_quoted(user), password)
            self._exists = self._examine(folder)
            validity = self._connection.response("UIDVALIDITY")[1]
        except (imaplib.IMAP4.error, UnicodeError, OSError) as error:
            self.close()
            raise Failed(f"{host} says no: {_said(error)}") from None
        valid = validity[0] if validity and isinstance(validity[0], bytes) else b""
        self.name = name_for("imap", host.lower(), user, folder, valid)
        self.total = self._exists

    def close(self) -> None:
        """Leave the server."""
        try:
            self._connection.logout()
        except (imaplib.IMAP4.error, OSError):
            return

    def _examine(self, folder: str) -> int:
        said, data = self._connection.select(_quoted(_in_utf7(folder)), readonly=True)
        if said != "OK" or not data or data[0] is None:
            raise imaplib.IMAP4.error(f"there is no folder {folder!r}")
        return int(data[0])

    def letters(self, after: str) -> Iterator[Letter]:
        """The mails behind a UID."""
        last = int(after or 0)
        try:
            begin = self._first_above(last)
            for start in range(begin, self._exists + 1, _AT_ONCE):
                end = min(start + _AT_ONCE - 1, self._exists)
                # While nothing but FETCH is asked, the numbers of mails stay (RFC 3501, 7.4.1).
                asked = f"(UID BODY.PEEK[]<0.{MOST_OCTETS}>)"
                found = sorted(self._fetched(f"{start}:{end}", asked))
                for nth, (uid, raw) in enumerate(found, start=1):
                    if uid > last:
                        last = uid
                        yield Letter(raw, str(uid), min(start + nth - 1, end))
        except (imaplib.IMAP4.error, OSError) as error:
            raise Failed(
                f"the server went away: {_said(error)}; the same command goes on where it was"
            ) from None

    def _first_above(self, uid: int) -> int:
        """The number of the first mail with a UID above one: UIDs grow with the numbers."""
        low, high = 1, self._exists + 1
        while low < high:
            middle = (low + high) // 2
            (found, _), *_ = [*self._fetched(str(middle), "(UID)"), (0, b"")]
            low, high = (middle + 1, high) if found <= uid else (low, middle)
        return low

    def _fetched(self, numbers: str, what: str) -> Iterator[tuple[int, bytes]]:
        said, data = self._connection.fetch(numbers, what)
        if said != "OK":
            raise imaplib.IMAP4.error("it does not show the mails")
        raw: object = b""
        for item in data:
            head, raw = item if isinstance(item, tuple) else (item, raw)
            if isinstance(head, bytes) and (uid := _UID.search(head)):
                yield int(uid[1]), raw if isinstance(raw, bytes) else b""
                raw = b""


def _connected(
    host: str, port: int | None, *, plain: bool, trust: str | None
) -> imaplib.IMAP4 | imaplib.IMAP4_SSL:
    try:
        if not plain:
            context = ssl.create_default_context(cafile=trust)
            return _Secure(host, port or 993, ssl_context=context, timeout=_SECONDS)
        if not _is_here(host):
            raise Failed("a password goes without TLS to this machine alone; leave --plain out")
        return _Local(host, port or 143, timeout=_SECONDS)
    except (imaplib.IMAP4.error, OSError) as error:
        raise Failed(f"{host} cannot be reached: {_said(error)}") from None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _in_utf7(folder: str) -> str:
    """A folder's name as the protocol has it: modified UTF-7 (RFC 3501, section 5.1.3)."""
    return _SHIFTED.sub(_shifted, folder.replace("&", "&-"))


def _shifted(letters: re.Match[str]) -> str:
    code = base64.b64encode(letters[0].encode("utf-16-be")).decode().rstrip("=")
    return "&" + code.replace("/", ",") + "-"


def _said(error: Exception) -> str:
    """What went wrong, on one line; a server's own words may be anything."""
    text = error.args[0] if error.args else error
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(error)
    return "".join(each if each.isprintable() else " " for each in said)[:200]
