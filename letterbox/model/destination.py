"""Where a consumer has mail handed on to: mailboxes of their own elsewhere."""

from datetime import datetime
from typing import Literal

import msgspec

#: ``mail`` is reached over SMTP.
DestinationKind = Literal["mail"]

#: What became of the letter that asks for a confirmation: it is ``owed``, or ``sent``; it was
#: ``refused`` by the mailbox's server, or could not be delivered in time (``failed``).
LetterState = Literal["owed", "sent", "refused", "failed"]


class Destination(msgspec.Struct, frozen=True):
    """A mailbox of a consumer's. Nothing but our asking goes there before it is confirmed.

    ``detail`` is what its server said of the letter. ``link`` is the public name of the one link
    that confirms it now, empty where there is none.
    """

    id: str
    address: str
    added_at: datetime
    kind: DestinationKind = "mail"
    confirmed_at: datetime | None = None
    letter: LetterState = "owed"
    detail: str = ""
    #: Since when this letter is owed, and how often it was tried.
    asked_at: datetime | None = None
    attempts: int = 0
    link: str = ""
