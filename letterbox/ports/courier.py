"""Handing on what leaves the house: mail to other servers."""

from typing import Protocol

import msgspec

from letterbox.model.address import Address


class Letter(msgspec.Struct, frozen=True):
    """A mail of our own. Its return path is null (RFC 5321, section 4.5.5): nobody answers it."""

    to: Address
    content: bytes


class Handed(msgspec.Struct, frozen=True):
    """The next server has taken it; ``detail`` is its reply, safe to log."""

    detail: str = ""


class NotNow(msgspec.Struct, frozen=True):
    """It could not be handed on now: to be tried again."""

    detail: str


class Never(msgspec.Struct, frozen=True):
    """It will not be taken however often it is tried."""

    detail: str


Handover = Handed | NotNow | Never


class MailCourier(Protocol):
    """Speaks SMTP to other servers (RFC 5321)."""

    async def hand_on(self, letter: Letter) -> Handover:
        """Hand a letter to its recipient's server, within a bounded time. Never raises."""
        ...
