"""Sending to servers of others."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

#: Why there is no answer: its host's ``address`` is none that we connect to, its ``name`` is not
#: known, the ``connection`` or ``tls`` failed, the time was up, or what came back was not HTTP.
WebTroubleKind = Literal["address", "name", "connection", "tls", "timeout", "answer"]


class WebTrouble(Exception):
    """No answer was had. Whether what was sent has arrived is not known."""

    def __init__(self, kind: WebTroubleKind) -> None:
        super().__init__(kind)
        self.kind = kind


class WebAnswer(msgspec.Struct, frozen=True):
    """What a server answered. ``retry_after`` is its field as it stands (RFC 9110, 10.2.3)."""

    status: int
    retry_after: str = ""


class WebCourier(Protocol):
    """Posts over HTTP, each time on a connection of its own, bounded in time."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebAnswer:
        """Post to a URL that :func:`letterbox.feedback.destination.read_destination` has read.

        No redirect is followed, and nothing is kept but the status. Raises :class:`WebTrouble`.
        """
        ...
