"""Sending to servers of others: calls over HTTP, and mail; and to the mail server behind."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from letterbox.model.address import Address
from letterbox.model.record import MessageRecord

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


class Letter(msgspec.Struct, frozen=True):
    """A mail that leaves us.

    Of our own its return path is null (RFC 5321, section 4.5.5): nobody answers it. What is
    handed on comes back to ``reverse_path``, which is ours.
    """

    to: Address
    content: bytes
    reverse_path: Address | None = None


class Handed(msgspec.Struct, frozen=True):
    """The next server has taken it; ``detail`` is its reply, safe to log."""

    detail: str = ""


class NotNow(msgspec.Struct, frozen=True):
    """It could not be handed on now: to be tried again.

    ``alone``: the server listened, and put off this recipient or this content; of other letters it
    has said nothing. Else nobody was there, or nobody who takes mail now.
    """

    detail: str
    alone: bool = False


class Never(msgspec.Struct, frozen=True):
    """It will not be taken however often it is tried."""

    detail: str


Handover = Handed | NotNow | Never


class MailCourier(Protocol):
    """Speaks SMTP to other servers (RFC 5321), or LMTP to one (RFC 2033)."""

    async def hand_on(self, letter: Letter) -> Handover:
        """Hand a letter to its recipient's server, within a bounded time. Never raises."""
        ...


class Couriers(NamedTuple):
    """Who brings mail: to servers of others, and to the operator's own mailbox server, if any."""

    mail: MailCourier
    mailbox: MailCourier | None = None


class Passed(msgspec.Struct, frozen=True):
    """What the mail server behind said, of each recipient in their order.

    ``reports``: it tells the sender of them what the sender has asked for (RFC 3461).
    """

    outcomes: tuple[Handover, ...]
    reports: bool = False


class NextHop(Protocol):
    """The mail server behind, as the operator has named it, over SMTP."""

    async def pass_on(
        self, record: MessageRecord, recipients: Sequence[Address], content: bytes
    ) -> Passed:
        """Hand a message on in one transaction, as it came: path, client, and what was asked.

        ``content`` ends in what it was received as; its line ends are CRLF. What is not answered
        within a bounded time is :class:`NotNow`: it may have been taken all the same. Never raises.
        """
        ...
