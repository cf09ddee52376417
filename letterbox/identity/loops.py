"""A mark on what is handed on, so that it is known again where it comes back to us."""

import base64
import hashlib
import hmac
import re

from letterbox.reading.header import unfold
from letterbox.reading.mail import Mail

#: The field, as it is looked up.
NAME = "letterbox-onward"
_WRITTEN = "Letterbox-Onward"
_MARK = re.compile(r"\s*([^;\s]{1,255})\s*;\s*mark=([a-z2-7]{16})\s*")
_LETTERS = 16
#: Fields of one message that are looked at.
_MOST = 100


class Loops:
    """Marks of ours. One says whose mail it was to nobody who does not have the secret."""

    def __init__(self, secret: bytes, hostname: str) -> None:
        self._secret = secret
        self._hostname = hostname

    def field(self, consumer: str) -> str:
        """The field that goes with what is handed on for a consumer."""
        return f"{_WRITTEN}: {self._hostname}; mark={self._mark(consumer)}"

    def comes_back(self, mail: Mail, consumer: str) -> bool:
        """Whether a message was handed on for this consumer before."""
        expected = self._mark(consumer)
        for field in mail.all(NAME)[:_MOST]:
            found = _MARK.fullmatch(unfold(field))
            if found and hmac.compare_digest(found[2], expected):
                return True
        return False

    def _mark(self, consumer: str) -> str:
        digest = hmac.new(self._secret, consumer.encode(), hashlib.sha256).digest()
        return base64.b32encode(digest).decode().lower()[:_LETTERS]
